"""The cost model: seconds of an operation, as constants of a machine times counts of passes over limbs.

A limb is one ring element modulo one prime: N coefficients. A key switch works on every digit and every limb of Q P, so
each operation that switches keys has one constant per limb and one per pair of digit and limb. The constants are
measured (`hetorch tune`) or the defaults of costs/machine.py, which make plans reproducible on any machine.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from hetorch.compiler.costs.machine import DEFAULT, Machine, Times
from hetorch.compiler.costs.series_products import series_products
from hetorch.params import KeyFamily

BABY, GIANT, KEY = 1.2, 4.0, 0.02
"""Costs, in the choice of baby and giant steps, of a hoisted rotation, of a rotation with its own decomposition and
division by P, and of a key; they are the same on every machine. Raised, splits have fewer of the item. With the small
cost of a key, the split with fewer keys wins among equally fast ones: keys are uploaded once and read in each run."""

HOISTED = 0.6
"""The time of each of several rotations of one ciphertext, which share its decomposition, relative to the time of a
single rotation (docs/engine.md). Raised, baby steps on encrypted weights cost more."""


@dataclass(frozen=True, slots=True)
class CostModel:
    """The costs for one shape of key switching: `digit_size` data primes per digit, `special_count` special primes.

    `fold_penalty`: rotations that are added to the cost for each slot that folds add up, so that a search saves noise.
    `encrypted`: True if diagonals are ciphertexts. `key_weight`: the cost of a key (compiler.packing.baby_giant).
    `map_families`: the shapes of the keys of linear maps, by the level of their inputs; empty if they have the shape of
    all other keys. `coefficients`: True if maps keep their diagonals as coefficients and transform them on use.
    `pairs`: True if two diagonals may be multiplied at once (compiler.packing.pairing).
    """

    digit_size: int = 1
    special_count: int = 1
    ring_degree: int = 1 << 13
    machine: Machine = field(default=DEFAULT)
    fold_penalty: float = 0.0
    encrypted: bool = False
    key_weight: float = KEY
    map_families: tuple[KeyFamily, ...] = ()
    coefficients: bool = False
    pairs: bool = False
    _times: Times = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_times", self.machine.at(self.ring_degree))

    def digits(self, level: int) -> int:
        """Return the number of digits at `level`: ceil((level + 1) / digit_size)."""
        return -(-(level + 1) // self.digit_size)

    def limbs(self, level: int) -> int:
        """Return the number of primes of Q_level * P."""
        return level + 1 + self.special_count

    def map_digits(self, level: int) -> int:
        """Return the number of digits of the keys of a linear map on inputs at `level`."""
        return self.map_families[level].digit_count(level) if self.map_families else self.digits(level)

    def map_limbs(self, level: int) -> int:
        """Return the number of primes of the diagonals and keys of a linear map on inputs at `level`."""
        special = self.map_families[level].special_count if self.map_families else self.special_count
        return level + 1 + special

    def transform(
        self,
        level: int,
        diagonals: int,
        babies: int,
        giants: int,
        folds: int,
        inputs: int = 1,
        outputs: int = 1,
        constants: bool = False,
        turns: int = 0,
        spreads: int = 0,
    ) -> float:
        """Return the cost of a linear map on inputs at `level`.

        `babies` counts the pairs (input, step) and `giants` the pairs (output, step) with a step other than 0. Each
        output is folded one level lower, after the rescale. With `constants`, each diagonal is one number (every
        element has a ciphertext of its own), and there are no rotations. `turns`: the inputs that are made complex.
        `spreads`: the sums of an input and its rotation before the products, of each input.
        """
        m = self._times
        if constants:
            return m.constant * diagonals * (level + 1) + outputs * self.rescale(level)
        if self.encrypted:
            return self._encrypted(level, diagonals, babies, giants, folds, inputs, outputs)
        digits, limbs = self.map_digits(level), self.map_limbs(level)
        rotating = inputs if babies else 0
        cost = limbs * (m.product * diagonals + m.down * outputs)
        cost += digits * limbs * m.hoist * rotating
        cost += babies * self.baby(level) + giants * self.giant(level)
        cost += self._folds(level, spreads) * inputs
        return cost + self._folds(level - 1, folds) * outputs + turns * self.turn(level)

    def turn(self, level: int) -> float:
        """Return the cost of x + i rotate(x, step), for a map that multiplies two diagonals at once."""
        return self._map_rotate(level) + 2 * self.add(level)

    def products(self, level: int, diagonals: int, period: int) -> float:
        """Return the cost of the products with this number of diagonals, without rotations.

        A diagonal that repeats after `period` slots has twice as many coefficients.
        """
        share = min(1.0, 2 * period / self.ring_degree)
        transforms = self.transformed_on_use(level, diagonals, share) if self.coefficients else 0.0
        return self.map_limbs(level) * self._times.product * diagonals + transforms

    def baby(self, level: int) -> float:
        """Return the cost of a hoisted rotation of a linear map, without the decomposition that all of them share."""
        return self.map_limbs(level) * (self._times.baby * self.map_digits(level) + self._times.baby_limb)

    def giant(self, level: int) -> float:
        """Return the cost of a giant step of a linear map."""
        return self.map_limbs(level) * (self._times.giant * self.map_digits(level) + self._times.giant_limb)

    def transformed_on_use(self, level: int, diagonals: int, share: float) -> float:
        """Return the seconds that a linear map on inputs at `level` takes longer if it keeps coefficients.

        `share`: the number of distinct coefficients of a diagonal, relative to the ring degree.
        """
        return self.map_limbs(level) * self._times.transform * diagonals * share

    def _folds(self, level: int, folds: int) -> float:
        rotate = self._map_rotate(level)
        cost = folds * (rotate + self.add(level))
        return cost + self.fold_penalty * 2**folds * rotate if folds else cost

    def _encrypted(
        self, level: int, diagonals: int, babies: int, giants: int, folds: int, inputs: int, outputs: int
    ) -> float:
        """Return the cost of a linear map with encrypted diagonals.

        Each diagonal is a product of ciphertexts. The sum of each giant step, step 0 included, is relinearised and
        rotated by itself. Baby steps share their decomposition, and each has its own division by P.
        """
        cost = self._times.pair * diagonals * (level + 1)
        cost += (giants + outputs) * (self.multiply(level) - self.rescale(level))
        cost += self.rotate(level) * (HOISTED * babies + (1 - HOISTED) * inputs if babies else 0.0)
        cost += giants * (self.rotate(level) + self.add(level))
        return cost + outputs * (self.rescale(level) + self._folds(level - 1, folds))

    def rotate(self, level: int) -> float:
        """Return the cost of a rotation by itself."""
        m = self._times
        return self.limbs(level) * (m.rotate * self.digits(level) + m.rotate_limb)

    def _map_rotate(self, level: int) -> float:
        """Return the cost of a rotation by itself with a key of a linear map."""
        m = self._times
        return self.map_limbs(level) * (m.rotate * self.map_digits(level) + m.rotate_limb)

    def multiply(self, level: int) -> float:
        """Return the cost of a product of two ciphertexts at `level`, relinearised and rescaled."""
        m = self._times
        return self.limbs(level) * (m.multiply * self.digits(level) + m.multiply_limb) + self.rescale(level)

    def rescale(self, level: int) -> float:
        """Return the cost of the division by the last prime."""
        return self._times.rescale * (level + 1)

    def add(self, level: int) -> float:
        """Return the cost of a sum of two ciphertexts, or of a ciphertext and a plaintext."""
        return self._times.add * (level + 1)

    def polynomial(self, level: int, coefficients: tuple[float, ...]) -> float:
        """Return the cost of a Chebyshev series of an input at `level`.

        One with all its terms costs about 2 sqrt(degree) + log2(degree) products; others cost less in proportion.
        """
        degree = len(coefficients) - 1
        if degree <= 1:
            return 0.5 * self.multiply(max(level - 1, 0))
        share = series_products(coefficients) / series_products((1.0,) * len(coefficients))
        products = 2.0 * math.sqrt(degree) + math.log2(degree)
        return share * products * self.multiply(max(level - 1, 0))
