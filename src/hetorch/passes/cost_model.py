"""What operations cost: ratios measured on one core of the engine, to be replaced by measurements of the machine.

The unit is one pass over one limb of a ring element (N coefficients modulo one prime): a plaintext product that is
accumulated into both halves of a ciphertext modulo Q P. A key switch works on every digit and every limb of Q P. The
numbers are least squares over 33 transforms (1 to 256 diagonals, levels 1, 3 and 5, N = 2^13, digits of one prime,
AVX2, one thread), which they reproduce within 25 %.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

PRODUCT = 1.0
BABY = 1.2
"""A hoisted rotation (inner product with the key, permutation), a digit and limb."""
GIANT = 4.0
"""A rotation with its own decomposition and mod-down inside a transform, a digit and limb."""
ROTATE = 3.5
"""A rotation by itself, as the folds do it, a digit and limb."""
MULTIPLY = 3.7
"""A product of ciphertexts with its relinearisation, a digit and limb."""
KEY = 0.02
"""A weak preference for fewer keys, a digit and limb: keys are uploaded once and read from memory each time."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """Costs for a key-switching shape: `digit_size` data primes a digit, `special_count` special primes."""

    digit_size: int = 1
    special_count: int = 1

    def digits(self, level: int) -> int:
        """ceil((level + 1) / digit_size)."""
        return -(-(level + 1) // self.digit_size)

    def limbs(self, level: int) -> int:
        """Primes of Q_level * P."""
        return level + 1 + self.special_count

    def transform(self, level: int, diagonals: int, babies: int, giants: int, folds: int) -> float:
        """A linear map on an input at `level`: `babies` and `giants` rotations other than 0; the folds come one level
        lower, after the rescale."""
        switch = (BABY * babies + GIANT * giants + KEY * (babies + giants)) * self.digits(level)
        below = level - 1
        folding = (ROTATE + KEY) * folds * self.digits(below) * self.limbs(below)
        return self.limbs(level) * (PRODUCT * diagonals + switch + self.digits(level)) + folding

    def multiply(self, level: int) -> float:
        """A product of two ciphertexts at `level`, relinearised."""
        return MULTIPLY * self.digits(level) * self.limbs(level)

    def polynomial(self, level: int, degree: int) -> float:
        """Paterson-Stockmeyer: about 2 sqrt(degree) + log2(degree) products, on falling levels."""
        products = 2.0 * math.sqrt(degree) + math.log2(degree)
        return products * self.multiply(max(level - 1, 0))


def ring_factor(ring_degree: int) -> float:
    """Time of a limb relative to N = 1: transforms (N log N) and pointwise work (N) mixed."""
    return ring_degree * (1.0 + 0.05 * math.log2(ring_degree))
