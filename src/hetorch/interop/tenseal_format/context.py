"""TenSEAL's message of a context: the parameters, the public members and, in a private context, the secret key.

TenSEALContextProto: 1 bytes encryption_parameters, 2 public_context, 3 private_context, 4 uint32 encryption_type.
TenSEALPublicProto: 1 bytes public_key, 2 uint32 auto_flags, 3 double scale, 4 bytes relin_keys, 5 bytes galois_keys.
TenSEALPrivateProto: 1 bytes secret_key, 2 bool relin_keys_generated, 3 bool galois_keys_generated.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hetorch.errors import WireError
from hetorch.interop.seal_format.stream import Bytes
from hetorch.interop.tenseal_format.fields import (
    BYTES,
    DOUBLE,
    VARINT,
    Value,
    bytes_pieces,
    flag,
    read_once,
    uint32,
    write_bytes,
    write_double,
    write_number,
)

ASYMMETRIC, SYMMETRIC = 0, 1
"""The values of `encryption_type`, as in TenSEAL's ENCRYPTION_TYPE."""
AUTO_RELIN, AUTO_RESCALE, AUTO_MOD_SWITCH = 1, 2, 4
"""Bits of `auto_flags`."""
NO_SCALE = -1.0
"""The global scale that TenSEAL writes for a context without one."""


@dataclass(frozen=True, slots=True)
class PrivateMessage:
    """The private part of a context: SEAL's bytes of the secret key, which no repr shows.

    The flags tell the reader to make relinearisation and Galois keys anew from it.
    """

    secret_key: Bytes = field(repr=False)
    relin_keys_generated: bool = False
    galois_keys_generated: bool = False


@dataclass(frozen=True, slots=True)
class ContextMessage:
    """A context. Byte fields are SEAL's bytes, empty for a missing object; `global_scale` is NO_SCALE if unset.

    A message with a private part holds no relinearisation and Galois keys: its reader makes them anew.
    """

    encryption_parameters: Bytes
    public_key: Bytes = b""
    auto_flags: int = AUTO_RELIN | AUTO_RESCALE | AUTO_MOD_SWITCH
    global_scale: float = NO_SCALE
    relin_keys: Bytes = b""
    galois_keys: Bytes = b""
    private: PrivateMessage | None = None
    encryption_type: int = ASYMMETRIC

    @classmethod
    def load(cls, data: Bytes) -> ContextMessage:
        """Read TenSEAL's bytes; the fields are views of them. WireError if they are not a context."""
        what = "TenSEAL's context"
        values = read_once(data, {1: BYTES, 2: BYTES, 3: BYTES, 4: VARINT}, what)
        encryption_type = uint32(values.get(4, 0), what)
        if encryption_type not in (ASYMMETRIC, SYMMETRIC):
            raise WireError(
                f"{what}: encryption type {encryption_type} is not 0 (asymmetric) or 1 (symmetric)"
            )
        if 1 not in values:
            raise WireError(f"{what} has no encryption parameters")
        public = read_once(
            _bytes(values, 2),
            {1: BYTES, 2: VARINT, 3: DOUBLE, 4: BYTES, 5: BYTES},
            f"{what}, public part",
        )
        scale = public.get(3, 0.0)
        assert isinstance(scale, float)
        if not (scale == NO_SCALE or 0 <= scale < 2.0**1000):
            raise WireError(f"{what}: the global scale {scale:g} is out of range")
        return cls(
            encryption_parameters=_bytes(values, 1),
            public_key=_bytes(public, 1),
            auto_flags=uint32(public.get(2, 0), what),
            global_scale=scale,
            relin_keys=_bytes(public, 4),
            galois_keys=_bytes(public, 5),
            private=_load_private(_bytes(values, 3), f"{what}, private part") if 3 in values else None,
            encryption_type=encryption_type,
        )

    def dump(self) -> bytes:
        """Write the context as TenSEAL does."""
        # Keys are large, and copied once.
        public = (
            *bytes_pieces(1, self.public_key),
            write_number(2, self.auto_flags),
            write_double(3, self.global_scale),
            *bytes_pieces(4, self.relin_keys),
            *bytes_pieces(5, self.galois_keys),
        )
        fields = [
            write_bytes(1, self.encryption_parameters),
            *bytes_pieces(2, *public, always=True),
        ]
        if self.private is not None:
            private = (
                write_bytes(1, self.private.secret_key),
                write_number(2, self.private.relin_keys_generated),
                write_number(3, self.private.galois_keys_generated),
            )
            fields.append(write_bytes(3, b"".join(private), always=True))
        fields.append(write_number(4, self.encryption_type))
        return b"".join(fields)


def _load_private(data: Bytes, what: str) -> PrivateMessage:
    values = read_once(data, {1: BYTES, 2: VARINT, 3: VARINT}, what)
    return PrivateMessage(
        _bytes(values, 1),
        flag(values.get(2, 0), what),
        flag(values.get(3, 0), what),
    )


def _bytes(values: dict[int, Value], number: int) -> Bytes:
    value = values.get(number, b"")
    assert isinstance(value, bytes | memoryview)
    return value
