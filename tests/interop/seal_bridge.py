"""Between SEAL's objects and ours: byte formats, orders of evaluation points, and a slow transform of its own.

SEAL stores ciphertexts and keys in its NTT form. Position i of a row holds the value at psi^(2 bitrev(i) + 1), psi the
smallest primitive 2N-th root of unity modulo the prime (SEAL 4, native/src/seal/util/ntt.cpp). Our rows have the same
order with another psi; both are powers of each other, so one is a permutation of the other.

Slots: SEAL's slot j is the value at zeta^(3^j), ours at zeta^(5^j), zeta = exp(pi i / N). As 3^j = +-5^i modulo
2N for one i below N/2, SEAL's slot j is our slot i, conjugated where the sign is minus; and its rotation by k
steps is ours by t with 3^k = +-5^t, followed by a conjugation where the sign is minus (k odd)."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import seal
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet

Words = NDArray[np.uint64]
Loaded = TypeVar("Loaded", seal.Ciphertext, seal.SecretKey)

# SEAL 4 streams without compression. Header: u16 magic, u8 header size, u8 major, u8 minor, u8 compression,
# u16, u64 size.
_HEADER = 16
# Header, parms_id; then plaintexts and secret keys: u64 coefficient count, f64 scale; then a nested array:
# header, u64 count.
_PLAIN_SCALE = _HEADER + 32 + 8
_PLAIN_DATA = _PLAIN_SCALE + 8 + _HEADER + 8
# Ciphertexts: u8 is_ntt, u64 parts, u64 N, u64 primes, f64 scale, u64 correction factor; then the nested array.
_CIPHER_SCALE = _HEADER + 32 + 1 + 24
_CIPHER_DATA = _CIPHER_SCALE + 8 + 8 + _HEADER + 8


def bit_reversed(n: int) -> NDArray[np.int64]:
    bits = n.bit_length() - 1
    index = np.arange(n)
    result = np.zeros(n, dtype=np.int64)
    for bit in range(bits):
        result |= ((index >> bit) & 1) << (bits - 1 - bit)
    return result


def first_root(n: int, q: int) -> int:
    """The smallest g^((q-1)/2n), g = 2, 3, …, of order 2n: ours."""
    return next(r for g in range(2, q) if pow(r := pow(g, (q - 1) // (2 * n), q), n, q) == q - 1)


@lru_cache(maxsize=64)
def smallest_root(n: int, q: int) -> tuple[int, int]:
    """SEAL's root and the exponent k with SEAL's root = ours^k."""
    ours = first_root(n, q)
    square = ours * ours % q
    best, exponent, power = ours, 1, ours
    for k in range(3, 2 * n, 2):
        power = power * square % q
        if power < best:
            best, exponent = power, k
    return best, exponent


@lru_cache(maxsize=64)
def _permutation(n: int, q: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(to_ours, to_seal): ours = seal[to_ours], seal = ours[to_seal]."""
    reverse = bit_reversed(n)
    exponent = smallest_root(n, q)[1] * (2 * reverse + 1) % (2 * n)
    to_seal = reverse[(exponent - 1) // 2]
    to_ours = np.empty(n, dtype=np.int64)
    to_ours[to_seal] = np.arange(n)
    return to_ours, to_seal


@lru_cache(maxsize=8)
def _logarithms(n: int) -> dict[int, int]:
    """i for each 5^i modulo 2n."""
    return {pow(5, i, 2 * n): i for i in range(n // 2)}


def our_rotation(steps: int, n: int) -> tuple[int, bool]:
    """SEAL's rotation by `steps` as our steps and whether a conjugation follows."""
    element = pow(3, steps % (n // 2), 2 * n)
    conjugated = element not in _logarithms(n)
    return _logarithms(n)[2 * n - element if conjugated else element], conjugated


def our_slots(theirs: NDArray[Any]) -> NDArray[Any]:
    """SEAL's slots in our order."""
    slots = np.asarray(theirs)
    result = np.empty_like(slots)
    for j, value in enumerate(slots):
        i, conjugated = our_rotation(j, 2 * len(slots))
        result[i] = value.conj() if conjugated else value
    return result


def coefficients_of_row(row: Words, q: int, root: int) -> list[int]:
    """Inverse negacyclic transform in Python integers: a_k = N^-1 sum_j A_j root^(-k(2j+1)), A_j at root^(2j+1)."""
    n = len(row)
    values = row[bit_reversed(n)].astype(object)  # natural order of j; the reversal is an involution
    inverse = pow(root, -1, q)

    def transform(x: NDArray[np.object_], omega: int) -> NDArray[np.object_]:
        if len(x) == 1:
            return x
        half = len(x) // 2
        even, odd = transform(x[0::2], omega * omega % q), transform(x[1::2], omega * omega % q)
        powers = [1]
        for _ in range(half - 1):
            powers.append(powers[-1] * omega % q)
        turned = odd * np.array(powers, dtype=object) % q
        return np.concatenate(((even + turned) % q, (even - turned) % q))

    twisted = transform(values, inverse * inverse % q)
    scale = pow(n, -1, q)
    result = []
    for value in twisted:
        result.append(int(value) * scale % q)
        scale = scale * inverse % q
    return result


@dataclass(frozen=True)
class SealBridge:
    """A SEAL context with exactly our primes: the chain, then the one special prime, where SEAL expects it."""

    parameters: ParameterSet
    context: seal.SEALContext

    @classmethod
    def over(cls, parameters: ParameterSet) -> SealBridge:
        assert len(parameters.special_primes) == 1
        settings = seal.EncryptionParameters(seal.scheme_type.ckks)
        settings.set_poly_modulus_degree(parameters.ring_degree)
        primes = [*parameters.modulus_chain, *parameters.special_primes]
        settings.set_coeff_modulus([seal.Modulus(p) for p in primes])
        context = seal.SEALContext(settings, True, seal.sec_level_type.none)
        assert context.parameters_set() and context.using_keyswitching(), context.parameter_error_message()
        return cls(parameters, context)

    def bytes_of(self, thing: seal.Ciphertext | seal.Plaintext | seal.SecretKey) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "object")
            thing.save(str(path))
            return path.read_bytes()

    def _loaded(self, thing: Loaded, data: bytes) -> Loaded:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "object")
            path.write_bytes(data)
            thing.load(self.context, str(path))
        return thing

    # Secret keys

    def our_key(self, key: seal.SecretKey) -> SecretKey:
        """Our key with the coefficients of SEAL's."""
        n = self.parameters.ring_degree
        q = self.parameters.modulus_chain[0]
        row = np.frombuffer(self.bytes_of(key), dtype="<u8", offset=_PLAIN_DATA, count=n)
        values = np.array(coefficients_of_row(row, q, smallest_root(n, q)[0]), dtype=object)
        centred = np.where(values > q // 2, values - q, values)
        assert set(centred) == {-1, 0, 1}
        return SecretKey.from_coefficients(self.parameters, centred.astype(np.int8))

    def seal_key(self, coefficients: NDArray[np.int64]) -> seal.SecretKey:
        """SEAL's key with these coefficients: its rows go through a core context whose chain holds all primes."""
        n = self.parameters.ring_degree
        primes = (*self.parameters.modulus_chain, *self.parameters.special_primes)
        context = _native.Context(n, list(primes), [], 1)
        lifted = _native.lift(context, coefficients.astype(np.float64), len(primes) - 1, 1.0)
        rows = [lifted.row(r)[_permutation(n, q)[1]] for r, q in enumerate(primes)]
        template = self.bytes_of(seal.KeyGenerator(self.context).secret_key())
        data = template[:_PLAIN_DATA] + np.concatenate(rows).astype("<u8").tobytes()
        return self._loaded(seal.SecretKey(), data)

    # Ciphertexts

    def rows(self, ciphertext: seal.Ciphertext) -> Words:
        """SEAL's residues in our order, shape (parts, level + 1, N)."""
        n = self.parameters.ring_degree
        shape = (ciphertext.size(), ciphertext.coeff_modulus_size(), n)
        rows = (
            np.frombuffer(self.bytes_of(ciphertext), dtype="<u8", offset=_CIPHER_DATA).reshape(shape).copy()
        )
        for r in range(shape[1]):
            rows[:, r] = rows[:, r, _permutation(n, self.parameters.modulus_chain[r])[0]]
        return rows

    def to_ours(self, ciphertext: seal.Ciphertext) -> _native.Ciphertext:
        rows = self.rows(ciphertext)
        return _native.ciphertext_of_rows(
            core_context(self.parameters), rows.shape[1] - 1, rows.shape[0], ciphertext.scale(), rows
        )

    def to_seal(self, ciphertext: _native.Ciphertext, template: seal.Ciphertext) -> seal.Ciphertext:
        """`template`: any SEAL ciphertext of two parts at the same level, for the parms_id of the level."""
        n = self.parameters.ring_degree
        data = bytearray(self.bytes_of(template))
        assert template.size() == ciphertext.size and template.coeff_modulus_size() == ciphertext.level + 1
        struct.pack_into("<d", data, _CIPHER_SCALE, ciphertext.scale)
        rows = [
            ciphertext.row(part, r)[_permutation(n, self.parameters.modulus_chain[r])[1]]
            for part in range(ciphertext.size)
            for r in range(ciphertext.level + 1)
        ]
        return self._loaded(
            seal.Ciphertext(), bytes(data[:_CIPHER_DATA]) + np.concatenate(rows).astype("<u8").tobytes()
        )


def rows_of(ciphertext: _native.Ciphertext) -> Words:
    """Our residues, shape (parts, level + 1, N)."""
    return np.array(
        [[ciphertext.row(p, r) for r in range(ciphertext.level + 1)] for p in range(ciphertext.size)]
    )
