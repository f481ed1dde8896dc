"""A key folder that is full, read-only or gone: uploads are served from memory, and it is told once."""

from __future__ import annotations

import errno
import os
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from hetorch.errors import StorageError
from hetorch.server.settings import Settings
from hetorch.serving.errors import Busy
from hetorch.serving.keys.catalogue import Catalogue
from hetorch.serving.keys.disk_store import DiskLimits
from hetorch.serving.keys.key_folder import KeyFolder
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.models import ServedModel
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.serving.keys.plain_kinds import KEY_ID, Named, Replaced, files, get, put

KEYS, PREDICT = "/v1/models/small/keys", "/v1/models/small/predict"


def refusing(number: int) -> Callable[..., None]:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number))

    return refuse


def test_a_folder_that_is_gone_stops_nobody(
    served: ServedModel, owner: Owner, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "keys"
    settings = Settings(key_folder=folder)
    with live({"small": served}, settings) as url, httpx.Client(base_url=url, trust_env=False) as http:
        folder.rename(tmp_path / "away")
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
        assert metrics("key_spare_bytes") == 2 * served.key_kind.file_bytes(0)
    lines = [record for record in caplog.records if record.name == "hetorch.server"]
    assert len(lines) == 1 and str(folder) in lines[0].getMessage() and lines[0].exc_info is None


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, of 256 KiB."""
    path = tmp_path / "disk"
    path.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("only root can mount a file system")
    yield path
    subprocess.run(["umount", "-l", str(path)], check=True)


def test_a_full_disk_makes_room_and_then_takes_memory(
    small_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The catalogue takes some 70 KiB of it; the limit is far above the disk."""
    store = KeyStore(1 << 20, small_disk, DiskLimits())
    first, second = (put(store, Named(), letter * (60 << 10)) for letter in (b"a", b"b"))
    assert get(store, Named(), second) is not None
    third = put(store, Named(), b"c" * (60 << 10))
    assert [store.has(Named(), one) for one in (first, second, third)] == [False, True, True]
    assert store.snapshot()["key_spare_bytes"] == 0
    large = put(store, Named(), b"d" * (300 << 10))  # it fits nowhere, and pushes nobody out
    assert get(store, Named(), large) == b"d" * (300 << 10)
    assert store.has(Named(), second) and store.has(Named(), third)
    assert store.snapshot()["key_spare_bytes"] == 300 << 10
    assert store.snapshot()["key_disk_failures"] == 1 and "served from memory" in caplog.text
    assert files(small_disk) == {b"b" * (60 << 10), b"c" * (60 << 10)}
    store.close()


def test_without_any_room_the_store_is_busy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = KeyStore(100, tmp_path)
    monkeypatch.setattr(KeyFolder, "writing", refusing(errno.EIO))
    monkeypatch.setattr(os, "memfd_create", refusing(errno.ENOMEM))
    with pytest.raises(Busy):
        put(store, Named(), b"some")
    assert store.snapshot()["key_disk_failures"] == 1


@pytest.mark.parametrize("forgetting_fails", [False, True])
def test_what_could_not_be_replaced_is_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, forgetting_fails: bool
) -> None:

    def unwritable(*_: object) -> None:
        raise StorageError("read-only")

    store, kind = KeyStore(10, tmp_path), Replaced()
    put(store, kind, b"old")
    with monkeypatch.context() as patched:
        patched.setattr(KeyFolder, "writing", refusing(errno.EROFS))
        if forgetting_fails:
            patched.setattr(store.disk.catalogue, "forget", unwritable)
        put(store, kind, b"new")
        assert get(store, kind, KEY_ID) == b"new"
        store.make_room()
        assert not store.has(kind, KEY_ID) and get(store, kind, KEY_ID) is None
    put(store, kind, b"newer")
    assert get(store, kind, KEY_ID) == b"newer"
    assert store.snapshot()["key_spare_bytes"] == 0


def test_a_read_only_folder_is_still_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The database itself refuses: root may write whatever the modes are."""
    store = KeyStore(100, tmp_path)
    key_id = put(store, Named(), b"some")
    store.close()
    opened: list[str] = []
    monkeypatch.setattr("hetorch.serving.keys.catalogue.Catalogue._open", read_only(opened))
    store = KeyStore(100, tmp_path)
    assert get(store, Named(), key_id) == b"some"
    monkeypatch.setattr(KeyFolder, "writing", refusing(errno.EROFS))
    other = put(store, Named(), b"other")
    assert get(store, Named(), other) == b"other"
    store.sweep()
    assert opened and "cannot be written" in caplog.text


def read_only(opened: list[str]) -> Callable[..., object]:
    """Return Catalogue._open for a folder in which only a database in memory can be opened."""

    real = Catalogue._open

    def open_it(catalogue: Catalogue) -> sqlite3.Connection:
        if catalogue._path != ":memory:":
            opened.append(str(catalogue._path))
            raise StorageError("attempt to write a readonly database")
        return real(catalogue)

    return open_it


def test_a_file_that_cannot_be_deleted_keeps_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = KeyStore(100, tmp_path, DiskLimits(bytes=20))
    first = put(store, Named(), b"a" * 10)
    put(store, Named(), b"b" * 10)
    unlink = Path.unlink

    def refuse_first(path: Path, missing_ok: bool = False) -> None:
        if path.exists() and path.read_bytes() == b"a" * 10:
            raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))
        unlink(path, missing_ok=missing_ok)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse_first)
        put(store, Named(), b"c" * 10)
        put(store, Named(), b"d" * 10)
        assert not store.has(Named(), first)
        assert files(tmp_path) == {b"a" * 10, b"c" * 10, b"d" * 10}
    store.close()
    KeyStore(100, tmp_path).close()
    assert files(tmp_path) == {b"c" * 10, b"d" * 10}  # the next process deletes it
