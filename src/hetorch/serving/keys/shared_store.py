"""Uploads in an object store (S3 and its like, through fsspec) that several servers share without a common folder.

Each server keeps its own key folder, and finds there what it took itself or fetched before. The shared store holds the
uploads as they came, not the packed files: what is fetched is checked and parsed as if a client had sent it, so that
whoever can write to the store can do no more than a client.

    <url>/<hash of the tenant>/<kind>/<key id>      SHA-256 of the upload (32 bytes), and the upload
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hetorch.errors import StorageError
from hetorch.optional_packages import require
from hetorch.serving.keys.catalogue import Slot

_PIECE_BYTES = 1 << 22
"""Bytes of an upload that are sent or received at a time. Raised, a transfer takes more memory."""
_DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class SharedUpload:
    """An upload in a shared store. `tenant`: the name's hash, which the store has in its place; `what`: "keys" or
    "weights"; `bytes`: the size of the upload."""

    tenant: str
    what: str
    key_id: str
    bytes: int
    path: str


class SharedStore:
    """The store at a URL of fsspec, such as s3://bucket/folder. Safe to use from many threads.

    Every method raises StorageError where the store cannot be reached, or refuses.

    Args:
        url: the address; credentials come from where the store's library looks for them (environment, machine role).

    Raises:
        MissingPackageError: the library for such stores is not installed.
        StorageError: the URL is of no known kind.
    """

    def __init__(self, url: str) -> None:
        if "://" not in url:
            raise StorageError(f"{url} is no address of a shared key store, such as s3://bucket/keys")
        fsspec = require("fsspec", "a shared key store (key_share=, --key-share)")
        try:
            self._files, root = fsspec.core.url_to_fs(url, use_listings_cache=False)
        except ImportError as error:
            raise StorageError(
                f"the shared key store {url} needs a package: {error}; for s3:// install hetorch[s3]"
            ) from error
        except ValueError as error:
            raise StorageError(f"{url} is no address of a shared key store: {error}") from error
        self.url = url
        self._root = root.rstrip("/")

    def content(self, slot: Slot) -> str | None:
        """Return the SHA-256 (hex) of the upload in a slot, or None; one short request."""
        with self._reaching("read"):
            try:
                digest: bytes = self._files.cat_file(self._path(slot), start=0, end=_DIGEST_BYTES)
            except FileNotFoundError:
                return None
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                return None  # an empty object has no such range
        return digest.hex() if len(digest) == _DIGEST_BYTES else None

    def size(self, slot: Slot) -> int:
        """Return the bytes of the upload in a slot; 0 if there is none."""
        with self._reaching("read"):
            try:
                return max(0, int(self._files.info(self._path(slot))["size"]) - _DIGEST_BYTES)
            except FileNotFoundError:
                return 0

    def put(self, slot: Slot, content: str, upload: BinaryIO) -> None:
        """Write an upload, from its beginning, in place of what the slot has. Others see all of it or nothing where
        the store writes objects at once, as S3 does."""
        upload.seek(0)
        path = self._path(slot)
        with self._reaching("written"):
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            with self._files.open(path, "wb") as file:
                file.write(bytes.fromhex(content))
                while piece := upload.read(_PIECE_BYTES):
                    file.write(piece)

    def fetch(self, slot: Slot, target: BinaryIO, length: int) -> str | None:
        """Write the upload of a slot, of `length` bytes, to a file; return its SHA-256 (hex).

        None if there is no such upload, or one that is not whole.
        """
        digest, left = hashlib.sha256(), length
        with self._reaching("read"):
            try:
                with self._files.open(self._path(slot), "rb") as file:
                    told = file.read(_DIGEST_BYTES)
                    while left and (piece := file.read(min(left, _PIECE_BYTES))):
                        digest.update(piece)
                        target.write(piece)
                        left -= len(piece)
                    longer = bool(file.read(1))
            except FileNotFoundError:
                return None
        return digest.hexdigest() if told == digest.digest() and not left and not longer else None

    def delete(self, slot: Slot) -> bool:
        """Delete what a slot has; True if there was something."""
        if self.content(slot) is None:  # a store may answer alike whether there was something or not
            return False
        with self._reaching("written"), contextlib.suppress(FileNotFoundError):
            self._files.rm_file(self._path(slot))
        return True

    def uploads(self, tenant: str | None = None, key_id: str | None = None) -> list[SharedUpload]:
        """Return what the store has; only what belongs to a tenant or a key id if they are given."""
        with self._reaching("read"):
            try:
                paths = self._files.find(self._root, detail=True)
            except FileNotFoundError:
                return []
        found = []
        for path, info in sorted(paths.items()):
            parts = path.removeprefix(self._root).strip("/").split("/")
            if len(parts) != 3 or (tenant is not None and parts[0] != _tenant_hash(tenant)):
                continue
            if key_id is None or parts[2] == key_id:
                size = max(0, int(info["size"]) - _DIGEST_BYTES)
                found.append(SharedUpload(parts[0], parts[1].partition("-")[0], parts[2], size, path))
        return found

    def delete_uploads(self, uploads: list[SharedUpload]) -> None:
        """Delete these uploads; those that are gone do no harm."""
        for upload in uploads:
            with self._reaching("written"), contextlib.suppress(FileNotFoundError):
                self._files.rm_file(upload.path)

    def _path(self, slot: Slot) -> str:
        return f"{self._root}/{_tenant_hash(slot.tenant)}/{slot.kind}/{slot.key_id}"

    @contextlib.contextmanager
    def _reaching(self, use: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # each store's library has errors of its own
            raise StorageError(
                f"the shared key store {self.url} cannot be {use}: {_reason(error)}"
            ) from error


def _tenant_hash(tenant: str) -> str:
    """Return a name for a tenant that every store takes: its own may hold any characters."""
    return hashlib.sha256(tenant.encode()).hexdigest()[:32]


def _reason(error: Any) -> str:
    return str(getattr(error, "strerror", None) or error) or type(error).__name__
