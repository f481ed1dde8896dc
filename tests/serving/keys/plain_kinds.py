"""Uploads of a few bytes, for tests of the store alone: a file has the bytes of its upload."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeVar

from hetorch.errors import WireError
from hetorch.serving.keys.key_store import KeyStore
from hetorch.serving.keys.stored_kinds import Identity, StoredKind

V = TypeVar("V")
KEY_ID = "ab" * 32


@dataclass(frozen=True, slots=True)
class Named:
    """Uploads that are named by their content, as keys are; those that begin with "bad" are malformed."""

    tenant: str = ""
    what = "keys"
    name = "named"
    memory_bytes = 10
    smallest_upload = 0
    largest_upload = 1 << 20

    def file_bytes(self, upload_bytes: int) -> int:
        return upload_bytes

    def identify(self, upload: BinaryIO) -> Identity:
        content = hashlib.sha256(upload.read()).hexdigest()
        return Identity(content, content)

    def begin(self, length: int, content: str) -> None:
        pass

    def prepare(self, upload: BinaryIO, length: int, content: str) -> Iterator[bytes]:
        data = upload.read()
        assert len(data) == length
        if data.startswith(b"bad"):
            raise WireError("it is bad")
        yield data[:1]
        yield data[1:]

    def open(self, path: Path, key_id: str) -> bytes:
        data = path.read_bytes()
        if data.startswith(b"bad"):
            raise WireError("it is bad")
        return data


@dataclass(frozen=True, slots=True)
class Replaced(Named):
    """Uploads that replace each other, as the weights for one key do."""

    what = "weights"
    name = "replaced"

    def identify(self, upload: BinaryIO) -> Identity:
        return Identity(KEY_ID, hashlib.sha256(upload.read()).hexdigest())


def put(store: KeyStore, kind: StoredKind[object], data: bytes) -> str:
    """Put an upload into a store."""
    return store.put(kind, io.BytesIO(data), len(data))


def files(folder: Path) -> set[bytes]:
    """Return the contents of all stored files."""
    return {path.read_bytes() for path in (folder / "stored").iterdir()}


def get(store: KeyStore, kind: StoredKind[V], key_id: str) -> V | None:
    """Open keys or weights as a worker does: None for what is not there, or is found damaged."""
    path = store.file(kind, key_id)
    if path is None:
        return None
    try:
        return kind.open(path, key_id)
    except (OSError, WireError):
        store.check_file(kind, key_id)
        return None
