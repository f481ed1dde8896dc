"""Baby-step/giant-step: split each rotation of a transform into a sum of two, so that few distinct ones are needed.

A transform with rotations {g + b} takes a hoisted rotation for each baby step b != 0 and a full one for each giant step
g != 0. The diagonals of images come in runs (the taps of a row), and these again in runs (rows, channels). So the
modulus that splits them is searched among the distances between diagonals as well as among the powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.costs.model import BABY, GIANT, KEY
from hetorch.engine.rotation_schedule import are_multiples

Indices = NDArray[np.int64]

MOST_MODULI = 40
"""Number of the smallest moduli that are tried; the four largest are tried besides. Raised, splits may take fewer
rotations, and every split takes longer to find."""
SEARCHED_DIAGONALS = 256
"""Number of diagonals, and of runs of them, whose distances are tried as moduli. Raised, splits of maps with many
diagonals may take fewer rotations; the work grows with its square."""
COMMON_DISTANCES, COMMON_GAPS = 12, 8
"""Numbers of the most frequent distances, and of the smallest gaps between neighbours, that are tried as moduli.
Raised, splits may take fewer rotations, and every split takes longer to find."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A giant step and a baby step for each diagonal, in their order; the sum of both is congruent to the index.

    `baby_count` and `giant_count`: the numbers of (input, baby step) and (output, giant step) pairs that need a
    rotation.
    """

    giants: Indices
    babies: Indices
    baby_count: int
    giant_count: int

    @property
    def representatives(self) -> Indices:
        """The sums of both steps: integers, possibly negative, congruent to the indices that were split."""
        return self.giants + self.babies


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """All splits of a map's diagonals that are tried, with their counts, from which any key weight chooses.

    `signed`: the distinct diagonals in ascending order, and `position` the place of each diagonal among them. `steps`:
    the modulus and the offset of each split; its baby steps are in [offset, offset + modulus). `counts`: for each split
    its baby_count, its giant_count and its number of keys.
    """

    signed: Indices
    position: Indices
    steps: tuple[tuple[int, int], ...]
    counts: Indices

    def cheapest(self, key_weight: float) -> int:
        """Return the number of the split of least cost."""
        babies, giants, keys = self.counts.T
        return int(np.argmin(BABY * babies + GIANT * giants + key_weight * keys))

    def split(self, key_weight: float) -> Split:
        """Return the split of least cost."""
        number = self.cheapest(key_weight)
        step, offset = self.steps[number]
        babies = (self.signed - offset) % step + offset
        baby_count, giant_count, _ = self.counts[number].tolist()
        return Split((self.signed - babies)[self.position], babies[self.position], baby_count, giant_count)


def split(
    indices: Indices,
    modulus: int,
    outputs: Indices | None = None,
    inputs: Indices | None = None,
    key_weight: float = KEY,
) -> Split:
    """Return the split of least cost of the diagonals `indices`, which are numbers modulo `modulus`.

    Every input ciphertext is rotated by itself, and every output has giant steps of its own; keys are shared. Giant
    steps to one side that are all the multiples of the smallest one take one key (Horner's rule).

    Args:
        indices: one per diagonal; distinct, unless there are several inputs or outputs.
        modulus: indices that are equal modulo this number are the same rotation.
        outputs: the index of the result ciphertext of each diagonal; all the same if left out.
        inputs: the index of the input ciphertext of each diagonal; all the same if left out.
        key_weight: cost of a key, where a hoisted rotation costs BABY and a giant step GIANT.
    """
    return try_splits(indices, modulus, outputs, inputs).split(key_weight)


def try_splits(
    indices: Indices, modulus: int, outputs: Indices | None = None, inputs: Indices | None = None
) -> Splits:
    """Return the splits among which `split`, with the same arguments, chooses."""
    distinct, place = np.unique(indices, return_inverse=True)
    signed, order = _unrolled(distinct, modulus)
    position = order[place]
    steps, counts = [], []
    for step in _moduli(signed):
        residues = _Babies.of(signed, step, position, inputs)
        for offset in {
            0,
            -(step // 2),
            int(signed.min()) % step - step,
            int(signed[len(signed) // 2]) % step - step,
        }:
            baby_keys, baby_count = residues.rotations(offset)
            giant_keys, giant_count = _giant_rotations((signed - offset) // step, position, outputs)
            steps.append((step, offset))
            counts.append((baby_count, giant_count, baby_keys + giant_keys))
    return Splits(signed, position, tuple(steps), np.array(counts, dtype=np.int64))


@dataclass(frozen=True, slots=True)
class _Babies:
    """The baby steps for one modulus: with another offset, they are other representatives of the same residues.

    `keys` and `pairs`: the numbers of distinct residues and of pairs of one with an input; `zero_keys` and
    `zero_pairs`: how many of them have the residue 0.
    """

    modulus: int
    keys: int
    zero_keys: int
    pairs: int
    zero_pairs: int

    @classmethod
    def of(cls, signed: Indices, modulus: int, position: Indices, inputs: Indices | None) -> _Babies:
        residues = signed % modulus
        present = np.zeros(modulus, dtype=bool)
        present[residues] = True
        keys, zero = int(np.count_nonzero(present)), int(present[0])
        if inputs is None or not np.any(inputs):
            return cls(modulus, keys, zero, keys, zero)
        read = np.zeros((int(inputs.max()) + 1, modulus), dtype=bool)
        read[inputs, residues[position]] = True
        return cls(modulus, keys, zero, int(np.count_nonzero(read)), int(np.count_nonzero(read[:, 0])))

    def rotations(self, offset: int) -> tuple[int, int]:
        """Return the numbers of distinct baby steps in [offset, offset + modulus) other than 0, and of their pairs."""
        if not offset <= 0 < offset + self.modulus:  # then a multiple of the modulus stands for the residue 0
            return self.keys, self.pairs
        return self.keys - self.zero_keys, self.pairs - self.zero_pairs


def _giant_rotations(multiples: Indices, position: Indices, outputs: Indices | None) -> tuple[int, int]:
    """Return the numbers of keys and of (output, giant step) pairs, step 0 not counted.

    `multiples`: the giant steps in ascending order, divided by the modulus. Keys are counted by the rule of
    hetorch.engine.rotation_schedule for each side.
    """
    distinct = multiples[np.flatnonzero(np.diff(multiples, prepend=multiples[0] - 1))]
    keys = 0
    for side in (distinct[distinct > 0], -distinct[distinct < 0][::-1]):
        keys += 1 if are_multiples(side) else len(side)
    if outputs is None or not np.any(outputs):
        return keys, len(distinct) - int(np.any(distinct == 0))
    first = int(multiples[0])
    present = np.zeros((int(outputs.max()) + 1, int(multiples[-1]) - first + 1), dtype=bool)
    present[outputs, multiples[position] - first] = True
    zeros = int(np.count_nonzero(present[:, -first])) if 0 <= -first < present.shape[1] else 0
    return keys, int(np.count_nonzero(present)) - zeros


def _unrolled(indices: Indices, modulus: int) -> tuple[Indices, Indices]:
    """Cut the circle of sorted `indices` at its largest gap.

    Returns:
        The signed representatives, ascending, and the place of each index among them.
    """
    if len(indices) == 1:
        value = int(indices[0])
        signed = np.array([value if value <= modulus // 2 else value - modulus], dtype=np.int64)
        return signed, np.zeros(1, dtype=np.int64)
    gaps = np.diff(np.append(indices, indices[0] + modulus))
    cut = (int(np.argmax(gaps)) + 1) % len(indices)
    start = int(indices[cut])
    if start > modulus // 2:
        start -= modulus
    order = (np.arange(len(indices), dtype=np.int64) - cut) % len(indices)
    return np.sort((indices - indices[cut]) % modulus + start), order


def _moduli(signed: Indices) -> list[int]:
    """Return the moduli to try: 1 (only giant steps), powers of two, frequent distances between diagonals, about the
    square root of their number, and more than their span (only baby steps)."""
    span = int(signed[-1] - signed[0])
    moduli = {1, span + 1}
    moduli.update(1 << bit for bit in range(1, span.bit_length()))
    starts_of_runs = signed[np.flatnonzero(np.diff(signed, prepend=signed[0] - 2) > 1)]
    for group in (signed[:SEARCHED_DIAGONALS], starts_of_runs[:SEARCHED_DIAGONALS]):
        distances = (group[None, :] - group[:, None]).reshape(-1)
        counts = np.bincount(distances[distances > 1])
        values = np.flatnonzero(counts)
        counts = counts[values]
        common = np.argsort(-counts, kind="stable")[:COMMON_DISTANCES]
        moduli.update(int(value) for value in values[common])
        gaps = np.unique(np.diff(group)) if len(group) > 1 else np.zeros(0, dtype=np.int64)
        moduli.update(int(value) for value in gaps[:COMMON_GAPS])
    root = int(np.sqrt(len(signed) * GIANT / BABY))
    moduli.update({root, 2 * root, max(root // 2, 1)})
    usable = sorted(step for step in moduli if 1 <= step <= span + 1)
    return usable[:MOST_MODULI] + usable[-4:]
