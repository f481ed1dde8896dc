"""Baby steps and giant steps: each rotation of a transform as a sum of two, so that few different ones are needed.

A transform with rotations {g + b} needs a hoisted rotation for each baby b != 0 and a full one for each giant g != 0.
Diagonals of images come in runs (taps of a row), runs of runs (rows, channels), so the modulus that splits them is
searched among the distances between diagonals as well as the powers of two.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.costs.model import BABY, GIANT, KEY
from hetorch.engine.rotation_schedule import are_multiples

Indices = NDArray[np.int64]
MOST_MODULI = 40


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """For each diagonal that was split, in the same order: a representative index = giant + baby, congruent to its
    index. `baby_count`: (input, baby) pairs with a rotation; `giant_count`: (output, giant) pairs with one."""

    giants: Indices
    babies: Indices
    baby_count: int
    giant_count: int

    @property
    def representatives(self) -> Indices:
        """Integers, negative ones included, congruent to the indices that were split."""
        return self.giants + self.babies


def split(
    indices: Indices,
    modulus: int,
    outputs: Indices | None = None,
    inputs: Indices | None = None,
    key_weight: float = KEY,
) -> Split:
    """The split of least cost for `indices` that are only known modulo `modulus`, of the diagonals between ciphertexts
    `inputs` and `outputs` (default: one each, and then the indices are distinct).

    Every input ciphertext is rotated for itself, and every output has its own giant steps; the keys are shared, and
    giant steps that are all multiples of the smallest one to a side take one (Horner's rule). `key_weight` is what a
    key counts beside a hoisted rotation of BABY and a giant step of GIANT.
    """
    distinct, place = np.unique(indices, return_inverse=True)
    zeros = np.zeros(len(indices), dtype=np.int64)
    output = zeros if outputs is None else outputs
    given = zeros if inputs is None else inputs
    signed, order = _unrolled(distinct, modulus)
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
            baby_keys, baby_count = _rotations(babies, order, place, given)
            _, giant_count = _rotations(giants, order, place, output)
            giant_keys = _horner_keys(giants)
            cost = BABY * baby_count + GIANT * giant_count + key_weight * (baby_keys + giant_keys)
            if cost < best_cost:
                best, best_cost = Split(giants, babies, baby_count, giant_count), cost
    assert best is not None
    return Split(best.giants[order][place], best.babies[order][place], best.baby_count, best.giant_count)


def _rotations(steps: Indices, order: Indices, place: Indices, ciphertext: Indices) -> tuple[int, int]:
    """How many different steps other than 0 there are, and how many pairs of such a step and a ciphertext."""
    few, number = np.unique(steps, return_inverse=True)
    keys = len(few) - int(np.any(few == 0))
    count = int(ciphertext.max()) + 1
    if count == 1:
        return keys, keys
    present = np.zeros((count, len(few)), dtype=bool)
    present[ciphertext, number[order][place]] = True
    return keys, int(present[:, few != 0].sum())


def _horner_keys(giants: Indices) -> int:
    """Return the number of keys for giant steps, by hetorch.engine.rotation_schedule's rule for each side."""
    keys = 0
    for side in (giants[giants > 0], -giants[giants < 0]):
        steps = np.unique(side)
        keys += 1 if are_multiples(steps) else len(steps)
    return keys


def _unrolled(indices: Indices, modulus: int) -> tuple[Indices, Indices]:
    """Signed representatives without a jump, ascending (the circle is cut at its largest gap), and for each of the
    sorted `indices` its place among them."""
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
