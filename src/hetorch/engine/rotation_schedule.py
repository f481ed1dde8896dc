"""The rotations of a linear map by baby steps and giant steps, as the SEAL engine, keys, memory and search use them.

Every input is rotated by its baby steps, the products with the diagonals are added up for each giant step, and the sums
are rotated by their giant steps. The core has the same rules (circuits/linear_transform.cpp, circuits/giant_steps.cpp);
tests/engine/test_rotation_schedule.py asserts that it uses exactly the keys of the schedule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.distinct import distinct

Indices = NDArray[np.generic]
Steps = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class GiantChain:
    """Giant steps that share one key, the farthest first: rot(rot(rot(S_3) + S_2) + S_1), rot a rotation by `step`.

    S_j is the sum of giant step j * step, or 0 if an output has none. A giant step with a key of its own is a chain of
    one.
    """

    step: int
    giants: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class RotationSchedule:
    """The rotations of one map.

    `rotated` are the distinct pairs (input, baby step) that diagonals read, and `groups` the distinct pairs (output,
    giant step) of the sums; both are int64 of shape (pairs, 2) and include steps of 0. `chains` are the same for every
    output.
    """

    rotated: Steps
    groups: Steps
    chains: tuple[GiantChain, ...]

    @property
    def rotates(self) -> bool:
        """True unless every step is 0."""
        return bool(self.chains) or bool(np.any(self.rotated[:, 1]))

    @property
    def keys(self) -> frozenset[int]:
        """The rotation steps whose Galois keys the map needs."""
        return _nonzero(self.rotated[:, 1]) | {chain.step for chain in self.chains}

    @property
    def keys_without_chains(self) -> frozenset[int]:
        """The rotation steps whose Galois keys the map needs if every giant step is rotated with a key of its own."""
        return _nonzero(self.rotated[:, 1]) | _nonzero(self.groups[:, 1])


def rotation_schedule(
    outputs: Indices, inputs: Indices, giants: Indices, babies: Indices, slot_count: int
) -> RotationSchedule:
    """Return the schedule of a map; the arrays have one entry per diagonal, with steps in [0, slot_count)."""
    return RotationSchedule(
        _pairs(inputs, babies, slot_count),
        _pairs(outputs, giants, slot_count),
        giant_chains(giants, slot_count),
    )


def paired_babies(babies: Indices, pair: int, slot_count: int) -> tuple[Steps, NDArray[np.bool_]]:
    """Return the baby steps of complex diagonals, in [0, slot_count), and True for diagonals that are imaginary parts.

    Args:
        babies: the baby step of each diagonal, in [0, slot_count).
        pair: the step g between the two diagonals of a pair, or 0 if none are paired. A baby step nearer to g than to 0
            modulo 2 g is an imaginary part, of the step that is g less.
        slot_count: the number of slots, a multiple of 2 g.
    """
    steps = np.asarray(babies, dtype=np.int64)
    if pair == 0:
        return steps, np.zeros(steps.shape, dtype=np.bool_)
    signed = (steps + pair // 2) % (2 * pair) - pair // 2
    imaginary = 2 * signed >= pair
    return (signed - pair * imaginary) % slot_count, imaginary


def giant_chains(giants: Indices, slot_count: int) -> tuple[GiantChain, ...]:
    """Return the chains for giant steps in [0, slot_count); a step of 0 needs none.

    Giant steps are rotations to the left (up to half of the slots) or to the right. If the steps of one side are all
    the multiples 1, 2, … of the smallest one, Horner's rule makes them one chain: sum_j rot^j(S_j) = S_0 + rot(S_1 +
    rot(S_2 + …)) takes the same number of key switches and only one key. Otherwise each step is a chain of its own.
    """
    chains: list[GiantChain] = []
    steps = _nonzero(giants)
    for left in (True, False):
        side = [step for step in steps if (2 * step <= slot_count) == left]
        side.sort(key=lambda step: min(step, slot_count - step))
        if are_multiples(np.array([min(step, slot_count - step) for step in side], dtype=np.int64)):
            chains.append(GiantChain(side[0], tuple(reversed(side))))
        else:
            chains += [GiantChain(step, (step,)) for step in side]
    return tuple(chains)


def are_multiples(distances: Steps) -> bool:
    """Return True if ascending distances are d, 2 d, 3 d, … with none missing, so that one key serves them all."""
    return len(distances) > 0 and np.array_equal(distances, distances[0] * np.arange(1, len(distances) + 1))


def _nonzero(steps: Indices) -> frozenset[int]:
    return frozenset(int(step) for step in distinct(steps) if step)


def _pairs(ciphertexts: Indices, steps: Indices, slot_count: int) -> Steps:
    """Return the distinct pairs of an index and a step in ascending order, (pairs, 2)."""
    joined = distinct(
        np.asarray(ciphertexts, dtype=np.int64) * slot_count + np.asarray(steps, dtype=np.int64)
    )
    return np.stack(np.divmod(joined, slot_count), axis=1)
