"""SEAL's encryption parameters, and the hash of them that identifies each level: the parms_id."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from functools import lru_cache

from hetorch.errors import ParameterError, WireError
from hetorch.interop.seal_format.compression import DEFAULT_COMPRESSION, compression_number
from hetorch.interop.seal_format.stream import HEADER_BYTES, Bytes, Reader, frame
from hetorch.params import ParameterSet, Security
from hetorch.quantities import count_text

BFV, CKKS, BGV = 1, 2, 3
MAX_PRIMES = 64
"""Most primes of a coefficient modulus: SEAL's bound, and hetorch's for a parameter set."""
_MODULUS_BYTES = HEADER_BYTES + 8


@dataclass(frozen=True, slots=True)
class SealParameters:
    """The contents of SEAL's EncryptionParameters.

    The last prime of `coeff_modulus` is the special one; `plain_modulus` is 0 under CKKS. Loading checks no more than
    the form; `to_parameter_set` checks the values.
    """

    scheme: int
    ring_degree: int
    coeff_modulus: tuple[int, ...]
    plain_modulus: int = 0

    @classmethod
    def of(cls, parameters: ParameterSet) -> SealParameters:
        """Return SEAL's parameters of the same ring and primes.

        ParameterError for several special primes or digits of more than one prime, which SEAL does not have.
        """
        if len(parameters.special_primes) != 1 or parameters.digit_size != 1:
            raise ParameterError(
                f"SEAL's key switching has one special prime and digits of one prime, these parameters have "
                f"{count_text(len(parameters.special_primes), 'special prime')} and digit_size "
                f"{parameters.digit_size}; "
                "compile with digit_size=1"
            )
        primes = (*parameters.modulus_chain, *parameters.special_primes)
        return cls(CKKS, parameters.ring_degree, primes)

    def to_parameter_set(self, security: Security = Security.CLASSICAL_128) -> ParameterSet:
        """Return the parameter set of these primes, with SEAL's order of slots; errors are those of ParameterSet."""
        if self.scheme != CKKS:
            raise ParameterError(f"SEAL's scheme {self.scheme} is not CKKS ({CKKS})")
        if len(self.coeff_modulus) < 2:
            raise ParameterError("a single prime leaves none for key switching; give at least two")
        return ParameterSet(
            self.ring_degree,
            self.coeff_modulus[:-1],
            self.coeff_modulus[-1:],
            1,
            security,
            slot_generator=3,
        )

    @classmethod
    def load(cls, data: Bytes) -> SealParameters:
        """Read SEAL's bytes; WireError if they are not parameters."""
        what = "SEAL's parameters"
        reader = Reader.of_frame(data, what, 1 + 16 + (MAX_PRIMES + 1) * _MODULUS_BYTES)
        scheme, ring_degree, count = reader.byte(), reader.number(), reader.number()
        if scheme not in (BFV, CKKS, BGV):
            raise WireError(f"{what}: scheme {scheme} is not one of BFV, CKKS and BGV")
        if not 1 <= count <= MAX_PRIMES:
            raise WireError(f"{what} claim {count_text(count, 'prime')}, expected 1 to {MAX_PRIMES}")
        moduli = [_load_modulus(reader) for _ in range(count + 1)]
        reader.finish()
        return cls(scheme, ring_degree, tuple(moduli[:-1]), moduli[-1])

    def dump(self, compression: str = DEFAULT_COMPRESSION) -> bytes:
        """Write the parameters as SEAL's EncryptionParameters::save does."""
        content = struct.pack("<BQQ", self.scheme, self.ring_degree, len(self.coeff_modulus))
        for modulus in (*self.coeff_modulus, self.plain_modulus):
            content += frame(struct.pack("<Q", modulus))
        return frame(content, compression_number(compression))

    def parms_id(self, prime_count: int) -> bytes:
        """Return the 32 bytes that identify the parameters with the first `prime_count` primes.

        Keys have all primes, a ciphertext has level + 1. The hash is BLAKE2b-256 of the words scheme, ring degree,
        primes, plaintext modulus.
        """
        words = (self.scheme, self.ring_degree, *self.coeff_modulus[:prime_count], self.plain_modulus)
        return hashlib.blake2b(struct.pack(f"<{len(words)}Q", *words), digest_size=32).digest()


@lru_cache(maxsize=64)
def seal_parameters(parameters: ParameterSet) -> SealParameters:
    """Return `SealParameters.of`'s result, from a cache."""
    return SealParameters.of(parameters)


def key_parms_id(parameters: ParameterSet) -> bytes:
    """Return the parms_id of keys: the hash over all primes."""
    seal = seal_parameters(parameters)
    return seal.parms_id(len(seal.coeff_modulus))


def _load_modulus(reader: Reader) -> int:
    inner = reader.nested(8, "a prime")
    value = inner.number()
    inner.finish()
    return value
