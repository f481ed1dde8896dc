"""The noise that hides the key in decrypted results which are shared; nothing here is secret.

Li, Micciancio, Schultz, Sorrell, "Securing Approximate Homomorphic Encryption Using Differential Privacy", Crypto 2022
(ePrint 2022/816), theorem 2.

The theorem takes a bound t of the error against the exact computation, whatever its distribution. It may depend on the
key, as that of a bootstrap does: the multiples I of q_0 in its slots follow from the secret, and the noise is larger
where I = 0. So the bound that a plan predicts counts a bootstrap with the noise of the worst I
(bootstrap_noise.largest_noise), and with tails of a product of Gaussians, which it has for a given I. The exact
computation is the plan's program: its polynomials in place of the model's functions, and in place of a bootstrap its
sine. That depends on the message alone, also up to eight times beyond the bootstrap's bound: there the series is within
2^-27 of the sine for |I| <= 10, and within 2^-17, which is less than the bound of the noise, for |I| <= 15. |I| = 16
occurs once in 2^100 bootstraps (bootstrap_noise.failure_probability), and no larger one does: nothing beside 2^-30, the
distance that SECURITY_BITS grants.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hetorch.engine.noise import NoiseModel
from hetorch.errors import InputError
from hetorch.params import ParameterSet

SECURITY_BITS = 30
"""Least statistical security of shared results, in bits."""
MOST_NOISE = 0.1
"""Standard deviation of the noise on shared results, as a share of the outputs' range, above which a result is refused
unless its owner states another share. Raised, results of fewer digits are shared."""
FLOOR_DEVIATIONS = 6
"""Standard deviations of the least error that a bound of it must reach; a Gaussian exceeds six once in 5 * 10^8."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sharing:
    """The circumstances under which decrypted values are shared with others than the key holder.

    The noise protects results of a server that follows the protocol. A server that does not can put the key itself into
    a result, and no noise hides that: share only results that an honest server computed.

    Args:
        queries: the total number of results of this key that will be shared (tau).
        error_bound: the largest error of a value against the exact computation, in the values' units. A client takes
            the one that its plan predicts if it is left out, and no smaller one.
        security_bits: the statistical security s, at least 30.
        most_noise: largest standard deviation of the noise, as a share of the range of the plan's outputs; a client
            refuses results with more.
    """

    queries: int
    error_bound: float | None = None
    security_bits: int = SECURITY_BITS
    most_noise: float = MOST_NOISE

    def __post_init__(self) -> None:
        if self.error_bound is not None and not (self.error_bound > 0 and math.isfinite(self.error_bound)):
            raise InputError(f"error_bound must be above 0 and finite, got {self.error_bound}")
        if not isinstance(self.queries, int) or self.queries < 1:
            raise InputError(
                f"queries counts the shared results of this key, a whole number of at least 1, got {self.queries!r}"
            )
        if self.security_bits < SECURITY_BITS:
            raise InputError(f"security_bits must be at least {SECURITY_BITS}, got {self.security_bits}")
        if not self.most_noise > 0:
            raise InputError(
                f"most_noise must be above 0, a share of the outputs' range, got {self.most_noise}"
            )

    def with_bound(self, error_bound: float) -> Sharing:
        """Return the same circumstances with another error bound."""
        return replace(self, error_bound=error_bound)

    def noise_std(self, value_count: int) -> float:
        """Return the standard deviation of the noise on each of `value_count` shared values, in the values' units.

        InputError without an error bound.
        """
        if self.error_bound is None:
            raise InputError("error_bound is missing: only a client knows the one that its plan predicts")
        return noise_gain(self.queries, value_count, self.security_bits) * self.error_bound


def noise_gain(queries: int, value_count: int, security_bits: int = SECURITY_BITS) -> float:
    """Return the standard deviation of the noise on each of `value_count` values, as a multiple of their error bound.

    It is sqrt(12 tau) * 2^(s/2) * t (theorem 2), where t = sqrt(value_count) times the error bound bounds the Euclidean
    norm of the error of all values together.
    """
    return math.sqrt(12 * queries) * 2 ** (security_bits / 2) * math.sqrt(value_count)


def least_error(parameters: ParameterSet, scale: float) -> float:
    """Return an error bound that no result of these parameters can keep below, whatever a plan predicts.

    It is FLOOR_DEVIATIONS times the noise of encryption alone: a ciphertext without it hides nothing.
    """
    return FLOOR_DEVIATIONS * NoiseModel.of(parameters).fresh() / scale
