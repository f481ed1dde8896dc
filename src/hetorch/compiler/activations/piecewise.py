"""Functions that consist of pieces of polynomials, written with relu(x - kink) and the sign of x - kink."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hetorch.ir.tensor_program import Activation

Piece = Callable[[float], int]
Pieces = Callable[[Any, Piece, Piece], object]


def kinks_of(op: Activation) -> Pieces | None:
    """How to build `op` from `sign(kink)` and `rectified(kink)`, or None for a function without kinks."""
    if op.definition is not None:
        return None
    given = op.parameters
    match op.function:
        case "relu":
            return lambda out, sign, rectified: rectified(0.0)
        case "sign":
            return lambda out, sign, rectified: sign(0.0)
        case "abs":
            return lambda out, sign, rectified: _leaky(out, rectified, -1.0)
        case "leaky_relu":
            return lambda out, sign, rectified: _leaky(out, rectified, given[0] if given else 0.01)
        case "relu6":
            return lambda out, sign, rectified: _between(out, rectified, 0.0, 6.0)
        case "hardtanh":
            low, high = given or (-1.0, 1.0)
            return lambda out, sign, rectified: _between(out, rectified, low, high)
        case "hardsigmoid":
            return lambda out, sign, rectified: _hard_sigmoid(out, rectified)
        case "hardswish":
            return lambda out, sign, rectified: out.multiply(
                out.scale(out.source, 1.0), _hard_sigmoid(out, rectified), "hardswish by sign"
            )
        case "softshrink":
            width = given[0] if given else 0.5
            return lambda out, sign, rectified: _shrink(out, rectified, width)
    return None


def _leaky(out: Any, rectified: Piece, slope: float) -> int:
    """S x + (1 - s) relu(x)."""
    above = out.scale(rectified(0.0), 1.0 - slope)
    return int(out.add(out.scale(out.source, slope), above))


def _between(out: Any, rectified: Piece, low: float, high: float) -> int:
    """min(max(x, low), high); a bound may be infinite."""
    if math.isinf(low) and math.isinf(high):
        return int(out.scale(out.source, 1.0))
    if math.isinf(low):
        # min(x, high) = x - relu(x - high)
        return int(out.add(out.scale(out.source, 1.0), out.scale(rectified(high), -1.0)))
    first = out.scale(rectified(low), 1.0, low)
    if math.isinf(high):
        return int(first)
    return int(out.add(first, out.scale(rectified(high), -1.0)))


def _hard_sigmoid(out: Any, rectified: Piece) -> int:
    first = out.scale(rectified(-3.0), 1.0 / 6)
    return int(out.add(first, out.scale(rectified(3.0), -1.0 / 6)))


def _shrink(out: Any, rectified: Piece, width: float) -> int:
    """relu(x - w) - relu(-x - w) = relu(x - w) + relu(x + w) - (x + w)... with relu(-y) = relu(y) - y."""
    above = rectified(width)
    below = out.add(rectified(-width), out.scale(out.source, -1.0, -width))
    return int(out.add(above, out.scale(below, -1.0)))
