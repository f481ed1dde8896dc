"""Pairs of diagonals that one complex diagonal replaces, for maps whose results are bootstrapped.

Slots hold real numbers, so half of a product's room is unused. With z = x + i rotate(x, g), the real part of
(d - i e) z is d x + e rotate(x, g): one product does the work of the diagonals k and k + g. The imaginary part of the
sum has no meaning, and a bootstrap drops it at no cost. With g half the modulus of the diagonals, every diagonal whose
partner exists is paired; channels in blocks over the whole period always have partners. Diagonals that lie near each
other are paired within their window, of 2 g: the first half of it with the second one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.placements import Indices, Placement
from hetorch.distinct import distinct


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """The complex diagonals of a map.

    `indices`: sorted, each block * `modulus` + k. `babies`: the least and the largest baby step with which an engine
    still knows real from imaginary parts, or None if all are possible.
    """

    indices: Indices
    modulus: int
    babies: tuple[int, int] | None


def pair_step(
    indices: Indices, modulus: int, source: Placement, result: Placement, level: int, model: CostModel
) -> int:
    """Return the pair step of a map on inputs at `level`, in positions; 0 if pairs save less than a rotation takes.

    `indices` and `modulus` are those of find_indices between the two placements.
    """
    if modulus < 4:
        return 0
    steps = [modulus // 2, *_window_steps(indices, modulus)]
    counts = [len(paired(indices, modulus, step).indices) for step in steps]
    best = int(np.argmin(counts))
    fewer = len(indices) - counts[best]
    saved = model.products(level, fewer, max(source.period, result.period))
    return steps[best] if saved > source.parts * model.turn(level) else 0


def paired(indices: Indices, modulus: int, step: int) -> Pairs:
    """Return the complex diagonals for a pair step."""
    if 2 * step == modulus:
        return Pairs(distinct(indices // modulus * step + indices % step), step, None)
    real, _ = in_window(indices % modulus, modulus, step)
    return Pairs(distinct(indices - indices % modulus + real), modulus, (-(step // 2), step // 2 - 1))


def in_window(k: Indices, modulus: int, step: int) -> tuple[Indices, NDArray[np.bool_]]:
    """Return the diagonal of the real part of each diagonal's pair, and True for those that are imaginary parts.

    The window begins after the largest gap between diagonals.
    """
    start, _ = _window(k, modulus)
    distance = (k - start) % modulus
    return np.asarray((start + distance % step) % modulus), np.asarray(distance >= step)


def _window_steps(indices: Indices, modulus: int) -> list[int]:
    """Return the least power of two of which two steps hold all diagonals; none if that is half of the modulus."""
    _, span = _window(indices % modulus, modulus)
    step = 1 << max(span.bit_length() - 1, 1)
    return [step] if 2 * step < modulus else []


def _window(k: Indices, modulus: int) -> tuple[int, int]:
    """Return the first diagonal after the largest gap between diagonals, and the distance from it to the last one."""
    present = distinct(k)
    gaps = np.diff(np.append(present, present[0] + modulus))
    widest = int(np.argmax(gaps))
    return int(present[(widest + 1) % len(present)]), modulus - int(gaps[widest])


def canonical_babies(babies: Indices, step: int) -> Indices:
    """Return baby steps that are congruent modulo two pair steps, each nearer to 0 or to `step` than to its opposite:
    from these, hetorch.engine.rotation_schedule tells the parts of a pair."""
    return np.asarray((babies + step // 2) % (2 * step) - step // 2)
