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

Indices = NDArray[np.int64]
Costs = NDArray[np.float64]

MOST_MODULI = 40
"""Number of the smallest moduli that are tried; the four largest are tried besides. Raised, splits may take fewer
rotations, and every split takes longer to find."""
SEARCHED_DIAGONALS = 256
"""Number of diagonals, and of runs of them, whose distances are tried as moduli. Raised, splits of maps with many
diagonals may take fewer rotations; the work grows with its square."""
COMMON_DISTANCES, COMMON_GAPS = 12, 8
"""Numbers of the most frequent distances, and of the smallest gaps between neighbours, that are tried as moduli.
Raised, splits may take fewer rotations, and every split takes longer to find."""
CHUNK = 1 << 20
"""Number of steps, splits times diagonals, that are looked at together. Raised, a search takes more memory: about 50
bytes for each."""


@dataclass(frozen=True, slots=True, eq=False)
class StepCosts:
    """The costs of a hoisted rotation, of a giant step, and of a key, in one unit.

    `key`: one cost for all keys, or those of the keys of the steps 0, 1, … below a multiple of the modulus of a split.
    """

    baby: float = BABY
    giant: float = GIANT
    key: float | Costs = KEY


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


def split(
    indices: Indices,
    modulus: int,
    outputs: Indices | None = None,
    inputs: Indices | None = None,
    costs: StepCosts | None = None,
    least_and_most: tuple[int, int] | None = None,
) -> Split:
    """Return the split of least cost of the diagonals `indices`, which are numbers modulo `modulus`.

    Every input ciphertext is rotated by itself, and every output has giant steps of its own; keys are shared. Giant
    steps to one side that are all the multiples of the smallest one take one key (Horner's rule).

    Args:
        indices: one per diagonal; distinct, unless there are several inputs or outputs.
        modulus: indices that are equal modulo this number are the same rotation.
        outputs: the index of the result ciphertext of each diagonal; all the same if left out.
        inputs: the index of the input ciphertext of each diagonal; all the same if left out.
        costs: the costs of steps and keys; those of the cost model if left out.
        least_and_most: the range of the baby steps; any if left out.
    """
    distinct, place = np.unique(indices, return_inverse=True)
    signed, order = _unrolled(distinct, modulus)
    every = signed[order][place]
    output = None if outputs is None or not np.any(outputs) else outputs
    read = None if inputs is None or not np.any(inputs) else inputs
    steps, offsets = _moduli_and_offsets(signed, least_and_most)
    # With one input and one output, the counts of the distinct diagonals are those of all.
    unit = costs or StepCosts()
    keys = np.atleast_1d(np.asarray(unit.key, dtype=np.float64))
    whole = slice(None) if output is None and read is None else order[place]
    best, best_cost = (0, 0), np.inf
    for chunk in np.array_split(np.arange(len(steps)), -(-len(steps) * len(every) // CHUNK)):
        step, offset = steps[chunk, None], offsets[chunk, None]
        giants = np.floor_divide(signed - offset, step) * step
        babies = signed - giants
        total = unit.baby * _pairs(babies[:, whole], read) + unit.giant * _pairs(giants[:, whole], output)
        total += _key_costs(babies, keys) + _horner_costs(giants, keys)
        least = int(np.argmin(total))
        if total[least] < best_cost:
            best_cost, best = total[least], (int(steps[chunk[least]]), int(offsets[chunk[least]]))
    giants = np.floor_divide(every - best[1], best[0]) * best[0]
    babies = every - giants
    return Split(giants, babies, int(_pairs(babies[None], read)[0]), int(_pairs(giants[None], output)[0]))


def _moduli_and_offsets(signed: Indices, least_and_most: tuple[int, int] | None) -> tuple[Indices, Indices]:
    """Return the splits to try, as moduli and the least baby steps: two arrays of equal length.

    The modulus 1, with giant steps only, is always one of them.
    """
    low, middle = int(signed[0]), int(signed[len(signed) // 2])
    pairs = [
        (step, offset)
        for step in _moduli(signed)
        for offset in sorted({0, -(step // 2), low % step - step, middle % step - step}, reverse=True)
    ]
    if least_and_most is not None:
        least, most = least_and_most
        pairs = [(step, offset) for step, offset in pairs if least <= offset and offset + step - 1 <= most]
    return np.array([step for step, _ in pairs]), np.array([offset for _, offset in pairs])


def _pairs(steps: Indices, ciphertext: Indices | None) -> Indices:
    """Return, for each row of `steps` (splits, diagonals), the number of distinct pairs of a step other than 0 and a
    ciphertext; None stands for one ciphertext."""
    if ciphertext is None:
        return _distinct(steps)
    least, width = int(steps.min()), int(steps.max() - steps.min()) + 1
    ordered = np.sort(ciphertext * width + (steps - least), axis=1)
    return np.asarray(np.count_nonzero(_first(ordered) & (ordered % width != -least), axis=1))


def _distinct(steps: Indices) -> Indices:
    """Return, for each row of `steps`, the number of distinct ones other than 0."""
    ordered = np.sort(steps, axis=1)
    return np.asarray(np.count_nonzero(_first(ordered) & (ordered != 0), axis=1))


def _first(ordered: Indices) -> NDArray[np.bool_]:
    """Return the places in sorted rows where a number differs from the one before."""
    new = np.ones(ordered.shape, dtype=bool)
    np.not_equal(ordered[:, 1:], ordered[:, :-1], out=new[:, 1:])
    return new


def _key_costs(steps: Indices, keys: Costs) -> Costs:
    """Return, for each row of `steps`, the cost of the keys of all distinct ones other than 0."""
    ordered = np.sort(steps, axis=1)
    return np.asarray(np.sum(keys[ordered % len(keys)], axis=1, where=_first(ordered) & (ordered != 0)))


def _horner_costs(giants: Indices, keys: Costs) -> Costs:
    """Return the cost of the keys for each row of ascending giant steps (splits, diagonals), by the rule of
    hetorch.engine.rotation_schedule for each side: one key if they are all multiples of the least one."""
    new, each = _first(giants), keys[giants % len(keys)]
    costs = np.zeros(len(giants))
    for sign in (1, -1):
        side = sign * giants
        beyond = side > 0
        count = np.count_nonzero(new & beyond, axis=1)
        least = np.where(beyond, side, np.iinfo(np.int64).max).min(axis=1)
        multiples = np.all(~beyond | (side % least[:, None] == 0), axis=1)
        dense = (count > 0) & multiples & (side.max(axis=1) == least * count)
        single = keys[sign * np.where(dense, least, 0) % len(keys)]
        costs += np.where(dense, single, np.sum(each, axis=1, where=new & beyond))
    return costs


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
