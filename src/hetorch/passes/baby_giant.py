"""Baby steps and giant steps: each rotation of a transform as a sum of two, so that few different ones are needed.

A transform with rotations {g + b} needs a hoisted rotation for each baby b != 0 and a full one for each giant g != 0.
Diagonals of images come in runs (taps of a row), runs of runs (rows, channels), so the modulus that splits them is
searched among the distances between diagonals as well as the powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.passes.cost_model import BABY, GIANT, KEY

Indices = NDArray[np.int64]
MOST_MODULI = 40


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """For each diagonal of `indices` (in 0..modulus-1): a representative index = giant + baby, congruent to it."""

    giants: Indices
    babies: Indices
    baby_count: int
    giant_count: int

    @property
    def representatives(self) -> Indices:
        """Integers, negative ones included, congruent to the indices that were split."""
        return self.giants + self.babies


def split(indices: Indices, modulus: int) -> Split:
    """The split of least cost for distinct sorted `indices` that are only known modulo `modulus`."""
    signed = _unrolled(indices, modulus)
    best: Split | None = None
    best_cost = np.inf
    for step in _moduli(signed):
        for offset in {
            0,
            -(step // 2),
            int(signed.min()) % step - step,
            int(signed[len(signed) // 2]) % step - step,
        }:
            babies = (signed - offset) % step + offset
            giants = signed - babies
            few_babies, few_giants = np.unique(babies), np.unique(giants)
            baby_count = len(few_babies) - int(np.any(few_babies == 0))
            giant_count = len(few_giants) - int(np.any(few_giants == 0))
            cost = (BABY + KEY) * baby_count + (GIANT + KEY) * giant_count
            if cost < best_cost:
                best, best_cost = Split(giants, babies, baby_count, giant_count), cost
    assert best is not None
    return best


def _unrolled(indices: Indices, modulus: int) -> Indices:
    """Signed representatives without a jump: the circle is cut at its largest gap."""
    if len(indices) == 1:
        value = int(indices[0])
        return np.array([value if value <= modulus // 2 else value - modulus], dtype=np.int64)
    gaps = np.diff(np.append(indices, indices[0] + modulus))
    cut = (int(np.argmax(gaps)) + 1) % len(indices)
    start = int(indices[cut])
    if start > modulus // 2:
        start -= modulus
    return np.sort((indices - indices[cut]) % modulus + start)


def _moduli(signed: Indices) -> list[int]:
    """1 (only giants), powers of two, more than the span (only babies), and frequent distances."""
    span = int(signed[-1] - signed[0])
    found = {1, span + 1}
    found.update(1 << bit for bit in range(1, span.bit_length()))
    starts = signed[np.flatnonzero(np.diff(signed, prepend=signed[0] - 2) > 1)]
    for group in (signed[:256], starts[:256]):
        distances = (group[None, :] - group[:, None]).reshape(-1)
        values, counts = np.unique(distances[distances > 1], return_counts=True)
        common = np.argsort(-counts, kind="stable")[:12]
        found.update(int(value) for value in values[common])
        runs = np.unique(np.diff(group)) if len(group) > 1 else np.zeros(0, dtype=np.int64)
        found.update(int(value) for value in runs[:8])
    root = int(np.sqrt(len(signed) * GIANT / BABY))
    found.update({root, 2 * root, max(root // 2, 1)})
    usable = sorted(step for step in found if 1 <= step <= span + 1)
    return usable[:MOST_MODULI] + usable[-4:]
