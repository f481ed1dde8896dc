"""The noise that each operation adds: the standard deviation of the real part of a slot, in units of 1 / scale.

A polynomial whose coefficients are independent with variance v has slots sum_j e_j zeta^j; the real part of a slot has
variance sum_j v cos^2(...) = N v / 2. So each formula below gives the variance of a coefficient, and `_slot` converts
it to the standard deviation of a slot. N is the ring degree, sigma = 3.19 the width of the error distribution, and the
secret is dense ternary with ||s||^2 = 2N/3 on average. The formulas are those of Cheon et al., "Homomorphic Encryption
for Arithmetic of Approximate Numbers", Asiacrypt 2017, lemmas 1-3, with standard deviations in place of worst cases as
in Costache et al., "On the precision loss in approximate homomorphic encryption", SAC 2023.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hetorch.params import ParameterSet

SIGMA = 3.19
"""Width of the error distribution (ePrint 2024/463, section 2)."""
UNIFORM = 1.0 / 12.0
"""Variance of a rounding error, uniform in [-1/2, 1/2]."""


@dataclass(frozen=True, slots=True)
class NoiseModel:
    """The noise model of one parameter set.

    `digit_ratio` is the largest product of a key-switching digit's primes, divided by P; `digit_size` is the number of
    primes in a digit.
    """

    ring_degree: int
    digit_ratio: float
    digit_size: int

    @classmethod
    def of(cls, parameters: ParameterSet) -> NoiseModel:
        """Return the model of a parameter set."""
        chain, size = parameters.modulus_chain, parameters.digit_size
        largest = max(math.prod(chain[i : i + size]) for i in range(0, len(chain), size))
        return cls(parameters.ring_degree, largest / math.prod(parameters.special_primes), size)

    def fresh(self) -> float:
        """Return the noise of secret-key encryption: one error polynomial, and the rounding of the encoded message."""
        return self._slot(SIGMA**2 + UNIFORM)

    def public(self) -> float:
        """Return the noise of public-key encryption: e_0 + e_1 s + e u with dense ternary s and u, and the rounding of
        the message."""
        return self._slot(SIGMA**2 * (1.0 + 4.0 * self.ring_degree / 3.0) + UNIFORM)

    def encoding(self) -> float:
        """Return the noise of a plaintext's rounding."""
        return self._slot(UNIFORM)

    def rounding(self) -> float:
        """Return the noise of a division by a prime (rescale) or by P: the rounding error tau_0 + tau_1 s."""
        return self._slot(UNIFORM * (1.0 + 2.0 * self.ring_degree / 3.0))

    def switched(self, level: int) -> float:
        """Return the noise of key switching at `level` without the rounding of its division by P.

        It is the sum over digits of digit * error / P, where a digit is uniform below the product of its primes.
        """
        digits = -(-(level + 1) // self.digit_size)
        return self._slot(digits * self.ring_degree * UNIFORM * self.digit_ratio**2 * SIGMA**2)

    def key_switch(self, level: int) -> float:
        """Return the noise of key switching (rotation or relinearisation) at `level`, with the rounding by P."""
        return math.hypot(self.switched(level), self.rounding())

    def _slot(self, coefficient_variance: float) -> float:
        return math.sqrt(self.ring_degree / 2.0 * coefficient_variance)
