"""The schedule by which every engine evaluates a Chebyshev series; the SEAL engine and the noise prediction read it.

It is Paterson-Stockmeyer in the Chebyshev basis. A long series is split at T_m, m a power of two, into quotient * T_m +
remainder (2 T_m T_j = T_(m+j) + T_(m-j)). A short one is a sum of basis elements times constants. The scale of each
part follows from the scale of the result, so that the terms of every sum have exactly equal scales (Bossuat et al.,
eprint 2020/1203, section 5). The core has the same rules in circuits/polynomial.cpp; tests/engine/test_polynomial.py
asserts that its results equal this schedule's, bit for bit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hetorch.errors import ParameterError
from hetorch.quantities import count_text


def polynomial_depth(degree: int) -> int:
    """Return the number of levels that a Chebyshev series of this degree uses: ceil(log2(degree + 1)).

    The products by coefficients take no level of their own (Bossuat et al., Eurocrypt 2021, section 5).

    Raises:
        ParameterError: the degree is below 1.
    """
    if degree < 1:
        raise ParameterError(f"a polynomial needs degree >= 1, got {degree}")
    return degree.bit_length()


@dataclass(frozen=True, slots=True)
class BasisStep:
    """One basis element: T_index = 2 T_left T_right - T_(left - right), rescaled to `level` and `scale`.

    left - right is 0 or 1, and T_0 = 1.
    """

    index: int
    left: int
    right: int
    level: int
    scale: float


@dataclass(frozen=True, slots=True)
class Product:
    """The product of T_giant and a series at the level of the product, or of T_giant and a number."""

    giant: int
    factor: Series | float


@dataclass(frozen=True, slots=True)
class Series:
    """A series as the sum products + terms + constant, divided by the prime above `level` to exactly `scale`.

    `terms` are pairs (i, c) of a basis element and its factor. Before the division, products and terms are at level + 1
    and at scale * q_(level + 1). `coefficients` are those of the whole series without trailing zeros; a single one is a
    constant series, which has neither products nor terms.
    """

    coefficients: tuple[float, ...]
    level: int
    scale: float
    products: tuple[Product, ...]
    terms: tuple[tuple[int, float], ...]
    constant: float


@dataclass(frozen=True, slots=True)
class ChebyshevSchedule:
    """The evaluation of one series: the basis elements, each after those that it is computed from, then the series.

    `scales` and `levels` are those of the basis elements by index; T_1 is the input.
    """

    basis: tuple[BasisStep, ...]
    series: Series
    scales: Mapping[int, float]
    levels: Mapping[int, int]

    def multiplications(self) -> tuple[tuple[int, float], ...]:
        """Return the level and the scale of every product of two ciphertexts: of the basis, then of the splits."""
        products = [(step.level + 1, self.scales[step.left] * self.scales[step.right]) for step in self.basis]
        pending = [self.series]
        while pending:
            series = pending.pop()
            for product in series.products:
                if isinstance(product.factor, Series):
                    products.append((product.factor.level, product.factor.scale * self.scales[product.giant]))
                    pending.append(product.factor)
        return tuple(products)


def chebyshev_schedule(
    coefficients: Sequence[float],
    *,
    level: int,
    input_scale: float,
    output_scale: float,
    modulus_chain: Sequence[float],
) -> ChebyshevSchedule:
    """Return the schedule for sum_i coefficients[i] * T_i of an input at `level` and `input_scale`.

    The result is at level - polynomial_depth(degree) and exactly `output_scale`. The degree is len(coefficients) - 1,
    trailing zeros included, so that the level does not depend on the values.

    Raises:
        ParameterError: the degree is below 1, or `level` is below the depth.
    """
    depth = polynomial_depth(len(coefficients) - 1)
    if level < depth:
        raise ParameterError(
            f"a polynomial that uses {count_text(depth, 'level')} cannot start at level {level}"
        )
    emitter = _Emitter(level, input_scale, modulus_chain, depth)
    series = emitter.series([float(c) for c in coefficients], level - depth, output_scale)
    return ChebyshevSchedule(tuple(emitter.steps), series, emitter.scales, emitter.levels)


class _Emitter:
    def __init__(self, level: int, input_scale: float, modulus_chain: Sequence[float], depth: int) -> None:
        self._chain = modulus_chain
        # Series of at most this length are sums of basis elements where the levels allow it. About the square root of
        # the degree balances the products for the basis with those for the splits.
        self._leaf_length = 1 << ((depth + 1) // 2)
        self.steps: list[BasisStep] = []
        self.scales = {1: input_scale}
        self.levels = {1: level}

    def series(self, c: list[float], level: int, scale: float) -> Series:
        c = _trimmed(c)
        total = scale * self._chain[level + 1]
        whole, products = tuple(c), []
        while len(c) > 1 and not self._is_leaf(c, level):
            # c = quotient * T_m + remainder with degree < 2 m, so the constant term is the remainder's.
            degree = len(c) - 1
            m = 1 << (degree.bit_length() - 1)
            quotient = [c[m], *(2 * c[m + j] for j in range(1, degree - m + 1))]
            remainder = c[:m]
            for j in range(1, degree - m + 1):
                remainder[m - j] -= c[m + j]
            self._make(m)
            factor: Series | float = quotient[0]
            if len(quotient) > 1:
                factor = self.series(quotient, level + 1, total / self.scales[m])
            products.append(Product(m, factor))
            c = _trimmed(remainder)
        terms = tuple((i, c[i]) for i in range(1, len(c)) if c[i] != 0)
        for i, _ in terms:
            self._make(i)
        return Series(whole, level, scale, tuple(products), terms, c[0])

    def _is_leaf(self, c: list[float], level: int) -> bool:
        if len(c) > self._leaf_length and len(c) > 2:
            return False
        return all(c[i] == 0 or self._level_of(i) > level for i in range(1, len(c)))

    def _level_of(self, i: int) -> int:
        """Return the level of T_i, which is ceil(log2(i)) levels below the input."""
        return self.levels[1] - (i - 1).bit_length()

    def _make(self, i: int) -> None:
        """Emit T_i from T_ceil(i/2) and T_floor(i/2), once."""
        if i in self.scales:
            return
        right = i // 2
        left = i - right
        self._make(left)
        self._make(right)
        if left != right:
            self._make(1)
        level = self._level_of(i)
        self.levels[i] = level
        self.scales[i] = self.scales[left] * self.scales[right] / self._chain[level + 1]
        self.steps.append(BasisStep(i, left, right, level, self.scales[i]))


def _trimmed(c: Sequence[float]) -> list[float]:
    """Return the coefficients without trailing zeros; the constant term always stays."""
    length = len(c)
    while length > 1 and c[length - 1] == 0:
        length -= 1
    return list(c[:length])
