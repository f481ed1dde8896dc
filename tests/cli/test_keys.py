"""`hetorch keys` lists and deletes what is in a key folder, also while a server uses it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from hetorch.params import ParameterSet
from hetorch.serving.keys.key_store import KeyStore
from tests.cli.command import save_secure_plan, server_process
from tests.cli.in_process import invoke
from tests.server.conftest import OCTETS, make_owner
from tests.server.small_plan import small_plan
from tests.serving.keys.plain_kinds import Named, files, get, put


def test_uploads_are_listed_and_deleted(tmp_path: Path) -> None:
    store = KeyStore(1000, tmp_path)
    first, second = put(store, Named("hospital"), b"1111"), put(store, Named("bank"), b"22")
    assert get(store, Named("bank"), second) == b"22"
    store.disk.sweep()
    shown = invoke("keys", "list", tmp_path).stdout
    assert f"{first} keys: tenant hospital, 4 bytes, never used" in shown
    assert f"{second} keys: tenant bank, 2 bytes, last used 2" in shown and "2 uploads" in shown
    entries = json.loads(invoke("keys", "list", tmp_path, "--json").stdout)["uploads"]
    assert [(one["tenant"], one["key_id"], one["bytes"], one["uses"]) for one in entries] == [
        ("hospital", first, 4, 0),
        ("bank", second, 2, 1),
    ]
    assert "nothing of this" in invoke("keys", "delete", tmp_path, first, "--tenant", "bank", code=1).stderr
    assert "give a key id" in invoke("keys", "delete", tmp_path, code=1).stderr
    assert "give a key id" in invoke("keys", "delete", tmp_path, first, "--all", code=1).stderr
    assert "deleted 1 upload" in invoke("keys", "delete", tmp_path, "--tenant", "hospital").stdout
    assert files(tmp_path) == {b"22"} and not store.has(Named("hospital"), first)
    (gone,) = json.loads(invoke("keys", "delete", tmp_path, "--all", "--json").stdout)["deleted"]
    assert gone["key_id"] == second and not files(tmp_path)


def test_another_folder_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "stored").mkdir()
    (tmp_path / "stored" / "file").write_text("mine")
    for verb in (("list",), ("delete", "--all")):
        assert "is not a key folder" in invoke("keys", verb[0], tmp_path, *verb[1:], code=1).stderr
    assert (tmp_path / "stored" / "file").read_text() == "mine"
    assert {path.name for path in tmp_path.iterdir()} == {"stored"}


def test_a_running_server_notices(tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    owner = make_owner(small_plan(0, ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])).public())
    folder = tmp_path / "keys"
    with (
        server_process([plan], tmp_path, "--key-folder", str(folder)) as (url, process),
        httpx.Client(base_url=url, trust_env=False, timeout=30) as http,
    ):
        path = "/v1/models/small0"
        key_id = http.put(f"{path}/keys", content=owner.keys, headers=OCTETS).json()["key_id"]
        headers = OCTETS | {"Hetorch-Key-Id": key_id}
        request = owner.request(key_id)
        assert http.post(f"{path}/predict", content=request, headers=headers).status_code == 200
        assert key_id in invoke("keys", "list", folder).stdout
        invoke("keys", "delete", folder, key_id)
        answer = http.post(f"{path}/predict", content=request, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "keys_missing")
        assert http.put(f"{path}/keys", content=owner.keys, headers=OCTETS).status_code == 200
        assert http.post(f"{path}/predict", content=request, headers=headers).status_code == 200
        assert process.poll() is None
