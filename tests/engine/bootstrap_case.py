"""A data owner with bootstrapping keys on a small insecure ring, and exact decryption in Python integers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native, _secret
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrapping import PlannedBootstrap
from hetorch.engine.keys import SparseSecret
from hetorch.engine.native import Ciphertext, NativeEngine, PreparedBootstrap, prepare_bootstrap
from hetorch.engine.secret import SecretKey
from hetorch.params import KeyFamily, Security
from hetorch.params.bootstrap_set import BootstrapSet, bootstrap_parameters, bootstrap_set_of_sizes
from hetorch.params.bootstrap_sizes import REDUCTION_DEPTH, SMALL_RING, standard_sizes
from tests.interop.seal_bridge import coefficients_of_row, first_root

SCALE = 2.0**40
"""The scale of a slot of 1 in a small_set."""


def small_set(
    ring_degree: int,
    to_coefficients: tuple[int, ...],
    to_slots: tuple[int, ...],
    *,
    user_levels: int = 2,
    babies: tuple[int, int] = (4, 4),
) -> BootstrapSet:
    """Return a set with the standard sizes of primes on a small ring; the stages tell the number of slots."""
    chain = (
        45,
        *[30] * len(to_coefficients),
        *[40] * user_levels,
        *[45] * REDUCTION_DEPTH,
        *[42] * (len(to_slots) - 1),
    )
    low_family = KeyFamily(3, 3)
    parameters = bootstrap_parameters(
        ring_degree, chain, (45,) * 7, digit_size=6, low_family=low_family, security=Security.NONE
    )
    return BootstrapSet(parameters, 1 << sum(to_coefficients), to_coefficients, to_slots, low_family, babies)


def with_sizes_of_small_ring(user_levels: int, ring_degree: int) -> BootstrapSet:
    """Return the set with the sizes of primes that the ring of degree 2^15 has, on a smaller ring, in all its slots."""
    return bootstrap_set_of_sizes(
        standard_sizes(SMALL_RING, user_levels),
        ring_degree // 2,
        ring_degree=ring_degree,
        security=Security.NONE,
        babies=(4, 4),
    )


class SparseKeys:
    """Keeps the sparse secret, which nobody but a test ever sees."""

    def keep(self, draw: Callable[..., _secret.SecretKey]) -> Callable[..., _secret.SecretKey]:
        def drawn(key: SecretKey, shape: SparseSecret) -> _secret.SecretKey:
            self.core = draw(key, shape)
            return self.core

        return drawn


@dataclass(frozen=True)
class Case:
    """One set with its key, keys and prepared maps."""

    bootstrap_set: BootstrapSet
    key: SecretKey
    sparse: SparseKeys
    prepared: PreparedBootstrap
    engine: NativeEngine

    @classmethod
    def make(cls, bootstrap_set: BootstrapSet, bound: float = 1.0) -> Case:
        key = SecretKey.generate(bootstrap_set.parameters)
        scale = 2.0**bootstrap_set.user_bits
        prepared = prepare_bootstrap(PlannedBootstrap(bootstrap_set, scale, scale, bound))
        sparse = SparseKeys()
        with patch.object(SecretKey, "_draw_sparse", sparse.keep(SecretKey._draw_sparse)):
            keys = key.evaluation_keys(bootstrap_keys(bootstrap_set))
        engine = NativeEngine(bootstrap_set.parameters, evaluation_keys=keys)
        return cls(bootstrap_set, key, sparse, prepared, engine)

    @property
    def scale(self) -> float:
        """The scale of a slot of 1 before and after."""
        return 2.0**self.bootstrap_set.user_bits

    @property
    def evaluator(self) -> _native.Evaluator:
        return self.engine._core

    def values(self, seed: int, bound: float = 1.0) -> NDArray[np.float64]:
        """Return values for all slots that repeat after `bootstrap_set.slots`."""
        drawn = np.random.default_rng(seed).uniform(-bound, bound, self.bootstrap_set.slots)
        return np.tile(drawn, self.bootstrap_set.spacing)

    def encrypt(self, values: NDArray[np.float64]) -> Ciphertext:
        return self.key.encrypt(values, scale=self.scale, level=self.bootstrap_set.input_level)

    def expected(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.prepared.expected(values)

    def coefficients(self, ciphertext: Ciphertext, *, sparse: bool = False) -> list[int]:
        """Return the exact coefficients of c_0 + c_1 s, centred modulo Q; `sparse`: of c_0 + c_1 s_h."""
        n, chain = self.bootstrap_set.parameters.ring_degree, self.bootstrap_set.parameters.modulus_chain
        core = self.sparse.core if sparse else self.key._core
        s = np.asarray(core.coefficients(self.engine._context)).astype(np.int64)
        # Column j of the matrix of a product by s modulo X^n + 1 is X^j s.
        twice = np.concatenate((-s, s))
        matrix = np.stack([twice[n - j : 2 * n - j] for j in range(n)], axis=1)
        total, modulus = [0] * n, 1
        for row in range(ciphertext.level + 1):
            q = chain[row]
            root = first_root(n, q)
            c0, c1 = (
                np.array(coefficients_of_row(ciphertext.row(part, row), q, root), dtype=np.int64)
                for part in range(2)
            )
            residues = (c0 + matrix @ (c1 - q // 2) + matrix.sum(axis=1) * (q // 2)) % q
            inverse = pow(modulus, -1, q)
            total = [t + modulus * ((int(r) - t) * inverse % q) for t, r in zip(total, residues, strict=True)]
            modulus *= q
        return [t - modulus if 2 * t > modulus else t for t in total]


def bit_reversed_values(values: NDArray[Any], slots: int) -> NDArray[Any]:
    """Return the first `slots` values in bit-reversed order."""
    bits = slots.bit_length() - 1
    order = [int(format(i, f"0{bits}b")[::-1], 2) for i in range(slots)]
    return values[:slots][order]


def irwin_hall(k: int | Fraction, terms: int) -> float:
    """Return the density at k of a sum of `terms` numbers uniform in [-1/2, 1/2]."""
    x = Fraction(k) + Fraction(terms, 2)
    total = sum(
        (-1) ** j * math.comb(terms, j) * (x - j) ** (terms - 1) for j in range(math.floor(x) + 1) if x > j
    )
    return float(Fraction(total) / math.factorial(terms - 1))
