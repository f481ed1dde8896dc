"""Servers without a common folder share uploads through a store of objects: an S3 that somebody else wrote (moto)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from httpx import Client as Http

import hetorch.serving.keys.key_store as key_store
from hetorch.errors import StorageError
from hetorch.params import ParameterSet
from hetorch.serving.errors import Busy
from hetorch.serving.keys.disk_store import DiskLimits
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.shared_store import SharedStore
from hetorch.wire import addresses
from hetorch.wire.predict import load_response
from tests.cli.command import save_secure_plan, server_process
from tests.cli.in_process import invoke
from tests.server.conftest import OCTETS, make_owner
from tests.server.small_plan import expected, small_plan
from tests.serving.keys.plain_kinds import KEY_ID, Named, Replaced, files, get, put

pytest.importorskip("s3fs")
moto_server = pytest.importorskip("moto.server")


@pytest.fixture(scope="module")
def s3() -> Iterator[str]:
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def url(s3: str, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    import s3fs

    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": s3,
    }.items():
        monkeypatch.setenv(name, value)
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"keys-{hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:16]}"
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir(bucket)
    return f"s3://{bucket}/uploads"


def shared(folder: Path, url: str, **limits: Any) -> KeyStore:
    return KeyStore(1000, folder, DiskLimits(**limits), SharedStore(url))


def bring(store: KeyStore, kind: Named, key_id: str) -> bytes | None:
    if store.may_be_elsewhere(kind, key_id):
        store.bring(kind, key_id)
    return get(store, kind, key_id)


def test_what_one_server_took_the_other_one_has(url: str, tmp_path: Path) -> None:
    first, second = shared(tmp_path / "1", url), shared(tmp_path / "2", url)
    key_id = put(first, Named("hospital"), b"some keys")
    assert not second.has(Named("hospital"), key_id)
    assert bring(second, Named("hospital"), key_id) == b"some keys" and files(tmp_path / "2") == {
        b"some keys"
    }
    assert not second.may_be_elsewhere(Named("hospital"), key_id)  # keys that are here cost no request
    assert bring(second, Named("bank"), key_id) is None  # they belong to one tenant
    assert bring(second, Named("hospital"), "cd" * 32) is None
    assert bring(second, Named("hospital"), "../../escape") is None


def test_weights_that_were_replaced_elsewhere_are_fetched_again(url: str, tmp_path: Path) -> None:
    first, second = shared(tmp_path / "1", url), shared(tmp_path / "2", url)
    for data in (b"one", b"two"):
        put(first, Replaced(), data)
        assert bring(second, Replaced(), KEY_ID) == data
    put(second, Replaced(), b"three")
    assert bring(first, Replaced(), KEY_ID) == b"three"


def test_what_left_a_folder_comes_back_and_what_was_deleted_does_not(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_store, "COMPARE_SECONDS", 0.0)
    first, second = shared(tmp_path / "1", url, bytes=4), shared(tmp_path / "2", url)
    a, b = put(first, Named(), b"aaaa"), put(first, Named(), b"bbbb")
    assert not first.has(Named(), a) and bring(first, Named(), a) == b"aaaa"
    assert bring(second, Named(), a) == b"aaaa" and bring(second, Named(), b) == b"bbbb"
    assert first.delete("", a, ["named"]) == 1 and first.delete("", a, ["named"]) == 0
    assert second.has(Named(), a)
    second._next_comparison = 0.0
    second.sweep()
    assert not second.has(Named(), a) and second.has(Named(), b)
    assert bring(second, Named(), a) is None and bring(first, Named(), a) is None


def test_a_changed_object_is_not_used(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Whoever can write to the bucket can do no more than a client."""
    import s3fs

    store, server = SharedStore(url), shared(tmp_path / "1", url)
    key_id = put(server, Named(), b"some keys")
    (upload,) = store.uploads()
    objects, digest = s3fs.S3FileSystem(skip_instance_cache=True), bytes.fromhex(key_id)
    other = hashlib.sha256(b"other keys").digest()
    for data, reason in (
        (digest + b"same keys", "checksum"),  # of the same length
        (digest + b"some", "checksum"),
        (other + b"other keys", "other keys"),  # whole, under another id
        (hashlib.sha256(b"bad").digest() + b"bad", "other keys"),
        (digest + bytes((1 << 20) + 1), "1048577"),
        (b"", "0 bytes"),
    ):
        objects.pipe_file(upload.path, data)
        caplog.clear()
        fresh = shared(tmp_path / hashlib.sha256(data).hexdigest(), url)
        assert bring(fresh, Named(), key_id) is None
        assert not data or (reason in caplog.text and "not used" in caplog.text)


def test_a_store_that_is_away(url: str, tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys that are here are used; weights may have been replaced, and an upload would be seen by this server alone."""
    import s3fs

    here = shared(tmp_path / "1", url)
    key_id = put(here, Named(), b"some keys")
    put(here, Replaced(), b"weights")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    s3fs.S3FileSystem.clear_instance_cache()
    store = shared(tmp_path / "1", url)
    assert bring(store, Named(), key_id) == b"some keys"
    for call in (
        lambda: bring(store, Replaced(), KEY_ID),
        lambda: bring(store, Named(), "cd" * 32),
        lambda: put(store, Named(), b"other keys"),
    ):
        with pytest.raises(Busy, match="try again"):
            call()
    assert files(tmp_path / "1") == {b"some keys", b"weights"}
    with pytest.raises(StorageError, match="cannot be read"):
        store.delete("", key_id, ["named"])
    assert store.has(Named(), key_id)


def test_addresses_that_are_none() -> None:
    for address in ("nowhere://bucket", "nowhere"):
        with pytest.raises(StorageError, match="nowhere"):
            SharedStore(address)


def test_two_servers_answer_with_keys_that_one_took(url: str, tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    owner, x = (
        make_owner(small_plan(0, ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])).public()),
        np.linspace(-1, 1, 8),
    )
    for folder in ("1", "2"):
        (tmp_path / folder).mkdir()
    with (
        server_process([plan], tmp_path / "1", "--key-share", url) as (first, _),
        server_process([plan], tmp_path / "2", "--key-share", url) as (second, _),
        Http(trust_env=False, timeout=60) as http,
    ):
        assert urlsplit(first).port != urlsplit(second).port
        name = "small0"
        answer = http.put(first + addresses.keys(name), content=owner.keys, headers=OCTETS)
        assert answer.status_code == 200, answer.text
        key_id = answer.json()["key_id"]
        request = owner.request(key_id, list(x))
        headers = OCTETS | {addresses.KEY_ID_HEADER: key_id}
        answer = http.post(second + addresses.predict(name), content=request, headers=headers)
        assert answer.status_code == 200
        response = load_response(owner.plan, answer.content, request)
        slots = [owner.secret.decrypt(ciphertext) for ciphertext in response.ciphertexts]
        np.testing.assert_allclose(owner.plan.unpack(slots), expected(x), atol=1e-4)
        assert key_id in invoke("keys", "list", url).stdout
        assert "nothing of this" in invoke("keys", "delete", url, "--tenant", "bank", code=1).stderr
        assert "deleted 1 upload" in invoke("keys", "delete", url, key_id).stdout
        assert "0 uploads" in invoke("keys", "list", url).stdout
