"""The same script under TenSEAL and here, with what it should give and how far either may be from it.

Bounds. All errors are in units of a slot, u = 8 standard deviations of the largest single contribution: a key switch
with digits of one prime not above P leaves coefficients of a standard deviation of at most 3.2 sqrt(D N / 12) for D
digits plus a rounding, sqrt((1 + 2N/3) / 12); a slot is a sum of N coefficients times roots of unity, divided by the
scale: sqrt(N) as much. Encryption and encoding leave less. So the error e of a result follows from those of its
operands and their sizes A by the rules below.

Bias. SEAL's key switch takes the digits of a polynomial from [0, q), hetorch's from [-q/2, q/2) (SEAL,
Evaluator::switch_key_inplace). So SEAL's digits are those of the rule above plus q/2 times 1 + X + ... + X^(N-1), which
is 2 / (1 - z) at a root z of X^N + 1. Slot j belongs to z = exp(i pi 3^j / N): |2 / (1 - z)| = 1 / sin(pi / 2N), or
2N / pi, in slot 0, where a uniform polynomial has sqrt(N / 3), 100 times less at N = 8192. The digit's share of the
noise is this times e(z) / P, e the error of the key: two real numbers of variance sigma^2 N / 2, sigma^2 = 21 / 2
(SEAL's centred binomial distribution). It is the same in all switches under one key, and independent from key to key.
A slot is the real part, so that a switch adds to slot j a bias of standard deviation

    b_j = sqrt(sum over the digits of (q / P)^2) / |2 sin(3^j pi / 2N)| * sigma sqrt(N / 2) / scale,

and at most 8 b_j counts, as above. A relinearisation or a rotation at the scale of a product, before its rescale, adds
1 / S as much, which is nothing. A sum of `count` slots adds up, for each of its rotations, the biases of fewer than
`count` neighbouring slots from slot 0 on.

Drift. TenSEAL takes each rescaled product to have the scale it began with, S, though it has S^2 / q: its value is off
by the factor S / q. A term that went through d products is off by at most (1 + delta)^d - 1 of its size, delta the
largest |S / q - 1|. Here scales are exact, and there is no such term.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import tenseal
from numpy.typing import NDArray

import hetorch.tenseal as ts
from hetorch.params import ParameterSet


@dataclass(frozen=True)
class Pair:
    """A context under each package; secret keys differ, parameters do not. `biases` has 8 b_j for each slot."""

    theirs: Any
    ours: Any
    unit: float
    drift: float
    biases: NDArray[np.float64]

    def bound(self, error: float, bias: float, size: float, depth: int) -> tuple[float, float]:
        """Largest errors of ours and theirs."""
        return error, error + bias + size * ((1 + self.drift) ** depth - 1)


@lru_cache(maxsize=4)
def contexts(bits: tuple[int, ...] = (60, 40, 40, 60), scale_bits: int = 40, degree: int = 8192) -> Pair:
    made = []
    for package in (tenseal, ts):
        context = package.context(
            package.SCHEME_TYPE.CKKS, poly_modulus_degree=degree, coeff_mod_bit_sizes=list(bits), n_threads=1
        )
        context.global_scale = 2.0**scale_bits
        context.generate_galois_keys()
        made.append(context)
    parameters = made[1].seal_context().data.native
    deviation = 3.2 * math.sqrt(len(parameters.modulus_chain) * degree / 12) + math.sqrt(
        (1 + 2 * degree / 3) / 12
    )
    scale = 2.0**scale_bits
    # The scale of our own results is the ladder's: it may be a little lower than the one they began with.
    lowest = min(made[1].data.ladder(scale))
    drift = max(abs(scale / q - 1) for q in parameters.modulus_chain[1:])
    unit = 8 * math.sqrt(degree) * deviation / lowest
    return Pair(made[0], made[1], unit, drift, 8 * _biases(parameters, lowest))


def _biases(parameters: ParameterSet, scale: float) -> NDArray[np.float64]:
    """The standard deviation b_j of each slot."""
    degree = parameters.ring_degree
    digits = math.hypot(*(prime / parameters.special_primes[0] for prime in parameters.modulus_chain))
    exponents = np.array([pow(3, slot, 2 * degree) for slot in range(degree // 2)])
    of_ones = 1 / np.abs(2 * np.sin(exponents * math.pi / (2 * degree)))
    return np.asarray(of_ones * digits * math.sqrt(21 / 2 * degree / 2) / scale)


def their_rotations(count: int) -> int:
    """The rotations of TenSEAL's sum of `count` slots (sum_vector in tensors/utils/utils.cpp)."""
    power = count.bit_length() - 1
    rest = count - 2**power
    return power + (1 + their_rotations(rest) if rest else 0)


@dataclass(frozen=True)
class Twin:
    """One value computed twice: `size` bounds the sum of the absolute values of its terms, `error` the error of either
    result without drift and bias, `bias` that of TenSEAL's by bias."""

    pair: Pair
    theirs: Any
    ours: Any
    exact: NDArray[np.float64]
    size: float
    error: float
    depth: int
    bias: float = 0.0

    @classmethod
    def encrypt(
        cls, pair: Pair, values: NDArray[np.float64], kind: str = "ckks_vector", **options: Any
    ) -> Twin:
        return cls(
            pair,
            getattr(tenseal, kind)(pair.theirs, values, **options),
            getattr(ts, kind)(pair.ours, values, **options),
            np.asarray(values, dtype=np.float64),
            float(np.abs(values).max()),
            pair.unit,
            0,
        )

    def apply(self, operation: Callable[..., Any], *others: Any) -> tuple[Any, Any, Any]:
        """The operation under both packages and in numpy; `others` are twins or plain operands."""

        def pick(side: str) -> list[Any]:
            return [getattr(o, side) if isinstance(o, Twin) else o for o in others]

        return (
            operation(self.theirs, *pick("theirs")),
            operation(self.ours, *pick("ours")),
            operation(self.exact, *pick("exact")),
        )

    def _result(
        self, three: tuple[Any, Any, Any], size: float, error: float, depth: int, bias: float = 0.0
    ) -> Twin:
        return Twin(self.pair, three[0], three[1], np.asarray(three[2]), size, error, depth, bias)

    def sum_with(self, operation: Callable[..., Any], other: Any) -> Twin:
        """x + y, x - y, y - x."""
        if isinstance(other, Twin):
            size, error, depth, bias = other.size, other.error, other.depth, other.bias
        else:
            size, error, depth, bias = float(np.abs(other).max()), self.pair.unit, 0, 0.0
        # A level may have to be dropped: a rounding more.
        return self._result(
            self.apply(operation, other),
            self.size + size,
            self.error + error + self.pair.unit,
            max(self.depth, depth),
            self.bias + bias,
        )

    def product_with(self, operation: Callable[..., Any], other: Any) -> Twin:
        """x * y in each place; y may be x."""
        if isinstance(other, Twin):
            size, error, depth, bias = other.size, other.error, other.depth, other.bias
        else:
            size, error, depth, bias = float(np.abs(other).max()), self.pair.unit, 0, 0.0
        # What brings the other operand down to this one's level leaves one unit more on it.
        mine, theirs = self.error + self.pair.unit, error + self.pair.unit
        total = self.size * theirs + size * mine + mine * theirs + self.pair.unit
        biased = (self.size + mine) * bias + (size + theirs) * self.bias + self.bias * bias
        return self._result(
            self.apply(operation, other), self.size * size, total, max(self.depth, depth) + 1, biased
        )

    def summed(self, operation: Callable[[Any], Any], exact: Any, count: int) -> Twin:
        """The sum of `count` places: at most 2 log2(count) rotations, each summed at most `count` times."""
        rotations = 2 * math.ceil(math.log2(count + 1))
        three = (operation(self.theirs), operation(self.ours), exact)
        error = count * (self.error + rotations * self.pair.unit)
        bias = count * self.bias + their_rotations(count) * self.pair.biases[:count].sum()
        return self._result(three, count * self.size, error, self.depth, bias)

    def times_matrix(self, operation: Callable[[Any, Any], Any], matrix: NDArray[np.float64]) -> Twin:
        """x @ M. TenSEAL rotates once a row, each by at most log2(N) key switches."""
        rows = len(matrix)
        weight = float(np.abs(matrix).sum(axis=0).max())
        switches = rows * math.log2(2 * len(self.pair.ours.seal_context().data.native.modulus_chain) * 8192)
        error = weight * self.error + (rows * (self.size + 1) + switches + 1) * self.pair.unit
        three = (operation(self.theirs, matrix), operation(self.ours, matrix), self.exact @ matrix)
        return self._result(three, weight * self.size, error, self.depth + 1, weight * self.bias)

    def check(self) -> None:
        """Both results against the exact one, and so against each other."""
        ours_bound, their_bound = self.pair.bound(self.error, self.bias, self.size, self.depth)
        ours, theirs = decrypted(self.ours), decrypted(self.theirs)
        assert ours.shape == np.atleast_1d(self.exact).shape
        assert np.abs(ours - self.exact).max() <= ours_bound
        assert np.abs(theirs - self.exact).max() <= their_bound
        assert np.abs(theirs - ours).max() <= ours_bound + their_bound


def decrypted(tensor: Any) -> NDArray[np.float64]:
    """The values of a vector or tensor of either package."""
    values = tensor.decrypt()
    if isinstance(values, list):
        return np.array(values)
    return np.atleast_1d(np.array(values.raw).reshape(values.shape))
