"""SEAL's serialised public keys: a ciphertext of zero over all primes, the special one included."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.errors import InputError
from hetorch.interop.seal_format.compression import DEFAULT_COMPRESSION, compression_number
from hetorch.interop.seal_format.members import Members, frame_pieces, members_bytes, read_members
from hetorch.interop.seal_format.orders import to_ours, to_seal
from hetorch.interop.seal_format.parameters import key_parms_id, seal_parameters
from hetorch.interop.seal_format.seeds import UniformSeed
from hetorch.interop.seal_format.stream import Bytes, Reader, Words
from hetorch.params import ParameterSet


@dataclass(frozen=True, slots=True, eq=False)
class SealPublicKey:
    """A public key as SEAL has it.

    `rows` are words (2, max_level + 2, N) in SEAL's order. `seed` is not None where rows[1] is its expansion.
    """

    parameters: ParameterSet
    rows: Words
    seed: UniformSeed | None = None

    @classmethod
    def of(cls, parameters: ParameterSet, key: _native.PublicKey) -> SealPublicKey:
        """Convert a key of SecretKey.public_key(extended=True); InputError for one that is not extended."""
        primes = seal_parameters(parameters).coeff_modulus
        rows = np.asarray(_native.public_key_rows(key))
        if rows.shape[1] != len(primes):
            raise InputError("this public key has no row for the special prime; make it with extended=True")
        return cls(parameters, to_seal(rows, primes))

    def native(self) -> _native.PublicKey:
        """Return the extended key, for encrypt_with_public_key."""
        primes = seal_parameters(self.parameters).coeff_modulus
        return _native.public_key_of_rows(core_context(self.parameters), to_ours(self.rows, primes))


def load_public_key(parameters: ParameterSet, data: Bytes) -> SealPublicKey:
    """Read a public key that SEAL saved, seeded or not; arguments and errors are those of load_ciphertext."""
    what = "a public key of SEAL"
    primes = seal_parameters(parameters).coeff_modulus
    n = parameters.ring_degree
    reader = Reader.of_frame(data, what, members_bytes(2, len(primes), n))
    members = read_members(reader, {key_parms_id(parameters): primes}, n, 2, what)
    return SealPublicKey(parameters, members.rows)


def dump_public_key(
    key: SealPublicKey, *, compression: str = DEFAULT_COMPRESSION, seeded: bool = False
) -> bytes:
    """Write a public key as SEAL saves it; with `seeded` in half the size, InputError if the key has no seed."""
    if seeded and key.seed is None:
        raise InputError("this public key has no seed; write it with seeded=False")
    members = Members(key_parms_id(key.parameters), key.rows, 1.0)
    pieces = members.pieces(seal_parameters(key.parameters).coeff_modulus, key.seed if seeded else None)
    return frame_pieces(pieces, compression_number(compression))
