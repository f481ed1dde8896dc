"""TenSEAL's messages of encrypted vectors and tensors: sizes or a shape, and SEAL's ciphertexts.

CKKSVectorProto: 1 repeated uint32 sizes, 2 repeated bytes ciphertexts, 3 double scale.
CKKSTensorProto: 1 repeated uint32 shape, 2 repeated bytes ciphertexts, 3 double scale, 4 uint32 batch_size.
BFVVectorProto: 1 and 2 as in CKKSVectorProto. BFVTensorProto: 1 and 2 as in CKKSTensorProto, 3 uint32 batch_size.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetorch.errors import WireError
from hetorch.interop.seal_format.stream import HEADER_BYTES, Bytes
from hetorch.interop.tenseal_format.fields import (
    BYTES,
    DOUBLE,
    VARINT,
    read_fields,
    read_packed,
    uint32,
    write_bytes,
    write_double,
    write_number,
    write_packed,
)
from hetorch.quantities import count_text

MAX_CIPHERTEXTS = 1 << 20
"""Most ciphertexts of one message; a higher limit lets a message of a stranger cost more memory."""
MAX_DIMENSIONS = 31
"""Most dimensions of an encrypted tensor: numpy walks arrays of up to 32, and a batch is one more."""


@dataclass(frozen=True, slots=True)
class CkksVectorMessage:
    """A CKKS vector: ciphertext i (SEAL's bytes) holds `sizes[i]` values; `scale` is the one it was encrypted at."""

    sizes: tuple[int, ...]
    ciphertexts: tuple[Bytes, ...]
    scale: float

    @classmethod
    def load(cls, data: Bytes) -> CkksVectorMessage:
        """Read TenSEAL's bytes; ciphertexts are views of them. WireError if they are not a CKKSVector."""
        raw = _load(data, "TenSEAL's CKKSVector", MAX_CIPHERTEXTS, scale_field=3, batch_field=None)
        _check_sizes(raw, "TenSEAL's CKKSVector")
        return cls(raw.numbers, raw.ciphertexts, raw.scale)

    def dump(self) -> bytes:
        """Write the message as TenSEAL does."""
        return _start(self.sizes, self.ciphertexts) + write_double(3, self.scale)


@dataclass(frozen=True, slots=True)
class CkksTensorMessage:
    """A CKKS tensor of `shape`, with one ciphertext for each entry in row-major order.

    With `batch_size` the slots hold a first axis of that length, which `shape` leaves out.
    """

    shape: tuple[int, ...]
    ciphertexts: tuple[Bytes, ...]
    scale: float
    batch_size: int | None = None

    @classmethod
    def load(cls, data: Bytes) -> CkksTensorMessage:
        """Read TenSEAL's bytes; ciphertexts are views of them. WireError if they are not a CKKSTensor."""
        raw = _load(data, "TenSEAL's CKKSTensor", MAX_DIMENSIONS, scale_field=3, batch_field=4)
        _check_shape(raw, "TenSEAL's CKKSTensor")
        return cls(raw.numbers, raw.ciphertexts, raw.scale, raw.batch_size)

    def dump(self) -> bytes:
        """Write the message as TenSEAL does."""
        end = write_double(3, self.scale) + write_number(4, self.batch_size or 0)
        return _start(self.shape, self.ciphertexts) + end


@dataclass(frozen=True, slots=True)
class BfvVectorMessage:
    """A vector of exact integers; fields as in CkksVectorMessage."""

    sizes: tuple[int, ...]
    ciphertexts: tuple[Bytes, ...]

    @classmethod
    def load(cls, data: Bytes) -> BfvVectorMessage:
        """Read TenSEAL's bytes; WireError if they are not a BFVVector."""
        raw = _load(data, "TenSEAL's BFVVector", MAX_CIPHERTEXTS, scale_field=None, batch_field=None)
        _check_sizes(raw, "TenSEAL's BFVVector")
        return cls(raw.numbers, raw.ciphertexts)

    def dump(self) -> bytes:
        """Write the message as TenSEAL does."""
        return _start(self.sizes, self.ciphertexts)


@dataclass(frozen=True, slots=True)
class BfvTensorMessage:
    """A tensor of exact integers; fields as in CkksTensorMessage."""

    shape: tuple[int, ...]
    ciphertexts: tuple[Bytes, ...]
    batch_size: int | None = None

    @classmethod
    def load(cls, data: Bytes) -> BfvTensorMessage:
        """Read TenSEAL's bytes; WireError if they are not a BFVTensor."""
        raw = _load(data, "TenSEAL's BFVTensor", MAX_DIMENSIONS, scale_field=None, batch_field=3)
        _check_shape(raw, "TenSEAL's BFVTensor")
        return cls(raw.numbers, raw.ciphertexts, raw.batch_size)

    def dump(self) -> bytes:
        """Write the message as TenSEAL does."""
        return _start(self.shape, self.ciphertexts) + write_number(3, self.batch_size or 0)


@dataclass(frozen=True, slots=True)
class _Raw:
    """The fields of the four messages; those that a message lacks have their defaults."""

    numbers: tuple[int, ...]
    ciphertexts: tuple[Bytes, ...]
    scale: float
    batch_size: int | None


def _load(
    data: Bytes, what: str, most_numbers: int, *, scale_field: int | None, batch_field: int | None
) -> _Raw:
    types = {1: BYTES, 2: BYTES}
    if scale_field is not None:
        types[scale_field] = DOUBLE
    if batch_field is not None:
        types[batch_field] = VARINT
    numbers: tuple[int, ...] | None = None
    ciphertexts: list[Bytes] = []
    once: dict[int, float] = {}
    for number, value in read_fields(data, types, what):
        if isinstance(value, memoryview):
            if number == 1:
                if numbers is not None:
                    raise WireError(f"{what}: field 1 occurs twice")
                numbers = read_packed(value, most_numbers, what)
                continue
            if len(value) < HEADER_BYTES or len(ciphertexts) == MAX_CIPHERTEXTS:
                raise WireError(f"{what}: ciphertext {len(ciphertexts)} is too short or one too many")
            ciphertexts.append(value)
            continue
        if number in once:
            raise WireError(f"{what}: field {number} occurs twice")
        once[number] = value
    scale = 0.0 if scale_field is None else once.get(scale_field, 0.0)
    if scale_field is not None and not 0 < scale < 2.0**1000:
        raise WireError(f"{what}: the scale {scale:g} is out of range")
    batch = None if batch_field is None or batch_field not in once else uint32(once[batch_field], what)
    return _Raw(numbers or (), tuple(ciphertexts), scale, batch)


def _check_sizes(raw: _Raw, what: str) -> None:
    if len(raw.numbers) != len(raw.ciphertexts):
        raise WireError(
            f"{what} has {count_text(len(raw.numbers), 'size')} and {count_text(len(raw.ciphertexts), 'ciphertext')}"
        )


def _check_shape(raw: _Raw, what: str) -> None:
    # With an axis of size 0 the ciphertexts do not bound the other axes, and numpy does not take every shape.
    if math.prod(max(size, 1) for size in raw.numbers) > MAX_CIPHERTEXTS:
        raise WireError(f"{what} of shape {raw.numbers}: at most {MAX_CIPHERTEXTS} entries are read")
    if math.prod(raw.numbers) != len(raw.ciphertexts):
        raise WireError(f"{what} of shape {raw.numbers} has {count_text(len(raw.ciphertexts), 'ciphertext')}")


def _start(numbers: tuple[int, ...], ciphertexts: tuple[Bytes, ...]) -> bytes:
    return b"".join((write_packed(1, numbers), *(write_bytes(2, one, always=True) for one in ciphertexts)))
