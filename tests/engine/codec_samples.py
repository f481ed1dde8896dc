"""One dumped object of each kind over small rings, and the ways to break it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from hetorch.engine import codec
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet, Security
from tests.engine.key_blobs import blob_of, fresh_blob

HEADER_BYTES = 48  # magic 4, version 1, kind 1, reserved 2, fingerprint 32, length 8
DIGEST_BYTES = 32
KINDS = ("fresh", "computed", "three parts", "evaluation keys", "public key")


@dataclass(frozen=True)
class Sample:
    """A blob, and how its reader turns bytes back into the same blob (raising what it raises)."""

    name: str
    data: bytes
    again: Callable[[bytes], bytes]
    parse_body: Callable[[bytes], object]

    def framed(self, body: bytes) -> bytes:
        """`body` in this blob's frame, with the right length and checksum: only the inner parser can object."""
        head = self.data[: HEADER_BYTES - 8] + len(body).to_bytes(8, "little")
        return sealed(head + body + bytes(DIGEST_BYTES))

    @property
    def body(self) -> bytes:
        return self.data[HEADER_BYTES:-DIGEST_BYTES]


def sealed(data: bytes) -> bytes:
    """Return the bytes with the right checksum."""
    return data[:-DIGEST_BYTES] + hashlib.sha256(data[:-DIGEST_BYTES]).digest()


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << (bit % 8)
    return bytes(changed)


@lru_cache(maxsize=4)
def parameters(bits: int = 30) -> ParameterSet:
    """Ring degree 2^10, so that a whole blob is small enough to break at every byte."""
    return ParameterSet.from_bits(1 << 10, [36, bits], [37], security=Security.NONE)


SPEC = EvaluationKeySpec(1, ((5, 1), (25, 0), (2047, 1)))


@lru_cache(maxsize=8)
def sample(kind: str) -> Sample:
    p = parameters()
    key = SecretKey.generate(p)
    values = np.linspace(-1, 1, p.slot_count)
    if kind == "evaluation keys":
        data = fresh_blob(key, SPEC)
        return Sample(
            kind,
            data,
            lambda d: blob_of(p, SPEC, codec.load_evaluation_keys(p, SPEC, d)),
            lambda body: codec.load_evaluation_keys(p, SPEC, body),
        )
    if kind == "public key":
        return Sample(
            kind,
            codec.dump_public_key(p, key.public_key()),
            lambda d: codec.dump_public_key(p, codec.load_public_key(p, d)),
            lambda body: codec.load_public_key(p, body),
        )
    engine = NativeEngine(p)
    ciphertext = key.encrypt(values, scale=2.0**30)
    if kind == "computed":
        ciphertext = engine.add(ciphertext, ciphertext)
    if kind == "three parts":
        ciphertext = engine._core.multiply_raw(ciphertext, ciphertext)
    return Sample(
        kind,
        codec.dump_ciphertext(p, ciphertext),
        lambda d: codec.dump_ciphertext(p, codec.load_ciphertext(p, d)),
        lambda body: codec.load_ciphertext(p, body),
    )
