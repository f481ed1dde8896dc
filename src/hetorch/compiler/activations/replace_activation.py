"""One activation as affine maps, products and polynomials.

Degree 2 costs one level, with its own parabola for each channel: a x^2 + b x + c = sign(a) (alpha x + beta)^2 + gamma,
with alpha and beta in the affine map before, sign and gamma in the one after. Functions that are a slope times x plus
an even function (ReLU, SiLU, GELU, ...) take u^2 and u^4 at two levels, again with their own coefficients for each
channel: three affine maps that are added. All others are Chebyshev series on [-1, 1]. Functions with kinks can be had
to any precision with the sign of x - kink.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.activations.fit_polynomial import (
    GRID,
    GROUP_UNIFORM_WEIGHT,
    MOST_REACH,
    RANGE_MARGIN,
    TAIL_GROWTH,
    Fit,
    bounded_fit,
    fit_jointly,
    normal_equations,
    reach_of,
)
from hetorch.compiler.activations.interval_bounds import Interval
from hetorch.compiler.activations.piecewise import kinks_of
from hetorch.compiler.activations.sign_polynomials import sign_polynomials
from hetorch.compiler.options import MOST_DEGREE
from hetorch.errors import PlanError
from hetorch.ir.activations import HALF_LINE, HOMOGENEOUS, LEAST
from hetorch.ir.tensor_program import (
    Activation,
    Add,
    Affine,
    Chebyshev,
    Multiply,
    TensorOp,
)

Array = NDArray[np.float64]

FEWEST = 16
"""Calibration values that a channel needs for a fit of its own."""
MARGIN_POINTS, BISECTIONS = 33, 40
"""Points of a margin at which a function is looked at, and steps that find the end of its definition between two."""
LEAST_CURVATURE = 1.0 / 8
"""Of a parabola a u^2 + b u, |a| is at least this share of |b|: the completed square is then at most 4 times the
result, and so is its noise."""
MOST_JOINT = 2048
JOINT_SAMPLES = 10
"""Coefficients that are fitted together, and numbers that the next layer must make for each of them."""
LINEAR = 1e-9
"""A function that is this near to a line on its range, relative to its size there, is one."""


@dataclass(slots=True)
class Replacement:
    """Operations that stand for one activation; the last one is the result. `made` operations exist before them."""

    op: Activation
    source: int
    made: int
    operations: list[TensorOp] = field(default_factory=list)

    def append(self, op: TensorOp) -> int:
        """Adds an operation; the number of its value."""
        self.operations.append(op)
        return self.made + len(self.operations)

    def scale(self, value: int, factor: Array | float, offset: Array | float = 0.0) -> int:
        """Factor * value + offset, element by element."""
        size = math.prod(self.op.shape)
        matrix = sparse.csr_array(
            sparse.diags_array(
                np.ascontiguousarray(np.broadcast_to(factor, (size,)), dtype=np.float64), format="csr"
            )
        )
        matrix.eliminate_zeros()
        bias = np.array(np.broadcast_to(offset, (size,)), dtype=np.float64)
        return self.append(Affine(value, matrix, bias, self.op.shape, self.op.name, "scale"))

    def multiply(self, a: int, b: int, kind: str) -> int:
        """A * b."""
        return self.append(Multiply(a, b, self.op.shape, self.op.name, kind))

    def add(self, a: int, b: int) -> int:
        """A + b."""
        return self.append(Add(a, b, self.op.shape, self.op.name))


@dataclass(frozen=True, slots=True, eq=False)
class Domain:
    """The ranges of one activation: `low` and `high` of each element (size,), equal within a channel; `channel` is the
    channel of each element; `data` (batch, size) the calibration values; `escapes` as in Fit. If nothing but
    an affine map reads the result, `following` is its matrix (outputs, size), and `target` (batch, outputs) what it
    made in the model itself."""

    low: Array
    high: Array
    channel: NDArray[np.int64]
    data: Array
    escapes: float
    following: Array | None = None
    target: Array | None = None

    @property
    def whole(self) -> tuple[float, float]:
        """The range of all elements."""
        return float(self.low.min()), float(self.high.max())


def domain_of(op: Activation, data: Array, bounds: Interval | None, *, only_bounds: bool = False) -> Domain:
    """Calibrated ranges with RANGE_MARGIN, nowhere beyond `bounds`; with `only_bounds` these alone.

    PlanError if the function is not defined there.
    """
    channel = _channels(op.shape, len(data))
    low, high = _extremes(data, channel)
    widened = _widened(low, high)
    if bounds is not None:
        inside = _grouped(bounds.low, channel, np.minimum), _grouped(bounds.high, channel, np.maximum)
        if not only_bounds:
            # Interval bounds hold for all inputs in the input's range: beyond them no margin is needed.
            inside = (
                np.minimum(np.maximum(widened[0], inside[0]), low),
                np.maximum(np.minimum(widened[1], inside[1]), high),
            )
        proper = inside[1] > inside[0]
        widened = np.where(proper, inside[0], widened[0]), np.where(proper, inside[1], widened[1])
    limit = LEAST.get(op.function) if op.definition is None else None
    seen = _grouped(data.min(axis=0), channel, np.minimum), _grouped(data.max(axis=0), channel, np.maximum)
    if limit is not None:
        widened = _within_definition(op, limit, *seen, widened)
    elif op.definition is not None:
        widened = _where_finite(op, op.definition, seen, widened)
    escapes = 0.0
    if len(data) > 1:
        first = _widened(*_extremes(data[::2], channel))
        outside = (data[1::2] < first[0]) | (data[1::2] > first[1])
        escapes = float(np.mean(outside))
    return Domain(widened[0], widened[1], channel, data, escapes)


def _within_definition(
    op: Activation, limit: float, low: Array, high: Array, widened: tuple[Array, Array]
) -> tuple[Array, Array]:
    if op.function == "reciprocal" and float(high.max()) < limit:
        upper = np.minimum(widened[1], (high + limit) / 2)
        return widened[0], upper
    closed = op.function == "sqrt"
    if float(low.min()) < limit or (float(low.min()) == limit and not closed):
        raise PlanError(
            f"{op.function} in {op.name} gets values down to {low.min():.3g} on the calibration inputs, but is only "
            f"defined above {limit:g}; add a positive number before it, such as an eps"
        )
    return np.maximum(widened[0], (low + limit) / 2), widened[1]


def _where_finite(
    op: Activation,
    definition: Callable[[Array], Array],
    seen: tuple[Array, Array],
    widened: tuple[Array, Array],
) -> tuple[Array, Array]:
    """The widened range, but where a margin leaves the definition of the function, or comes near a pole, only half way
    to there."""
    share = np.linspace(0.0, 1.0, MARGIN_POINTS)[:, None]
    inside = np.abs(definition(seen[0] + share * (seen[1] - seen[0])))
    if not np.all(np.isfinite(inside)):
        raise PlanError(
            f"{op.function} in {op.name} is not finite somewhere in {seen[0].min():.3g}..{seen[1].max():.3g}, the "
            "range of its inputs on the calibration inputs; keep them away from where it is not defined"
        )
    most = TAIL_GROWTH * np.maximum(inside.max(axis=0), np.max(inside) * LINEAR)

    def usable(x: Array) -> NDArray[np.bool_]:
        values = definition(x)
        return np.asarray(np.isfinite(values) & (np.abs(values) <= most))

    ends = []
    for inner, outer in zip(seen, widened, strict=True):
        fails = ~usable(inner + share * (outer - inner))
        first = np.argmax(fails, axis=0)
        good, bad = (
            inner + np.maximum(first - back, 0) * (outer - inner) / (MARGIN_POINTS - 1) for back in (1, 0)
        )
        for _ in range(BISECTIONS):
            middle = (good + bad) / 2
            fine = usable(middle)
            good, bad = np.where(fine, middle, good), np.where(fine, bad, middle)
        ends.append(np.where(fails.any(axis=0), (inner + good) / 2, outer))
    return ends[0], ends[1]


def _channels(shape: tuple[int, ...], batch: int) -> NDArray[np.int64]:
    """The first axis of an image or a matrix, each element of a vector; one for all if there is too little data."""
    size = math.prod(shape)
    count = shape[0] if len(shape) > 0 else 1
    each = size // count
    if batch * each < FEWEST:
        return np.zeros(size, dtype=np.int64)
    return np.repeat(np.arange(count, dtype=np.int64), each)


def _grouped(values: Array, channel: NDArray[np.int64], best: np.ufunc) -> Array:
    starts = np.flatnonzero(np.r_[True, channel[1:] != channel[:-1]])
    return np.asarray(best.reduceat(values, starts))[channel]


def _extremes(data: Array, channel: NDArray[np.int64]) -> tuple[Array, Array]:
    """The least and the largest value of each channel; but no channel's range is narrower, in its own standard
    deviations, than the widest one's: what one channel does, another will."""
    low, high = (
        _grouped(data.min(axis=0), channel, np.minimum),
        _grouped(data.max(axis=0), channel, np.maximum),
    )
    counts = np.bincount(channel)
    mean = (np.bincount(channel, data.mean(axis=0)) / counts)[channel]
    power = (np.bincount(channel, (data**2).mean(axis=0)) / counts)[channel]
    deviation = np.sqrt(np.maximum(power - mean**2, 0.0))
    # Not more than twice its own range: a channel with one spike is no measure for the others.
    steady = deviation > 1e-6 * float(np.max(np.abs(data)))
    if not np.any(steady):
        return low, high
    below = float(np.max((mean - low)[steady] / deviation[steady]))
    above = float(np.max((high - mean)[steady] / deviation[steady]))
    width = high - low
    return (
        np.minimum(low, np.maximum(mean - below * deviation, low - width / 2)),
        np.maximum(high, np.minimum(mean + above * deviation, high + width / 2)),
    )


def _widened(low: Array, high: Array) -> tuple[Array, Array]:
    half = (high - low) / 2 * (1 + RANGE_MARGIN)
    # A channel that never changes gets a range of its own size, or of the largest one if it is always 0.
    spare = np.maximum(np.abs(low), float(np.max(np.abs([low, high]))) * 1e-3)
    half = np.where(half > 0, half, np.where(spare > 0, spare, 1.0))
    centre = (low + high) / 2
    return centre - half, centre + half


def replace_activation(
    op: Activation, source: int, made: int, domain: Domain, degree: int, precision: float | None
) -> tuple[list[TensorOp], Fit]:
    """Operations for `op` on value `source` after `made` others, and what they are. `precision` (relative to the
    largest absolute value in the range) goes before `degree`."""
    out = Replacement(op, source, made)
    if _as_line(out, domain):
        return out.operations, _fit(op, domain, 1, "exact line", out, MOST_REACH)
    pieces = kinks_of(op) if precision is not None else None
    if precision is not None and pieces is not None:
        used = _composite(out, domain, pieces, precision)
        return out.operations, _fit(op, domain, used, "minimax sign", out, 1.0)
    if precision is not None:
        degree = _degree_for(op, domain, precision)
    if degree == 1:
        reach = _line(out, domain)
        return out.operations, _fit(op, domain, 1, "least squares", out, reach)
    if degree == 2:
        reach = _parabolas(out, domain)
        return out.operations, _fit(op, domain, 2, "least squares, each channel its own", out, reach)
    if degree == 4 and slope_of(op) is not None:
        reach = _quartics(out, domain)
        return out.operations, _fit(op, domain, 4, "least squares, each channel its own", out, reach)
    used, reach = _series(out, domain, degree)
    return out.operations, _fit(op, domain, used, "least squares, Chebyshev", out, reach)


def slope_of(op: Activation) -> float | None:
    """The slope of the odd part of a function that is a slope times x plus an even function, else None."""
    if op.definition is not None:
        return None
    if op.function == "leaky_relu":
        return (1 + (op.parameters[0] if op.parameters else 0.01)) / 2
    if op.function == "softplus" and op.parameters and op.parameters[0] <= 0:
        return None
    return HALF_LINE.get(op.function)


def _as_line(out: Replacement, domain: Domain) -> bool:
    """If the function is a line in every channel: that line."""
    share = np.linspace(0.0, 1.0, 33)[:, None]
    x = domain.low + share * (domain.high - domain.low)
    y = out.op.apply(x)
    slope = (y[-1] - y[0]) / (domain.high - domain.low)
    straight = y[0] + slope * (x - domain.low)
    if not np.max(np.abs(y - straight)) <= LINEAR * max(float(np.max(np.abs(y))), 1e-300):
        return False
    out.scale(out.source, slope, y[0] - slope * domain.low)
    return True


def _line(out: Replacement, domain: Domain) -> float:
    centre, half, coefficients = _channel_fit(out.op, domain, (0, 1))
    slope = coefficients[:, 1] / half
    out.scale(out.source, slope, coefficients[:, 0] - slope * centre)
    return MOST_REACH


def _channel_fit(
    op: Activation, domain: Domain, powers: tuple[int, ...], *, centred: bool = False
) -> tuple[Array, Array, Array]:
    """Centre, half range and coefficients of each element, in powers of (x - centre) / half; `centred` puts the centre
    at 0."""
    starts = np.flatnonzero(np.r_[True, domain.channel[1:] != domain.channel[:-1]])
    low, high = domain.low[starts], domain.high[starts]
    centre = np.zeros(len(starts)) if centred else (low + high) / 2
    half = np.maximum(np.abs(low), np.abs(high)) if centred else (high - low) / 2
    each = domain.data.shape[1] // len(starts)
    # (batch, channels, each) -> (batch * each, channels)
    data = np.moveaxis(domain.data.reshape(len(domain.data), len(starts), each), 1, 2).reshape(
        -1, len(starts)
    )

    def function(t: Array, column: NDArray[np.int64]) -> Array:
        return op.apply(t * half[column] + centre[column])

    scaled = (data - centre) / half
    alone = normal_equations(function, scaled, powers, GROUP_UNIFORM_WEIGHT)
    coefficients = alone.solution()
    size = len(starts) * len(powers)
    if (
        domain.following is not None
        and domain.target is not None
        and len(starts) == len(domain.channel)
        and size <= MOST_JOINT
        and domain.target.size >= JOINT_SAMPLES * size
    ):
        coefficients = fit_jointly(alone, scaled, powers, domain.following, domain.target)
    return centre[domain.channel], half[domain.channel], coefficients[domain.channel]


def _parabolas(out: Replacement, domain: Domain) -> float:
    centre, half, coefficients = _channel_fit(out.op, domain, (0, 1, 2))
    c, b, a = coefficients.T
    floor = np.maximum(LEAST_CURVATURE * np.abs(b), 1e-6 * float(np.max(np.abs(coefficients))))
    sign = np.where(a < 0, -1.0, 1.0)
    raised = sign * np.maximum(np.abs(a), floor)
    # What the floor adds has its mean taken away again: u^2 is 1/2 on average between 0 and 1.
    c = c - (raised - a) / 2
    alpha = np.sqrt(np.abs(raised))
    beta = alpha * b / (2 * raised)
    scaled = out.scale(out.source, alpha / half, beta - alpha * centre / half)
    square = out.multiply(scaled, scaled, f"{out.op.function} ~ degree 2")
    out.scale(square, sign, c - b * b / (4 * raised))
    return float(
        min(reach_of(chebyshev.poly2cheb(row)) for row in _distinct(np.stack([c, b, raised], axis=1)))
    )


def _quartics(out: Replacement, domain: Domain) -> float:
    powers = (0, 1, 2, 4)
    _, half, coefficients = _channel_fit(out.op, domain, powers, centred=True)
    label = f"{out.op.function} ~ degree 4"
    u = out.scale(out.source, 1.0 / half)
    square = out.multiply(u, u, label)
    fourth = out.multiply(square, square, label)
    line = out.scale(u, coefficients[:, 1], coefficients[:, 0])
    total = out.add(line, out.scale(square, coefficients[:, 2]))
    out.add(total, out.scale(fourth, coefficients[:, 3]))
    rows = np.insert(_distinct(coefficients), 3, 0.0, axis=1)
    return float(min(reach_of(chebyshev.poly2cheb(row)) for row in rows))


def _distinct(rows: Array) -> Array:
    return np.asarray(np.unique(rows, axis=0))


def _series(out: Replacement, domain: Domain, degree: int) -> tuple[int, float]:
    op = out.op
    if op.definition is None and op.function in HOMOGENEOUS:
        # f(h x) = h f(x): each channel has its own range for nothing.
        centre: Array = np.zeros(len(domain.low))
        rise: Array = np.maximum(np.abs(domain.low), np.abs(domain.high))
        coefficients, stretch = bounded_fit(op.apply, domain.data / rise, degree)
        half = rise * stretch
    else:
        low, high = domain.whole
        middle, width = (low + high) / 2, (high - low) / 2
        coefficients, stretch = bounded_fit(
            lambda t: op.apply(t * width + middle), (domain.data - middle) / width, degree
        )
        centre, half = np.full(len(domain.low), middle), np.full(len(domain.low), width * stretch)
        rise = np.ones(len(domain.low))
    reach = min(reach_of(coefficients) * stretch, MOST_REACH)
    if len(coefficients) <= 2:
        slope = rise * (float(coefficients[1]) if len(coefficients) == 2 else 0.0) / half
        out.scale(out.source, slope, rise * float(coefficients[0]) - slope * centre)
        return len(coefficients) - 1, reach
    used = len(coefficients) - 1
    scaled = out.scale(out.source, 1.0 / half, -centre / half)
    series = Chebyshev(
        scaled, tuple(float(c) for c in coefficients), op.shape, op.name, f"{op.function} ~ degree {used}"
    )
    made = out.append(series)
    if np.any(rise != 1.0):
        out.scale(made, rise)
    return used, reach


def _degree_for(op: Activation, domain: Domain, precision: float) -> int:
    low, high = domain.whole
    middle, half = (low + high) / 2, (high - low) / 2
    grid = np.linspace(-1, 1, GRID)
    truth = op.apply(grid * half + middle)
    size = float(np.max(np.abs(truth)))
    for degree in (3, 7, 15, 31, MOST_DEGREE):
        found, stretch = bounded_fit(
            lambda t: op.apply(t * half + middle), (domain.data - middle) / half, degree
        )
        if np.max(np.abs(chebyshev.chebval(grid / stretch, found) - truth)) <= precision * size:
            return degree
    raise PlanError(
        f"{op.function} in {op.name} cannot be had to {precision:.2g} on {low:.3g}..{high:.3g} with degree "
        f"{MOST_DEGREE}; ask for less precision (a larger activation_precision=), or make the range smaller "
        "(normalise before it)"
    )


def _composite(out: Replacement, domain: Domain, pieces: Callable[..., object], precision: float) -> int:
    """The function through relu(x - kink) = (x - kink) (1 + sign(x - kink)) / 2."""
    low, high = domain.whole
    degrees: list[int] = []

    def sign(kink: float) -> int:
        reach = max(abs(low - kink), abs(high - kink))
        value = out.scale(out.source, 1.0 / reach, -kink / reach)
        # Within `precision` of the kink the sign may be anything in [-1, 1]: relu is then wrong by less than that.
        polynomials = sign_polynomials(precision / 2, precision)
        degrees.append(math.prod(len(coefficients) - 1 for coefficients in polynomials))
        for number, coefficients in enumerate(polynomials):
            label = f"sign {number + 1}/{len(polynomials)}, degree {len(coefficients) - 1}"
            value = out.append(Chebyshev(value, coefficients, out.op.shape, out.op.name, label))
        return value

    def rectified(kink: float) -> int:
        above = sign(kink)
        half = out.scale(out.source, 0.5, -kink / 2)
        return out.add(out.multiply(half, above, "relu by sign"), half)

    pieces(out, sign, rectified)
    return max(degrees)


def _fit(op: Activation, domain: Domain, degree: int, method: str, out: Replacement, reach: float) -> Fit:
    depths: dict[int, int] = {out.source: 0}
    for number, step in enumerate(out.operations):
        taken = step.depth if isinstance(step, Chebyshev) else int(isinstance(step, Multiply))
        depths[out.made + number + 1] = taken + max(depths[value] for value in step.reads)
    depth = depths[out.made + len(out.operations)]
    low, high = domain.whole
    # The difference is measured by running what was made, on the data and evenly over each element's range.
    share = np.linspace(0.0, 1.0, 129)[:, None]
    x = np.concatenate([domain.data[:SAMPLE_ROWS], domain.low + share * (domain.high - domain.low)])
    error = float(np.max(np.abs(_run(out, x) - op.apply(x))))
    return Fit(op.name, op.function, degree, depth, method, low, high, error, domain.escapes, reach)


SAMPLE_ROWS = 256


def _run(out: Replacement, x: Array) -> Array:
    values: dict[int, Array] = {out.source: x}
    number = out.made
    with np.errstate(over="ignore", invalid="ignore"):
        for op in out.operations:
            number += 1
            values[number] = op.evaluate(values)
    return values[number]
