"""Files of evaluation keys in the form that the kernels read: written once, and mapped into memory by each process.

All processes that map a file share one copy of it, in the system's page cache. The layout, little-endian, is a header
of 128 bytes (magic "HTPK", u8 version, three zero bytes, u64 length of the keys, 32 bytes that name parameters and
spec, the SHA-256 of the upload, zeros), the keys in the order of the spec (`cpp/codec/packed_keys.h`), and the SHA-256
of everything before it.

A file is only ever written under another name and renamed, and is read-only from then on. Its size and checksum are
checked on the descriptor that is mapped, so a truncated, damaged or replaced file is refused and never mapped. Reading
past the end of a mapped file ends a process (SIGBUS); that needs someone who truncates the file in use, which nothing
in hetorch does, its mode (0400) forbids, and only its owner or root can do on purpose.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.codec import KeyReader, collect_keys
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, KeyLink, all_links
from hetorch.errors import WireError
from hetorch.params import ParameterSet
from hetorch.quantities import count_text

MAGIC = b"HTPK"
FORMAT_VERSION = 1
_HEADER = struct.Struct("<4sB3xQ32s32s48x")
_DIGEST_BYTES = 32
_PIECE_BYTES = 1 << 20
"""Bytes that are read and hashed at a time. Raised, a reader takes more memory and is not faster."""


def packed_file_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    """Return the exact size in bytes of a file with the keys of `spec`."""
    return _HEADER.size + _body_bytes(parameters, spec) + _DIGEST_BYTES


class KeyPacking:
    """Makes a packed file of an upload part by part, as the bytes come: its head, each key, its checksum.

    Args:
        parameters: the parameters of the keys.
        spec: the keys that must be there.
        length: the bytes of the upload, as dump_evaluation_keys made it.
        key_id: its SHA-256 (hex).
    """

    def __init__(self, parameters: ParameterSet, spec: EvaluationKeySpec, length: int, key_id: str) -> None:
        self._context = core_context(parameters)
        self._reader = KeyReader(parameters, spec, length)
        self._upload = bytes.fromhex(key_id)
        self._head = _header(parameters, spec, self._upload)
        self._digest = hashlib.sha256()

    @property
    def next_bytes(self) -> int:
        """The bytes of the upload's next part; 0 when the file is whole."""
        return self._reader.next_bytes

    def pack(self, part: bytes) -> bytes:
        """Take the next part of the upload; return the next bytes of the file. After an error nothing more can be
        packed.

        Raises:
            WireError: the part is not that of an upload of these keys, or the whole has another SHA-256.
        """
        key = self._reader.take(part)
        if key is not None:
            piece = _native.pack_switching_key(self._context, key)
            del key
            # Keys of several sizes leave buffers that the next ones cannot use: hundreds of megabytes without this.
            _native.trim_pool()
        elif self.next_bytes:
            piece = self._head
        elif self._reader.digest != self._upload:
            raise WireError("the checksum of the upload does not match; it was changed on its way")
        else:
            return self._digest.digest()
        self._digest.update(piece)
        return piece


def pack_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, upload: BinaryIO, length: int, key_id: str
) -> Iterator[bytes]:
    """Yield the pieces of a packed file with the keys of a whole upload; one key is in memory at a time.

    Args:
        parameters: as for KeyPacking.
        spec: as for KeyPacking.
        upload: the bytes, from their beginning.
        length: as for KeyPacking.
        key_id: as for KeyPacking.

    Raises:
        WireError: the upload is anything else than these keys.
    """
    packing = KeyPacking(parameters, spec, length, key_id)
    while size := packing.next_bytes:
        yield packing.pack(upload.read(size))


def map_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, path: Path, key_id: str
) -> _native.EvaluationKeys:
    """Check a packed file and return its keys, over a read-only mapping that ends with the last of them.

    Args:
        parameters: the parameters of the keys.
        spec: the keys that must be there.
        path: the file.
        key_id: the SHA-256 (hex) of the upload that it must have been made of.

    Raises:
        WireError: the file has another size, version or checksum, or other keys.
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        size, expected = os.fstat(descriptor).st_size, packed_file_bytes(parameters, spec)
        if size != expected:
            raise WireError(f"the key file has {count_text(size, 'byte')} instead of {expected}")
        _check_content(_header(parameters, spec, bytes.fromhex(key_id)), file, size)
        mapping = mmap.mmap(descriptor, size, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
    data = np.frombuffer(mapping, dtype=np.uint8)  # the mapping ends with the last reference to its bytes
    context = core_context(parameters)
    return collect_keys(parameters, spec, _mapped_keys(context, data, all_links(parameters, spec)))


def _mapped_keys(
    context: _native.Context, data: NDArray[np.uint8], links: Iterable[KeyLink]
) -> Iterator[_native.SwitchingKey]:
    offset = _HEADER.size
    for link in links:
        yield _native.map_switching_key(context, data, offset, link.level, link.family.pair)
        offset += _native.packed_key_bytes(context, link.level, link.family.pair)


def _check_content(expected: bytes, file: BinaryIO, size: int) -> None:
    """Read a file to its end; WireError unless it has the expected header, and its checksum.

    It is read, not mapped: a disk that fails gives an OSError here, and the bytes are in the page cache afterwards.
    """
    head = file.read(_HEADER.size)
    if head != expected:
        raise WireError("the key file is damaged, or of another version, or has other keys")
    digest = hashlib.sha256(head)
    left = size - _HEADER.size - _DIGEST_BYTES
    while left and (piece := file.read(min(left, _PIECE_BYTES))):
        digest.update(piece)
        left -= len(piece)
    if left or digest.digest() != file.read(_DIGEST_BYTES):
        raise WireError("the checksum of the key file does not match; it was changed on the disk")


def _header(parameters: ParameterSet, spec: EvaluationKeySpec, upload: bytes) -> bytes:
    name = hashlib.sha256(parameters.fingerprint() + repr(spec.canonical()).encode())
    return _HEADER.pack(MAGIC, FORMAT_VERSION, _body_bytes(parameters, spec), name.digest(), upload)


def _body_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    context = core_context(parameters)
    links = all_links(parameters, spec)
    return sum(_native.packed_key_bytes(context, link.level, link.family.pair) for link in links)
