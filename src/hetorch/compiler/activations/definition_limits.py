"""Ranges of functions that are not defined everywhere: a margin must not leave the definition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.activations.polynomial_growth import TAIL_GROWTH
from hetorch.errors import InfeasibleError
from hetorch.ir.activations import LEAST
from hetorch.ir.tensor_program import Activation

Array = NDArray[np.float64]
Range = tuple[Array, Array]

MARGIN_POINTS = 33
"""Number of points of a margin at which a user's function is evaluated; more find narrower gaps in its definition."""
BISECTIONS = 40
"""Number of halvings that find the end of the definition between two of these points."""
LEAST_SIZE = 1e-9
"""Least size of a channel's values, as a share of the largest channel's, from which TAIL_GROWTH is counted."""


def keep_defined(op: Activation, seen: Range, widened: Range) -> Range:
    """Return `widened`, but with margins that end where the function is still defined.

    Args:
        op: the activation.
        seen: least and largest calibration value of each element's channel.
        widened: the same with margins.

    Raises:
        InfeasibleError: the function is not defined somewhere in `seen`.
    """
    if op.definition is not None:
        return _where_finite(op, op.definition, seen, widened)
    limit = LEAST.get(op.function)
    return widened if limit is None else _beyond_limit(op, limit, seen, widened)


def _beyond_limit(op: Activation, limit: float, seen: Range, widened: Range) -> Range:
    """Let no margin go further than half way to `limit`, below which the function is not defined. 1 / x is also defined
    on the other side."""
    low, high = seen
    if op.function == "reciprocal" and float(high.max()) < limit:
        return widened[0], np.minimum(widened[1], (high + limit) / 2)
    closed = op.function == "sqrt"
    if float(low.min()) < limit or (float(low.min()) == limit and not closed):
        raise InfeasibleError(
            f"{op.function} in {op.name} gets values down to {low.min():.3g} on the calibration inputs, but is only "
            f"defined above {limit:g}; add a positive number before it, such as an eps"
        )
    return np.maximum(widened[0], (low + limit) / 2), widened[1]


def _where_finite(op: Activation, definition: Callable[[Array], Array], seen: Range, widened: Range) -> Range:
    """Let a margin in which a user's function is not finite, or grows beyond TAIL_GROWTH times its size as near a pole,
    go only half way to there."""
    share = np.linspace(0.0, 1.0, MARGIN_POINTS)[:, None]
    inside = np.abs(definition(seen[0] + share * (seen[1] - seen[0])))
    if not np.all(np.isfinite(inside)):
        raise InfeasibleError(
            f"{op.function} in {op.name} is not finite somewhere in {seen[0].min():.3g}..{seen[1].max():.3g}, the "
            "range of its inputs on the calibration inputs; keep them away from where it is not defined"
        )
    most = TAIL_GROWTH * np.maximum(inside.max(axis=0), np.max(inside) * LEAST_SIZE)
    return _end_of_margin(definition, most, seen[0], widened[0]), _end_of_margin(
        definition, most, seen[1], widened[1]
    )


def _end_of_margin(definition: Callable[[Array], Array], most: Array, inner: Array, outer: Array) -> Array:
    """Return `outer`, or for elements where the function exceeds `most` between `inner` and there the point half way
    from `inner` to the first such place."""
    share = np.linspace(0.0, 1.0, MARGIN_POINTS)[:, None]
    fails = ~_usable(definition, most, inner + share * (outer - inner))
    first = np.argmax(fails, axis=0)
    step = (outer - inner) / (MARGIN_POINTS - 1)
    good, bad = inner + np.maximum(first - 1, 0) * step, inner + first * step
    for _ in range(BISECTIONS):
        middle = (good + bad) / 2
        fine = _usable(definition, most, middle)
        good, bad = np.where(fine, middle, good), np.where(fine, bad, middle)
    return np.where(fails.any(axis=0), (inner + good) / 2, outer)


def _usable(definition: Callable[[Array], Array], most: Array, x: Array) -> NDArray[np.bool_]:
    values = definition(x)
    return np.asarray(np.isfinite(values) & (np.abs(values) <= most))
