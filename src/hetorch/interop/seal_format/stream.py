"""SEAL's frame, a header of 16 bytes before a content, and a reader that never reads beyond its bytes.

Header: u16 0xA15E, u8 size of the header (16), u8 major and u8 minor version, u8 compression, two zero bytes, u64
size of header and content. All numbers are little-endian.
"""

from __future__ import annotations

import struct

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import WireError
from hetorch.interop.seal_format.compression import NONE, compress, decompress

Words = NDArray[np.uint64]
Bytes = bytes | bytearray | memoryview

MAGIC = 0xA15E
HEADER_BYTES = 16
MAJOR_VERSION, MINOR_VERSION = 4, 3
_HEADER = struct.Struct("<HBBBBHQ")


def frame(content: Bytes, mode: int = NONE) -> bytes:
    """Return `content` compressed, behind its header."""
    body = compress(mode, content)
    return b"".join((header(len(body), mode), body))


def header(size: int, mode: int = NONE) -> bytes:
    """Return the header of a body of `size` bytes."""
    return _HEADER.pack(MAGIC, HEADER_BYTES, MAJOR_VERSION, MINOR_VERSION, mode, 0, HEADER_BYTES + size)


class Reader:
    """A reader that takes numbers and arrays from the front of bytes; WireErrors call the bytes `what`."""

    def __init__(self, data: memoryview, what: str) -> None:
        self._data = data
        self._what = what
        self._at = 0

    @classmethod
    def of_frame(cls, data: Bytes, what: str, limit: int) -> Reader:
        """Return a reader of the content of one frame, all of `data`, that decompresses to at most `limit` bytes."""
        view = memoryview(data).cast("B")
        mode, size = _parse_header(view, what)
        if size != len(view):
            raise WireError(f"{what} claims {size} bytes, but there are {len(view)}")
        return cls(decompress(mode, view[HEADER_BYTES:], limit), what)

    @property
    def left(self) -> int:
        return len(self._data) - self._at

    def take(self, count: int) -> memoryview:
        if count > self.left:
            raise WireError(f"{self._what} ends too early: {count} bytes expected, {self.left} left")
        self._at += count
        return self._data[self._at - count : self._at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def real(self) -> float:
        (value,) = struct.unpack("<d", self.take(8))
        return float(value)

    def expect(self, expected: int, name: str) -> None:
        """Take a u64 that can only be `expected`; `name` is its name in the message."""
        seen = self.number()
        if seen != expected:
            raise WireError(f"{self._what}: {name} is {seen}, expected {expected}")

    def words(self, count: int) -> Words:
        """Take a nested array of exactly `count` words, as a view of the bytes."""
        content = self.nested(8 + 8 * count, "an array")
        content.expect(count, "the length of an array")
        return np.frombuffer(content.take(8 * count), dtype="<u8")

    def nested(self, most: int, name: str) -> Reader:
        """Take a frame inside this one, never compressed, with a content of at most `most` bytes."""
        what = f"{self._what}: {name}"
        mode, size = _parse_header(self._data[self._at :], what)
        if mode != NONE:
            raise WireError(f"{what} is compressed by itself")
        if size - HEADER_BYTES > most:
            raise WireError(f"{what} claims {size - HEADER_BYTES} bytes, at most {most} are possible here")
        return Reader(self.take(size)[HEADER_BYTES:], what)

    def finish(self) -> None:
        if self.left:
            raise WireError(f"{self._what} is followed by {self.left} bytes more")


def array_frame(words: Words) -> bytes:
    """Return words as SEAL nests them: in a frame, behind their number."""
    data = np.ascontiguousarray(words, dtype="<u8").reshape(-1)
    return frame(struct.pack("<Q", data.size) + data.tobytes())


def _parse_header(data: memoryview, what: str) -> tuple[int, int]:
    """Return the compression and the size of the frame at the front of `data`."""
    if len(data) < HEADER_BYTES:
        raise WireError(f"{what} has {len(data)} bytes, fewer than a header's {HEADER_BYTES}")
    magic, header_size, major, minor, mode, _, size = _HEADER.unpack(data[:HEADER_BYTES])
    if magic != MAGIC or header_size != HEADER_BYTES:
        raise WireError(f"{what} does not begin with SEAL's header")
    if major != MAJOR_VERSION:
        raise WireError(f"{what} was written by SEAL {major}.{minor}; SEAL {MAJOR_VERSION} is read here")
    if size < HEADER_BYTES:
        raise WireError(f"{what} claims {size} bytes, fewer than its header")
    return mode, size
