"""A key folder that is full, read-only or gone: keys are served from memory, and it is told once."""

from __future__ import annotations

import errno
import hashlib
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from hetorch.engine.secret import SecretKey
from hetorch.model_owner.encrypt import weights_message
from hetorch.server.settings import Settings
from hetorch.serving.keys import key_store
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.stored_kinds import Identity, KeyKind, StoredKind, WeightKind
from hetorch.serving.models import ServedModel
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.small_plan import outsourced_plan

KEYS, PREDICT = "/v1/models/small/keys", "/v1/models/small/predict"


def test_a_folder_that_is_gone_stops_nobody(
    served: ServedModel, owner: Owner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "keys"
    settings = Settings(key_folder=folder)
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        folder.rmdir()
        folder.write_text("in the way")
        for uploaded in (owner, make_owner(owner.plan), owner):
            answer = http.put(KEYS, content=uploaded.keys, headers=OCTETS)
            assert answer.status_code == 200, answer.text
        key_id = answer.json()["key_id"]
        headers = OCTETS | {"Hetorch-Key-Id": key_id}
        assert http.post(PREDICT, content=owner.request(key_id), headers=headers).status_code == 200
        assert http.get(f"{KEYS}/{'ab' * 32}").status_code == 404
        metrics = scrape(http)
        assert metrics("key_disk_failures_total") >= 2 and metrics.failed == 0
    lines = [record for record in caplog.records if record.name == "hetorch.server"]
    assert len(lines) == 1 and str(folder) in lines[0].getMessage() and lines[0].exc_info is None


FULL_DISK = """
import resource, sys
from pathlib import Path
from hetorch.serving.keys.key_store import KeyStore
from tests.server.small_plan import small_plan
from hetorch.serving.keys.stored_kinds import KeyKind

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))
plan = small_plan()
kind = KeyKind(plan.parameters, plan.key_spec)
store = KeyStore(1 << 30, Path(sys.argv[1]))
data = Path(sys.argv[2]).read_bytes()
print(store.get(kind, store.put(kind, data)) is not None, store.snapshot()["key_disk_failures"])
"""


def test_a_file_that_cannot_be_written_whole_is_not_kept(owner: Owner, tmp_path: Path) -> None:
    """The system refuses the write in the middle, as on a full disk."""
    assert len(owner.keys) > 4096
    folder, upload = tmp_path / "keys", tmp_path / "upload"
    upload.write_bytes(owner.keys)
    command = [sys.executable, "-c", FULL_DISK, str(folder), str(upload)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert result.stdout == "True 1\n"
    assert result.stderr.count("an upload cannot be stored") == 1 and "Traceback" not in result.stderr
    assert not [path for path in folder.rglob("*") if path.is_file()]


@dataclass(frozen=True, slots=True)
class Text:
    """Uploads that replace each other, as encrypted weights do."""

    what = "weights"
    folder = "text"
    suffix = ".weights"
    memory_bytes = 10
    smallest_upload = 0
    largest_upload = 10

    def identify(self, data: bytes | bytearray) -> Identity:
        return Identity("ab" * 32, hashlib.sha256(data).hexdigest())

    def parse(self, data: bytes | bytearray) -> bytes:
        return bytes(data)


@pytest.mark.parametrize("unlink_fails", [False, True])
def test_what_could_not_be_replaced_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unlink_fails: bool
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    store, kind, key_id = KeyStore(10, tmp_path), Text(), "ab" * 32
    store.put(kind, b"old")
    with monkeypatch.context() as patched:
        patched.setattr(key_store, "write_atomically", refuse)
        patched.setattr(os, "utime", refuse)
        if unlink_fails:
            patched.setattr(Path, "unlink", refuse)
        store.put(kind, b"new")
        assert store.get(kind, key_id) == b"new"
        store._ready.clear()  # it leaves memory
        assert not store.has(kind, key_id) and store.get(kind, key_id) is None
    store.put(kind, b"newer")
    store._ready.clear()
    assert store.get(kind, key_id) == b"newer"


def test_a_read_only_folder_is_still_read(
    served: ServedModel,
    owner: Owner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    key_id = KeyStore(1 << 30, tmp_path).put(served.key_kind, owner.keys)
    store = KeyStore(1 << 30, tmp_path)
    monkeypatch.setattr(os, "utime", refuse)
    assert store.get(served.key_kind, key_id) is not None
    assert store.snapshot()["key_disk_failures"] == 1
    (line,) = [record.getMessage() for record in caplog.records]
    assert "time of use" in line and "lost with this process" not in line  # nothing is lost


@dataclass(frozen=True, slots=True)
class Named(Text):
    """Uploads that are named by their content, as keys are."""

    def identify(self, data: bytes | bytearray) -> Identity:
        content = hashlib.sha256(data).hexdigest()
        return Identity(content, content)


def stored(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def put_in_order(store: KeyStore, folder: Path, uploads: list[bytes]) -> None:
    """Put uploads whose files have increasing times of use."""
    for time, data in enumerate(uploads):
        key_id = store.put(Named(), data)
        os.utime(folder / Named.folder / f"{key_id}{Named.suffix}", (time, time))


def test_old_files_make_room_on_a_disk_that_is_smaller_than_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(path: Path, data: bytes) -> None:
        if sum(map(len, stored(tmp_path))) + len(data) > 25:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        path.write_bytes(data)

    monkeypatch.setattr(key_store, "write_atomically", write)
    store = KeyStore(100, tmp_path, disk_limit=1000)
    put_in_order(store, tmp_path, [b"a" * 10, b"b" * 10])
    store.put(Named(), b"c" * 10)
    assert stored(tmp_path) == {b"b" * 10, b"c" * 10}
    store.put(Named(), b"d" * 30)  # it fits nowhere, and pushes nobody out
    assert stored(tmp_path) == {b"b" * 10, b"c" * 10}
    assert store.snapshot()["key_disk_failures"] == 1


def test_a_file_that_cannot_be_deleted_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore(100, tmp_path, disk_limit=20)
    put_in_order(store, tmp_path, [b"a" * 10, b"b" * 10])
    unlink = Path.unlink

    def refuse_first(path: Path, missing_ok: bool = False) -> None:
        if path.exists() and path.read_bytes() == b"a" * 10:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse_first)
    store.put(Named(), b"c" * 10)
    assert stored(tmp_path) == {b"a" * 10, b"c" * 10}


@pytest.mark.parametrize("what", ["keys", "weights"])
def test_a_file_of_another_version_is_kept(what: str, owner: Owner, tmp_path: Path) -> None:
    """It is not read, and the same upload in this version takes its place."""
    plan = outsourced_plan()
    if what == "weights":
        weight_kind = WeightKind.of(plan)
        assert weight_kind is not None
        kind: StoredKind[object] = weight_kind
        data = b"".join(weights_message(plan, SecretKey.generate(plan.parameters), "ab" * 32))
    else:
        kind, data = KeyKind(owner.plan.parameters, owner.plan.key_spec), owner.keys
    other = bytearray(data)
    other[4] += 1
    key_id = kind.identify(other).key_id if what == "keys" else "ab" * 32
    path = tmp_path / kind.folder / f"{key_id}{kind.suffix}"
    path.parent.mkdir()
    path.write_bytes(other)
    store = KeyStore(1 << 40, tmp_path)
    assert store.has(kind, key_id)
    assert store.get(kind, key_id) is None and not store.has(kind, key_id)
    assert path.read_bytes() == other
    new_id = store.put(kind, data)
    assert store.has(kind, new_id) and (what == "keys" or path.read_bytes() == data)
