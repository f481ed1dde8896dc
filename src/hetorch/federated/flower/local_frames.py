"""Byte strings on a stream between a node's processes: their number, their lengths, then they."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Protocol

_COUNT = struct.Struct("<Q")


class Readable(Protocol):
    """A stream to read from, until it ends."""

    def read(self, size: int, /) -> bytes: ...


class Writable(Protocol):
    """A stream to write to."""

    def write(self, data: bytes, /) -> object: ...

    def flush(self) -> object: ...


def write_frame(stream: Writable, parts: Sequence[bytes]) -> None:
    """Write byte strings."""
    stream.write(b"".join(_COUNT.pack(number) for number in (len(parts), *map(len, parts))))
    for part in parts:
        stream.write(part)
    stream.flush()


def read_frame(stream: Readable) -> list[bytes]:
    """Return the byte strings of write_frame; EOFError if the other process ended before they were whole."""
    (count,) = _COUNT.unpack(_exactly(stream, _COUNT.size))
    lengths = [_COUNT.unpack(_exactly(stream, _COUNT.size))[0] for _ in range(count)]
    return [_exactly(stream, length) for length in lengths]


def _exactly(stream: Readable, length: int) -> bytes:
    data = stream.read(length)
    if len(data) != length:
        raise EOFError(f"{length} bytes were expected, {len(data)} came")
    return data
