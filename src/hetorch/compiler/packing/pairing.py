"""Pairs of diagonals that one complex diagonal replaces, for maps whose results are bootstrapped.

Slots hold real numbers, so half of a product's room is unused. With z = x + i rotate(x, g), the real part of
(d - i e) z is d x + e rotate(x, g): one product does the work of the diagonals k and k + g. The imaginary part of the
sum has no meaning, and a bootstrap drops it at no cost. With g half the modulus of the diagonals, every diagonal whose
partner exists is paired; channels in blocks over the whole period always have partners.
"""

from __future__ import annotations

import numpy as np

from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.packing.placements import Indices, Placement


def pair_step(
    indices: Indices, modulus: int, source: Placement, result: Placement, level: int, model: CostModel
) -> int:
    """Return the pair step of a map on inputs at `level`, in positions; 0 if pairs save less than a rotation takes.

    `indices` and `modulus` are those of find_indices between the two placements.
    """
    if modulus < 4:
        return 0
    fewer = len(indices) - len(paired_indices(indices, modulus))
    saved = model.products(level, fewer, max(source.period, result.period))
    return modulus // 2 if saved > source.parts * model.turn(level) else 0


def paired_indices(indices: Indices, modulus: int) -> Indices:
    """Return the indices of the complex diagonals, sorted; their modulus is half of that of `indices`."""
    half = modulus // 2
    return np.unique(indices // modulus * half + indices % half)


def canonical_babies(babies: Indices, step: int) -> Indices:
    """Return baby steps that are congruent modulo two pair steps, each nearer to 0 or to `step` than to its opposite:
    from these, hetorch.engine.rotation_schedule tells the parts of a pair."""
    return np.asarray((babies + step // 2) % (2 * step) - step // 2)
