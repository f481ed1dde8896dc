"""Protocol Buffers' encoding of fields, as far as TenSEAL's messages need it (protobuf.dev, "Encoding").

A field is a key, number << 3 | wire type, and a value: 0 a varint, 1 eight bytes, 2 a length and as many bytes.
Values equal to their default are not written. The decoder is strict: what no writer of these messages writes is
refused.
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
    """Pairs of field number and value, in their order. `types`: the wire type of each number that may occur. Byte
    fields are views of `data`. WireError for another number or type, or a value beyond the end."""
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
    """As read_fields, for a message whose fields occur at most once each."""
    found: dict[int, Value] = {}
    for number, value in read_fields(data, types, what):
        if number in found:
            raise WireError(f"{what}: field {number} occurs twice")
        found[number] = value
    return found


def read_packed(data: memoryview, most: int, what: str) -> tuple[int, ...]:
    """A packed list of at most `most` unsigned 32-bit numbers."""
    numbers: list[int] = []
    at = 0
    while at < len(data):
        if len(numbers) == most:
            raise WireError(f"{what} holds more than {most} numbers")
        value, at = _read_varint(data, at, what)
        numbers.append(uint32(value, what))
    return tuple(numbers)


def uint32(value: Value, what: str) -> int:
    """A number that must fit 32 bits."""
    if not isinstance(value, int) or value > UINT32_MAX:
        raise WireError(f"{what}: {value!r} is not an unsigned number of 32 bits")
    return value


def flag(value: Value, what: str) -> bool:
    """A bool is written as 0 or 1."""
    if value not in (0, 1):
        raise WireError(f"{what}: {value!r} is not a flag")
    return bool(value)


def write_number(number: int, value: int) -> bytes:
    """A varint field; nothing for 0."""
    return _varint(number << 3 | VARINT) + _varint(value) if value else b""


def write_double(number: int, value: float) -> bytes:
    """A double field; nothing for +0."""
    data = struct.pack("<d", value)
    return _varint(number << 3 | DOUBLE) + data if data != bytes(8) else b""


def write_bytes(number: int, value: Bytes, *, always: bool = False) -> bytes:
    """A field of bytes; nothing for none, unless it is a message or an entry of a list (`always`)."""
    length = memoryview(value).nbytes
    return b"".join((_varint(number << 3 | BYTES), _varint(length), value)) if length or always else b""


def write_packed(number: int, values: tuple[int, ...]) -> bytes:
    """A packed list of numbers."""
    return write_bytes(number, b"".join(_varint(value) for value in values))


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    result = bytearray()
    while value > 127:
        result.append(value & 127 | 128)
        value >>= 7
    result.append(value)
    return bytes(result)


def _read_varint(data: memoryview, at: int, what: str) -> tuple[int, int]:
    """A number of at most 64 bits and the place after it."""
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
