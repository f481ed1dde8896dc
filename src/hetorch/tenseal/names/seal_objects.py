"""SEAL's objects as programs read them behind `.data`: parameters and keys, with the methods that tell their sizes.

Each holds hetorch's own object, or seal-python's under BFV, as `native`. The methods have SEAL's names and results.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from hetorch.interop.seal_format import SealParameters
from hetorch.params import is_prime
from hetorch.tenseal.scheme.enums import SCHEME_TYPE


@dataclass(frozen=True, slots=True)
class Modulus:
    """A prime of the chain, or the plain modulus."""

    _value: int

    def value(self) -> int:
        return self._value

    def bit_count(self) -> int:
        return self._value.bit_length()

    def is_zero(self) -> bool:
        return self._value == 0

    def is_prime(self) -> bool:
        return is_prime(self._value)


@dataclass(frozen=True, slots=True)
class EncryptionParameters:
    """The parameters with the first primes of a chain."""

    _seal: SealParameters

    def scheme(self) -> SCHEME_TYPE:
        return SCHEME_TYPE(self._seal.scheme)

    def poly_modulus_degree(self) -> int:
        return self._seal.ring_degree

    def coeff_modulus(self) -> list[Modulus]:
        return [Modulus(prime) for prime in self._seal.coeff_modulus]

    def plain_modulus(self) -> Modulus:
        return Modulus(self._seal.plain_modulus)


@dataclass(frozen=True, slots=True)
class ContextData:
    """One level of the chain: its first `_count` primes."""

    _seal: SealParameters
    _count: int

    def parms(self) -> EncryptionParameters:
        seal = self._seal
        primes = seal.coeff_modulus[: self._count]
        return EncryptionParameters(SealParameters(seal.scheme, seal.ring_degree, primes, seal.plain_modulus))

    def parms_id(self) -> list[int]:
        return _parms_id(self._seal, self._count)

    def chain_index(self) -> int:
        return self._count - 1

    def total_coeff_modulus_bit_count(self) -> int:
        product = 1
        for prime in self._seal.coeff_modulus[: self._count]:
            product *= prime
        return product.bit_length()

    def next_context_data(self) -> ContextData | None:
        return ContextData(self._seal, self._count - 1) if self._count > 1 else None

    def prev_context_data(self) -> ContextData | None:
        above = self._count + 1
        return ContextData(self._seal, above) if above <= len(self._seal.coeff_modulus) else None


@dataclass(frozen=True, slots=True)
class SEALContext:
    """The chain of parameters of a context; `native` is a ParameterSet, or seal-python's SEALContext."""

    native: Any
    _seal: SealParameters

    def key_context_data(self) -> ContextData:
        return ContextData(self._seal, len(self._seal.coeff_modulus))

    def first_context_data(self) -> ContextData:
        return ContextData(self._seal, len(self._seal.coeff_modulus) - 1)

    def last_context_data(self) -> ContextData:
        return ContextData(self._seal, 1)

    def key_parms_id(self) -> list[int]:
        return self.key_context_data().parms_id()

    def first_parms_id(self) -> list[int]:
        return self.first_context_data().parms_id()

    def last_parms_id(self) -> list[int]:
        return self.last_context_data().parms_id()

    def get_context_data(self, parms_id: list[int]) -> ContextData | None:
        levels = (ContextData(self._seal, count + 1) for count in range(len(self._seal.coeff_modulus)))
        return next((level for level in levels if level.parms_id() == list(parms_id)), None)

    def parameters_set(self) -> bool:
        return True

    def using_keyswitching(self) -> bool:
        return True


@dataclass(frozen=True, slots=True)
class Polynomials:
    """The polynomials of a key, by their sizes: `size` of them over `coeff_modulus_size` primes."""

    _seal: SealParameters
    _size: int
    scale: float = 1.0

    def size(self) -> int:
        return self._size

    def poly_modulus_degree(self) -> int:
        return self._seal.ring_degree

    def coeff_modulus_size(self) -> int:
        return len(self._seal.coeff_modulus)

    def coeff_count(self) -> int:
        return self._seal.ring_degree * len(self._seal.coeff_modulus)

    def is_ntt_form(self) -> bool:
        return True

    def parms_id(self) -> list[int]:
        return _parms_id(self._seal, len(self._seal.coeff_modulus))


@dataclass(frozen=True, slots=True)
class Key:
    """A key: `native` is hetorch's own object, or seal-python's under BFV. No repr shows it."""

    native: Any
    _seal: SealParameters

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of ring degree {self._seal.ring_degree}>"

    def parms_id(self) -> list[int]:
        return _parms_id(self._seal, len(self._seal.coeff_modulus))


class SecretKey(Key):
    """The secret key, a plaintext over all primes."""

    def data(self) -> Polynomials:
        return Polynomials(self._seal, 1)


class PublicKey(Key):
    """The public key, a ciphertext of zero over all primes."""

    def data(self) -> Polynomials:
        return Polynomials(self._seal, 2)


class RelinKeys(Key):
    """The relinearisation key, for the square of the secret one."""

    def size(self) -> int:
        return 1

    def has_key(self, key_power: int) -> bool:
        return key_power == 2

    def get_index(self, key_power: int) -> int:
        return key_power - 2


class GaloisKeys(Key):
    """The keys of rotations, by Galois element."""

    def size(self) -> int:
        return int(len(self.native) if isinstance(self.native, dict) else self.native.size())

    def has_key(self, galois_element: int) -> bool:
        if isinstance(self.native, dict):
            return galois_element in self.native
        return bool(self.native.has_key(galois_element))

    def get_index(self, galois_element: int) -> int:
        return (galois_element - 1) // 2


def _parms_id(seal: SealParameters, count: int) -> list[int]:
    return list(struct.unpack("<4Q", seal.parms_id(count)))
