"""Protocol Buffers' encoding of fields, as far as TenSEAL's messages need it (protobuf.dev, "Encoding").

A field is a key, number << 3 | wire type, and a value: for type 0 a varint, for 1 eight bytes, for 2 a length and as
many bytes. Values equal to their default are not written. The decoder is strict: it refuses encodings that no writer
of these messages produces.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from hetorch.errors import WireError
from hetorch.interop.seal_format.stream import Bytes

VARINT, DOUBLE, BYTES = 0, 1, 2
Value = int | float | memoryview
UINT32_MAX = 2**32 - 1


def read_fields(data: Bytes, types: dict[int, int], what: str) -> Iterator[tuple[int, Value]]:
    """Yield pairs of field number and value, in their order; byte fields are views of `data`.

    Args:
        data: a whole message.
        types: the wire type of each field number that may occur.
        what: the message's name in errors.

    Raises:
        WireError: another number or type, or a value beyond the end.
    """
    view = memoryview(data).cast("B")
    at = 0
    while at < len(view):
        key, at = _read_varint(view, at, what)
        number, wire_type = key >> 3, key & 7
        if types.get(number) != wire_type:
            raise WireError(f"{what}: field {number} of wire type {wire_type} is not one of this message")
        if wire_type == VARINT:
            value, at = _read_varint(view, at, what)
            yield number, value
            continue
        length = 8
        if wire_type == BYTES:
            length, at = _read_varint(view, at, what)
        if length > len(view) - at:
            raise WireError(f"{what}: field {number} claims {length} bytes, {len(view) - at} are left")
        piece = view[at : at + length]
        at += length
        yield number, piece if wire_type == BYTES else float(struct.unpack("<d", piece)[0])


def read_once(data: Bytes, types: dict[int, int], what: str) -> dict[int, Value]:
    """Return the values by field number; WireError for a field that occurs twice. Arguments are read_fields'."""
    values: dict[int, Value] = {}
    for number, value in read_fields(data, types, what):
        if number in values:
            raise WireError(f"{what}: field {number} occurs twice")
        values[number] = value
    return values


def read_packed(data: memoryview, most: int, what: str) -> tuple[int, ...]:
    """Return a packed list of at most `most` unsigned 32-bit numbers; WireError for more, or larger ones."""
    numbers: list[int] = []
    at = 0
    while at < len(data):
        if len(numbers) == most:
            raise WireError(f"{what} holds more than {most} numbers")
        value, at = _read_varint(data, at, what)
        numbers.append(uint32(value, what))
    return tuple(numbers)


def uint32(value: Value, what: str) -> int:
    """Return `value`; WireError unless it is an unsigned number of 32 bits."""
    if not isinstance(value, int) or value > UINT32_MAX:
        raise WireError(f"{what}: {value!r} is not an unsigned number of 32 bits")
    return value


def flag(value: Value, what: str) -> bool:
    """Return the bool that is written as 0 or 1; WireError for another number."""
    if value not in (0, 1):
        raise WireError(f"{what}: {value!r} is not a flag")
    return bool(value)


def write_number(number: int, value: int) -> bytes:
    """Return a varint field; nothing for 0."""
    return _varint(number << 3 | VARINT) + _varint(value) if value else b""


def write_double(number: int, value: float) -> bytes:
    """Return a double field; nothing for +0."""
    data = struct.pack("<d", value)
    return _varint(number << 3 | DOUBLE) + data if data != bytes(8) else b""


def write_bytes(number: int, value: Bytes, *, always: bool = False) -> bytes:
    """Return a field of bytes; nothing for no bytes, unless it is a message or an entry of a list (`always`)."""
    return b"".join(bytes_pieces(number, value, always=always))


def bytes_pieces(number: int, *pieces: Bytes, always: bool = False) -> tuple[Bytes, ...]:
    """Return the pieces of a field of bytes that are given in pieces, as `write_bytes` writes them."""
    length = sum(memoryview(piece).nbytes for piece in pieces)
    return (_varint(number << 3 | BYTES) + _varint(length), *pieces) if length or always else ()


def write_packed(number: int, values: tuple[int, ...]) -> bytes:
    """Return a field with a packed list of numbers."""
    return write_bytes(number, b"".join(_varint(value) for value in values))


def _varint(value: int) -> bytes:
    """Return seven bits of `value` a byte, the lowest first; the high bit says that more follow."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def _read_varint(data: memoryview, at: int, what: str) -> tuple[int, int]:
    """Return the number of at most 64 bits at `at`, and the place after it; WireError for a longer one."""
    value = 0
    for shift in range(0, 70, 7):
        if at == len(data):
            raise WireError(f"{what} ends inside a number")
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> 64:
                break
            return value, at
    raise WireError(f"{what}: a number of more than 64 bits")
