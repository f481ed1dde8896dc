"""The key store's contents over time: limits, quotas, tenants, ages, restarts, damage, deletion."""

from __future__ import annotations

import gc
import hashlib
import io
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hetorch.errors import PlanUseError, WireError
from hetorch.serving.errors import QuotaExceeded
from hetorch.serving.keys.catalogue import is_on_network
from hetorch.serving.keys.disk_store import DiskLimits
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.store_clock import LONGEST_PAUSE
from hetorch.serving.models import ServedModel
from tests.engine.key_blobs import blob_of
from tests.server.conftest import Owner, make_owner
from tests.serving.keys.plain_kinds import KEY_ID, Named, Replaced, files, get, put

DAY = 86400.0


def test_keys_survive_restarts_and_are_the_uploaded_ones(
    served: ServedModel, owner: Owner, tmp_path: Path
) -> None:
    kind = served.key_kind
    store = KeyStore(kind.memory_bytes, tmp_path)
    first = put(store, kind, owner.keys)
    put(store, kind, make_owner(owner.plan).keys)
    store.close()
    again = KeyStore(kind.memory_bytes, tmp_path)
    keys = get(again, kind, first)
    assert keys is not None and again.has(kind, first)
    assert blob_of(served.public.parameters, served.public.key_spec, keys) == owner.keys
    assert again.snapshot()["keys_held"] == 2


def test_a_store_without_a_folder_leaves_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = KeyStore(100)
    key_id = put(store, Named(), b"some")
    assert get(store, Named(), key_id) == b"some" and len(list(tmp_path.iterdir())) == 1
    store.close()
    assert not list(tmp_path.iterdir())
    store = KeyStore(100)
    del store
    gc.collect()
    assert not list(tmp_path.iterdir())


def test_a_damaged_file_is_deleted_and_uploaded_again(
    served: ServedModel, owner: Owner, tmp_path: Path
) -> None:
    kind = served.key_kind
    for kept in (1, 2):  # another last byte, and half of the file
        store = KeyStore(kind.memory_bytes, tmp_path)
        key_id = put(store, kind, owner.keys)
        (path,) = (tmp_path / "stored").iterdir()
        data = path.read_bytes()
        path.unlink()
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]) if kept == 1 else data[: len(data) // kept])
        assert store.has(kind, key_id) and get(store, kind, key_id) is None
        assert not store.has(kind, key_id) and not path.exists()
        assert put(store, kind, owner.keys) == key_id and get(store, kind, key_id) is not None
        store.delete("", key_id, [kind.name])
        store.close()


def test_a_damaged_catalogue_empties_the_folder(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = KeyStore(100, tmp_path)
    put(store, Named(), b"some")
    store.close()
    catalogue = tmp_path / "catalogue.sqlite"
    catalogue.write_bytes(b"no database, no database" * 200)
    store = KeyStore(100, tmp_path)
    assert not store.disk.entries() and not files(tmp_path)
    assert "damaged" in caplog.text
    key_id = put(store, Named(), b"some")
    assert get(store, Named(), key_id) == b"some"


def test_malformed_uploads_leave_nothing(tmp_path: Path) -> None:
    store = KeyStore(100, tmp_path, DiskLimits(bytes=4))
    good = put(store, Named(), b"good")
    with pytest.raises(WireError):
        put(store, Named(), b"bad")
    with pytest.raises(WireError, match="checksum"):
        store.put(Named(), io.BytesIO(b"some"), 4, content="00" * 32)
    assert store.has(Named(), good) and files(tmp_path) == {b"good"}


def test_the_least_recently_used_leave_first_and_the_never_used_before_them(tmp_path: Path) -> None:
    store = KeyStore(100, tmp_path, DiskLimits(bytes=12))
    a, b, c = (put(store, Named(), data) for data in (b"aaaa", b"bbbb", b"cccc"))
    assert get(store, Named(), b) and get(store, Named(), a)
    d = put(store, Named(), b"dddd")  # c was never used
    assert [store.has(Named(), one) for one in (a, b, c, d)] == [True, True, False, True]
    assert get(store, Named(), d)
    e = put(store, Named(), b"eeee")  # b is the least recently used
    assert [store.has(Named(), one) for one in (a, b, d, e)] == [True, False, True, True]


def test_a_stranger_evicts_only_its_own(tmp_path: Path) -> None:
    """Two tenants within their share of the limit lose nothing to a third one, which uploads without end."""
    limit = 120
    store = KeyStore(1000, tmp_path, DiskLimits(bytes=limit))
    honest = {name: put(store, Named(name), f"keys of {name}".encode().ljust(40)) for name in ("a", "b")}
    for number in range(50):
        latest = put(store, Named("stranger"), f"{number}".encode().ljust(10))
        assert store.has(Named("stranger"), latest)
    assert all(store.has(Named(name), key_id) for name, key_id in honest.items())
    assert sum(store.disk.catalogue.usage().values()) <= limit


def test_a_tenant_beyond_its_quota_makes_room_itself(tmp_path: Path) -> None:
    store = KeyStore(1000, tmp_path, DiskLimits(quota=8))
    other = put(store, Named("b"), b"other")
    first, second, third = (put(store, Named("a"), data) for data in (b"1111", b"2222", b"3333"))
    assert [store.has(Named("a"), one) for one in (first, second, third)] == [False, True, True]
    with pytest.raises(QuotaExceeded):
        put(store, Named("a"), b"more than eight")
    assert store.has(Named("a"), second) and store.has(Named("b"), other)


def test_a_quota_too_small_for_one_client_is_told_at_the_start(served: ServedModel) -> None:
    kind = served.key_kind
    store = KeyStore(kind.memory_bytes, None, DiskLimits(quota=kind.file_bytes(0) - 1))
    with pytest.raises(PlanUseError, match="key_quota"):
        store.check_fits([kind], "small")


def test_tenants_do_not_see_one_another(tmp_path: Path) -> None:
    """Whatever another tenant has, the answers and the files of this one are the same."""
    store = KeyStore(1000, tmp_path)
    key_id = put(store, Named("a"), b"same")
    assert not store.has(Named("b"), key_id) and get(store, Named("b"), key_id) is None
    assert store.delete("b", key_id, ["named"]) == 0 and store.has(Named("a"), key_id)
    assert put(store, Named("b"), b"same") == key_id
    assert len(list((tmp_path / "stored").iterdir())) == 2
    assert store.delete("b", key_id, ["named"]) == 1 and get(store, Named("a"), key_id) == b"same"


def test_weights_replace_those_of_the_same_keys(tmp_path: Path) -> None:
    store = KeyStore(100, tmp_path)
    for data in (b"old", b"new"):
        assert put(store, Replaced(), data) == KEY_ID and get(store, Replaced(), KEY_ID) == data
        assert files(tmp_path) == {data}


def test_uploads_at_once_keep_one(tmp_path: Path) -> None:
    store = KeyStore(1000, tmp_path)
    for _ in range(5):
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda data: put(store, Replaced(), data), [b"one", b"two"] * 8))
        assert files(tmp_path) == {get(store, Replaced(), KEY_ID)}


def test_deletion_is_real(tmp_path: Path) -> None:
    """Nothing in the folder, the catalogue and its log included, tells of deleted keys; a control is found."""
    store = KeyStore(1000, tmp_path)
    kept, deleted = put(store, Named("kept-tenant"), b"kept"), put(store, Named("gone-tenant"), b"gone")
    get(store, Named("gone-tenant"), deleted)
    assert store.delete("gone-tenant", deleted, ["named"]) == 1
    assert get(store, Named("gone-tenant"), deleted) is None
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"kept-tenant" in everything and kept.encode() in everything and b"kept" in files(tmp_path)
    assert b"gone-tenant" not in everything and deleted.encode() not in everything
    assert b"gone" not in files(tmp_path)


def test_another_process_that_deletes_is_noticed(tmp_path: Path) -> None:
    store, other = KeyStore(1000, tmp_path), KeyStore(1000, tmp_path)
    key_id = put(store, Named(), b"some")
    assert get(store, Named(), key_id) == b"some" and get(other, Named(), key_id) == b"some"
    assert other.delete("", key_id, ["named"]) == 1
    assert get(store, Named(), key_id) is None and not store.has(Named(), key_id)


def test_a_folder_on_a_network_is_shared_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.serving.keys.catalogue.is_on_network", lambda folder: True)
    store, other = KeyStore(1000, tmp_path), KeyStore(1000, tmp_path)
    key_id = put(store, Named(), b"some")
    assert not (tmp_path / "catalogue.sqlite-shm").exists()
    assert get(other, Named(), key_id) == b"some"
    assert other.delete("", key_id, ["named"]) == 1 and not store.has(Named(), key_id)


def test_network_file_systems_are_recognised(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 1 0:21 / / rw - ext4 /dev/vda rw\n"
        "23 22 0:22 / /shared rw shared:5 - nfs4 server:/x rw\n"
        "24 23 0:23 / /shared/local rw - xfs /dev/vdb rw\n"
        "25 22 0:24 / /with\\040space rw - cifs //server/x rw\n"
    )
    places = {"/keys": False, "/shared": True, "/shared/keys": True, "/shared/local/keys": False}
    places |= {"/sharedx": False, "/with space/keys": True}
    for place, remote in places.items():
        assert is_on_network(Path(place), mounts) == remote, place
    assert not is_on_network(tmp_path)


class Clocks:
    """The system's two clocks, set by hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.wall, self.monotonic = 1.8e9, 500.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_what_nobody_uses_is_deleted_in_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clocks = Clocks(monkeypatch)
    store = KeyStore(1000, tmp_path, DiskLimits(unused_seconds=10 * DAY))
    used, unused = put(store, Named(), b"used"), put(store, Named(), b"unused")
    for _ in range(3):
        clocks.wait(4 * DAY)
        get(store, Named(), used)
        store.sweep()
    assert store.has(Named(), used) and not store.has(Named(), unused) and files(tmp_path) == {b"used"}


@pytest.mark.parametrize("jump", [400 * DAY, -400 * DAY])
def test_a_clock_that_jumps_deletes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    clocks = Clocks(monkeypatch)
    limits = DiskLimits(bytes=8, unused_seconds=10 * DAY)
    store = KeyStore(1000, tmp_path, limits)
    first = put(store, Named(), b"1111")
    clocks.wall += jump
    second = put(store, Named(), b"2222")
    get(store, Named(), second)
    get(store, Named(), first)
    store.sweep()
    assert store.has(Named(), first) and store.has(Named(), second)
    store.close()
    clocks.wall += jump  # while no process runs
    clocks.monotonic = 3.0
    store = KeyStore(1000, tmp_path, limits)
    store.sweep()
    assert store.has(Named(), first) and store.has(Named(), second)
    put(store, Named(), b"3333")
    assert store.has(Named(), first) and not store.has(
        Named(), second
    )  # by the order of use, not by the clock
    # The pause counted for LONGEST_PAUSE at most, so the rest of the time to live is left.
    clocks.wait(10 * DAY - LONGEST_PAUSE - 60)
    store.sweep()
    assert store.has(Named(), first)
    clocks.wait(LONGEST_PAUSE + 120)
    store.sweep()
    assert not store.has(Named(), first)


def test_rests_of_killed_processes_are_deleted(tmp_path: Path) -> None:
    store = KeyStore(1000, tmp_path)
    key_id, lost = put(store, Named(), b"some"), put(store, Named(), b"lost")
    for path in (tmp_path / "stored" / ".new-abc", tmp_path / "stored" / "unknown", tmp_path / "parts" / "x"):
        path.write_bytes(b"rest")
    (path,) = (p for p in (tmp_path / "stored").iterdir() if p.read_bytes() == b"lost")
    path.unlink()
    again = KeyStore(1000, tmp_path)
    assert files(tmp_path) == {b"some"} and not list((tmp_path / "parts").iterdir())
    assert get(again, Named(), key_id) == b"some" and not again.has(Named(), lost)
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as database:
        assert database.execute("SELECT COUNT(*) FROM stored").fetchone() == (1,)


def test_a_file_that_is_being_written_is_not_taken_for_a_rest(tmp_path: Path) -> None:
    store = KeyStore(1000, tmp_path)
    states = []

    def pieces() -> Iterator[bytes]:
        yield b"so"
        KeyStore(1000, tmp_path).close()  # another process starts and cleans
        states.append([path.name[:5] for path in (tmp_path / "stored").iterdir()])
        yield b"me"

    with store.disk.folder.writing(pieces()) as file:
        KeyStore(1000, tmp_path).close()
        assert store.disk.folder.stored(file).read_bytes() == b"some"
    assert states == [[".new-"]]


def test_key_ids_that_are_none_find_nothing(tmp_path: Path) -> None:
    store = KeyStore(1000, tmp_path)
    for key_id in ("", "../stored", "AB" * 32, "ab" * 31, hashlib.sha256(b"x").hexdigest() + "\n"):
        assert not store.has(Named(), key_id) and get(store, Named(), key_id) is None


def test_servers_on_several_machines_have_no_memory_in_common(tmp_path: Path) -> None:
    """Two stores of a shared folder see what the other one took; SQLite keeps no file that must be mapped."""
    limits = DiskLimits(shared=True)
    first, second = KeyStore(1000, tmp_path, limits), KeyStore(1000, tmp_path, limits)
    key_id = put(first, Named(), b"of the first")
    assert get(second, Named(), key_id) == b"of the first"
    other = put(second, Named(), b"of the second")
    assert get(first, Named(), other) == b"of the second"
    assert not list(tmp_path.glob("catalogue.sqlite-*"))
    first.close()
    second.close()
