"""The memory that compiling needs for the matrices of affine maps.

A layer that is too large is refused with a message that has both numbers. Without this check, the system would kill the
process without a message.
"""

from __future__ import annotations

from collections.abc import Sequence

from hetorch.machine_memory import available_memory
from hetorch.quantities import size_text

MATRIX = 12
"""Bytes that a captured matrix takes per weight: value and column."""
KEPT = 65
"""Bytes that each weight takes during the whole compilation: its value in the captured, the approximated and the scaled
matrices (8 each), its column (4), and its value in a diagonal (8); degrees are searched with two approximated networks
at a time. A ResNet-20 (41 million weights) took 67 in all. Raised, smaller models are refused."""
AT_ONCE = 70
"""Bytes that each weight of the map being lowered takes in addition: rows, columns, diagonals, slots and the indices of
numpy's gathers, 8 each. One matrix of 2000 x 20000 takes 74 bytes a weight in all, one of 5000 x 5000 90. Raised,
smaller models are refused."""


def matrix_memory(weights: Sequence[int]) -> int:
    """Return the bytes that compiling needs at its peak for maps with these numbers of weights (non-zeros)."""
    return KEPT * sum(weights) + AT_ONCE * max(weights, default=0)


def too_large(weights: Sequence[int], *, made: bool = False) -> str | None:
    """Return the sentence that refuses maps with these numbers of weights, or None if they fit in memory.

    `made`: True if the matrices exist already, so that the available memory does not have to hold them.
    """
    available, needed = available_memory(), matrix_memory(weights)
    if available is None or needed <= available + (MATRIX * sum(weights) if made else 0):
        return None
    return (
        f"{sum(weights)} weights take about {size_text(needed)} of memory to compile, "
        f"{size_text(max(available, 0))} are available"
    )


SMALLER = "use smaller layers (a bottleneck, a stride, pooling before it), or compile with more memory"
"""The advice that follows the sentence of too_large."""
