"""Keys that are packed while their upload comes: the file is the same, and nothing but a whole one is ever kept."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import NoReturn

import pytest

from hetorch.engine.codec import FRAME_BYTES
from hetorch.engine.packed_keys import pack_evaluation_keys
from hetorch.errors import WireError
from hetorch.serving.errors import UploadUnknown
from hetorch.serving.keys import packed_upload, stored_kinds, uploads
from hetorch.serving.keys.catalogue import UploadEntry
from hetorch.serving.keys.disk_store import DiskLimits
from hetorch.serving.keys.key_folder import KeyFolder, NewFile
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.stored_kinds import KeyKind
from hetorch.serving.keys.uploads import UploadLimits, Uploads
from hetorch.serving.models import ServedModel
from tests.server.conftest import Owner


class Server:
    """What one process of a server knows of uploads in a folder."""

    def __init__(self, kind: KeyKind, folder: Path, quota: int | None = None, limit: int = 1 << 40) -> None:
        self.kind = kind
        self.store = KeyStore(1 << 30, folder, DiskLimits(quota=quota))
        self.uploads = Uploads(self.store, UploadLimits(bytes=limit))

    def begin(self, data: bytes) -> tuple[UploadEntry, int]:
        return self.uploads.begin(self.kind, "small", hashlib.sha256(data).hexdigest(), len(data))

    def send(self, upload: UploadEntry, data: bytes, end: int) -> None:
        """Send the bytes up to `end`, and let all of them be packed that are whole."""
        begin = self.uploads.offset(upload)
        writer = self.uploads.write(upload, begin)
        writer.write(data[begin:end])
        for _ in range(len(data)):
            before = stored(self)
            self.uploads.pack(self.kind, upload)
            if stored(self) == before:
                break
        writer.close()


def stored(server: Server) -> dict[str, int]:
    """Return the files of keys and their sizes, those that are not whole too."""
    folder = server.store.disk.folder.path / "stored"
    sizes = {}
    for path in folder.iterdir():
        sizes[path.name] = path.stat().st_size
    return sizes


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "PACK_BYTES", 1)

    def flushed(self: NewFile, piece: bytes, write: object = NewFile.write) -> None:
        assert callable(write)
        write(self, piece)
        self._stream.flush()

    monkeypatch.setattr(NewFile, "write", flushed)


@pytest.fixture
def kind(served: ServedModel) -> KeyKind:
    assert isinstance(served.key_kind, KeyKind)
    return served.key_kind


@pytest.fixture
def expected(kind: KeyKind, owner: Owner) -> bytes:
    key_id = hashlib.sha256(owner.keys).hexdigest()
    upload = io.BytesIO(owner.keys)
    return b"".join(pack_evaluation_keys(kind.parameters, kind.spec, upload, len(owner.keys), key_id))


@pytest.fixture
def server(kind: KeyKind, tmp_path: Path) -> Iterator[Server]:
    server = Server(kind, tmp_path)
    yield server
    server.uploads.close()
    server.store.close()


def cannot() -> NoReturn:
    raise AssertionError("it was packed ahead")


def kept(server: Server) -> bytes:
    """Return the only file, which is whole."""
    (name,) = stored(server)
    assert not name.startswith(".")
    return (server.store.disk.folder.path / "stored" / name).read_bytes()


def test_only_the_last_key_is_left_after_the_last_byte(
    server: Server, owner: Owner, expected: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = owner.keys
    upload, _ = server.begin(data)
    sizes = [0]
    for end in range(len(data) // 50, len(data), len(data) // 50):
        server.send(upload, data, end)
        ((name, size),) = stored(server).items()
        assert name.startswith(".new-")
        sizes.append(size)
    assert sizes == sorted(sizes) and len(set(sizes)) > server.kind.spec.count / 2
    largest = max(after - before for before, after in pairwise(sizes))
    assert len(expected) - sizes[-1] <= largest + 32
    monkeypatch.setattr(stored_kinds, "pack_evaluation_keys", lambda *_: cannot())
    monkeypatch.setattr(KeyKind, "identify", lambda *_: cannot())
    writer = server.uploads.write(upload, server.uploads.offset(upload))
    writer.write(data[writer.offset :])
    writer.close()
    assert server.uploads.finish(server.kind, upload) == hashlib.sha256(data).hexdigest()
    assert kept(server) == expected


def test_a_server_that_was_killed_packs_again(
    kind: KeyKind, owner: Owner, expected: bytes, tmp_path: Path
) -> None:
    data, half = owner.keys, len(owner.keys) // 2
    killed = Server(kind, tmp_path)
    upload, _ = killed.begin(data)
    killed.send(upload, data, half)
    (name,) = stored(killed)
    packed = killed.uploads._active[upload.id].packed
    assert packed is not None
    fcntl.flock(packed.file._descriptor, fcntl.LOCK_UN)  # as the system does at the end of a process
    after = Server(kind, tmp_path)
    assert not stored(after)
    again, offset = after.begin(data)
    assert (again, offset) == (upload, half)
    after.send(upload, data, half + 1)
    assert name not in stored(after) and sum(stored(after).values()) > len(expected) // 3
    after.send(upload, data, len(data))
    after.uploads.finish(kind, upload)
    assert kept(after) == expected
    killed.uploads.close()


@pytest.mark.parametrize("key", [0, 2])
def test_a_malformed_key_is_told_by_its_name_at_once(server: Server, owner: Owner, key: int) -> None:
    spec = server.kind.spec
    place = 100 + key * (len(owner.keys) - FRAME_BYTES) // spec.count
    data = bytearray(owner.keys)
    data[place : place + 2000] = b"\xff" * 2000  # residues that are not below their primes
    upload, _ = server.begin(bytes(data))
    with pytest.raises(WireError, match=rf"^key {key + 1} of {spec.count} \(.*level \d+\) is malformed"):
        server.send(upload, bytes(data), place + len(data) // 2)
    assert not stored(server)
    with pytest.raises(UploadUnknown):
        server.uploads.offset(upload)
    assert server.begin(owner.keys)[1] == 0


def test_another_content_than_was_told_is_not_kept(server: Server, owner: Owner) -> None:
    """The upload is one of these keys, but not the one whose SHA-256 was told."""
    told = hashlib.sha256(b"other").hexdigest()
    upload, _ = server.uploads.begin(server.kind, "small", told, len(owner.keys))
    with pytest.raises(WireError, match="checksum"):
        server.send(upload, owner.keys, len(owner.keys))
        server.uploads.finish(server.kind, upload)
    assert not stored(server) and not server.store.has(server.kind, told)


@pytest.mark.parametrize("limit", ["quota", "limit", "disk"])
def test_what_does_not_fit_beside_the_uploads_is_packed_at_the_end(
    kind: KeyKind,
    owner: Owner,
    expected: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    limit: str,
) -> None:
    data, both = owner.keys, len(owner.keys) + len(expected)
    if limit == "disk":

        def full(self: packed_upload.PackedUpload, *_: object) -> NoReturn:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(packed_upload.PackedUpload, "advance", full)
    limits = {} if limit == "disk" else {limit: both - 1}
    server = Server(kind, tmp_path, **limits)
    upload, _ = server.begin(data)
    server.send(upload, data, len(data))
    assert not stored(server)
    server.uploads.finish(kind, upload)
    assert kept(server) == expected
    if limit != "disk":
        wide = Server(kind, tmp_path / "wide", **{limit: both})
        upload, _ = wide.begin(data)
        wide.send(upload, data, len(data) - 1)
        assert stored(wide)
        wide.uploads.close()


def test_nothing_is_left_of_uploads_that_end_elsewhere(
    server: Server, owner: Owner, kind: KeyKind, tmp_path: Path
) -> None:
    data = owner.keys
    upload, _ = server.begin(data)
    server.send(upload, data, len(data) // 2)
    server.uploads.cancel(upload)
    assert not stored(server)
    upload, _ = server.begin(data)
    server.send(upload, data, len(data) // 2)
    other = Server(kind, tmp_path)
    assert len(stored(server)) == 1  # the other process leaves it alone
    other.uploads.cancel(upload)
    server.uploads.sweep()
    assert not stored(server)


def test_a_server_that_ends_leaves_the_bytes_alone(kind: KeyKind, owner: Owner, tmp_path: Path) -> None:
    server = Server(kind, tmp_path)
    upload, _ = server.begin(owner.keys)
    server.send(upload, owner.keys, 200_000)
    server.uploads.close()
    server.store.close()
    assert not stored(server)
    assert KeyFolder(tmp_path).part(upload.id).stat().st_size == 200_000
