"""`hetorch.tune`: measure the constants of the cost model on this machine.

Operations are timed over a few ring degrees and shapes of key switching. The constants of `Times` are fitted to these
times by non-negative least squares of the relative errors. A run uses each key once, and all keys together are larger
than the caches. Therefore rotations are timed with one key after the other, and the time that this adds to a rotation
with one key is added to every operation that switches keys.
"""

from __future__ import annotations

import itertools
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import nnls

from hetorch.compiler.costs.machine import Machine, Times, store_machine, storing_path
from hetorch.engine import _native
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import Ciphertext, NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import InputError
from hetorch.params import ParameterSet, Security
from hetorch.progress import ProgressOption, reporting

RING_DEGREES = (1 << 12, 1 << 13, 1 << 14, 1 << 15)
"""Ring degrees that are measured by default; the constants of others are scaled from the nearest one."""
SCALE = 2.0**30
"""Scale of all ciphertexts that are timed; times do not depend on it."""
SUMS = 48
"""Number of input ciphertexts, and of output ciphertexts, of the weighted sums that are timed. Raised, the rescaling of
each result is a smaller part of the time, and the measurement takes longer."""
BABY_STEPS = 8
"""Number of baby steps, and of giant steps, of the largest transform that is timed, step 0 included. Raised, the
measurement takes longer."""
FEWEST = 6
"""Smallest number of timed calls of an operation, however long they take; the least time counts. Raised, the constants
are steadier, and the measurement takes longer."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A shape of key switching: a chain of `level` + 1 primes, cut into digits of `digit_size`."""

    level: int
    digit_size: int

    @property
    def limbs(self) -> int:
        return self.level + 1 + self.digit_size

    @property
    def digits(self) -> int:
        return -(-(self.level + 1) // self.digit_size)


SHAPES = (_Shape(2, 1), _Shape(5, 1), _Shape(5, 2), _Shape(8, 3))
GRIDS = ((1, 1), (2, 1), (8, 1), (1, 4), (4, 4), (8, 8))
"""The baby steps and giant steps, step 0 counted in both, of the transforms that are timed."""


def tune(
    path: str | Path | None = None,
    *,
    ring_degrees: Sequence[int] = RING_DEGREES,
    seconds: float = 0.05,
    progress: ProgressOption = None,
) -> Machine:
    """Measure the constants and store them at `path` (default: machine.default_path(), where compile looks for them).

    Each operation is repeated for `seconds`, and the least time counts; the defaults take about 20 seconds.
    `progress` is called with each ring degree as it begins, and the fraction of all work that is done; by default a bar
    on the terminal, and a line in a notebook, False for none.

    Raises:
        InputError: `ring_degrees` is empty or has other numbers than powers of two from 2^10 to 2^16, `seconds` is not
            above 0, or the file cannot be written.
    """
    if not ring_degrees or any(not 1 << 10 <= n <= 1 << 16 or n & (n - 1) for n in ring_degrees):
        raise InputError(f"ring_degrees must be powers of two from 2^10 to 2^16, got {tuple(ring_degrees)}")
    if not seconds > 0:
        raise InputError(f"seconds must be above 0, got {seconds}")
    target = storing_path(path)  # before the work, not after it
    measured: dict[int, Times] = {}
    with reporting(progress, "tune") as report:
        for number, ring in enumerate(sorted(set(ring_degrees))):
            report(f"measure N = 2^{ring.bit_length() - 1}", number / len(ring_degrees))
            measured[ring] = _measure(ring, seconds)
        machine = Machine("tuned", measured, _native.thread_count())
        stored = store_machine(machine, target)
        report(f"stored in {stored}", 1.0)
    return machine


def _measure(ring: int, seconds: float) -> Times:
    """Return all constants for one ring degree."""
    systems: dict[str, list[tuple[list[float], float]]] = {"rotate": [], "multiply": [], "transform": []}
    singles: dict[str, list[float]] = {
        "rescale": [],
        "add": [],
        "constant": [],
        "transform": [],
        "pair": [],
        "key": [],
    }
    for shape in SHAPES:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # no message is encrypted: these parameters only take time
            parameters = ParameterSet.from_bits(
                ring,
                [45] + [35] * shape.level,
                [45] * shape.digit_size,
                digit_size=shape.digit_size,
                security=Security.NONE,
            )
        _measure_shape(parameters, shape, seconds, systems, singles)
    rotate = _fit(systems["rotate"])
    multiply = _fit(systems["multiply"])
    transform = _fit(systems["transform"])
    product, down, hoist, baby, baby_limb, giant, giant_limb = transform
    key = float(np.median(singles["key"]))
    return Times(
        product=product,
        transform=float(np.median(singles["transform"])),
        constant=float(np.median(singles["constant"])),
        baby=baby + key,
        baby_limb=baby_limb,
        giant=giant + key,
        giant_limb=giant_limb,
        hoist=hoist,
        down=down,
        rotate=rotate[0],
        rotate_limb=rotate[1],
        multiply=multiply[0] + key,
        multiply_limb=multiply[1],
        pair=float(np.median(singles["pair"])),
        rescale=float(np.median(singles["rescale"])),
        add=float(np.median(singles["add"])),
    )


def _measure_shape(
    parameters: ParameterSet,
    shape: _Shape,
    seconds: float,
    systems: dict[str, list[tuple[list[float], float]]],
    singles: dict[str, list[float]],
) -> None:
    level, limbs, digits = shape.level, shape.limbs, shape.digits
    slots = parameters.slot_count
    steps = {b: level for b in range(1, BABY_STEPS)} | {BABY_STEPS * g: level for g in range(1, BABY_STEPS)}
    key = SecretKey.generate(parameters)
    keys = key.evaluation_keys(EvaluationKeySpec.from_rotations(steps, parameters.ring_degree, level))
    engine = NativeEngine(parameters, evaluation_keys=keys)
    values = np.random.default_rng(0).uniform(-1, 1, (BABY_STEPS**2, slots))
    a = key.encrypt(values[0], level=level, scale=SCALE)

    def timed(action: Callable[[], object]) -> float:
        return _least(action, seconds)

    turns = itertools.cycle(steps)
    rotation = timed(lambda: engine.rotate(a, next(turns)))
    systems["rotate"].append(([digits * limbs, limbs], rotation))
    singles["key"].append(max(rotation - timed(lambda: engine.rotate(a, 1)), 0.0) / (digits * limbs))
    systems["multiply"].append(([digits * limbs, limbs], timed(lambda: engine.multiply(a, a))))
    singles["rescale"].append(timed(lambda: engine.rescale(a)) / (level + 1))
    singles["add"].append(timed(lambda: engine.add(a, a)) / (level + 1))
    factors = [engine.negate(a) for _ in range(SUMS)]
    few, many = (timed(lambda f=factors[:n]: engine.sum_of_products(f, f)) for n in (1, SUMS))  # type: ignore[misc]
    singles["pair"].append(max(many - few, 0.1 * many) / ((SUMS - 1) * (level + 1)))
    _measure_transforms(engine, a, values, shape, timed, systems, singles)
    rescale = singles["rescale"][-1] * (level + 1)
    sums = engine.prepare_transform(_constants(slots), level=level, input_scale=SCALE, output_scale=SCALE)
    whole = timed(lambda: engine.linear_transform(sums, factors))
    singles["constant"].append(max(whole - SUMS * rescale, 0.1 * whole) / (SUMS**2 * (level + 1)))


def _measure_transforms(
    engine: NativeEngine,
    a: Ciphertext,
    values: NDArray[np.float64],
    shape: _Shape,
    timed: Callable[[Callable[[], object]], float],
    systems: dict[str, list[tuple[list[float], float]]],
    singles: dict[str, list[float]],
) -> None:
    """Time the transforms of GRIDS, and the last one once more with its diagonals kept as coefficients."""
    level, limbs, digits = shape.level, shape.limbs, shape.digits
    for babies, giants in GRIDS:
        prepared = engine.prepare_transform(
            _grid(values, babies, giants), level=level, input_scale=SCALE, output_scale=SCALE
        )
        rotates = babies * giants > 1
        work = limbs if rotates else level + 1  # without a rotation there is no P to divide by
        row = [
            babies * giants * work,
            work,
            digits * limbs * (babies > 1),
            (babies - 1) * digits * limbs,
            (babies - 1) * limbs,
            (giants - 1) * digits * limbs,
            (giants - 1) * limbs,
        ]
        seconds_of = timed(lambda p=prepared: engine.linear_transform(p, [a]))  # type: ignore[misc]
        systems["transform"].append(([float(x) for x in row], seconds_of))
    kept = engine.prepare_transform(
        _grid(values, BABY_STEPS, BABY_STEPS),
        level=level,
        input_scale=SCALE,
        output_scale=SCALE,
        coefficients=True,
    )
    longer = timed(lambda: engine.linear_transform(kept, [a])) - seconds_of  # the last grid is the same map
    singles["transform"].append(max(longer, 0.0) / (BABY_STEPS**2 * limbs))


def _grid(values: NDArray[np.float64], babies: int, giants: int) -> DiagonalTransform:
    """Return a transform of babies * giants diagonals, each as long as all slots."""
    baby, giant = np.meshgrid(np.arange(babies), BABY_STEPS * np.arange(giants))
    zeros = np.zeros(babies * giants, dtype=np.int32)
    return DiagonalTransform(
        values.shape[1],
        1,
        1,
        zeros,
        zeros,
        giant.reshape(-1).astype(np.int32),
        baby.reshape(-1).astype(np.int32),
        values[: babies * giants],
    )


def _constants(slots: int) -> DiagonalTransform:
    """Return a dense map of SUMS to SUMS ciphertexts whose diagonals are single numbers: weighted sums."""
    outputs, inputs = np.divmod(np.arange(SUMS**2, dtype=np.int32), np.int32(SUMS))
    zeros = np.zeros(SUMS**2, dtype=np.int32)
    numbers = np.random.default_rng(0).uniform(-1, 1, (SUMS**2, 1))
    return DiagonalTransform(slots, SUMS, SUMS, outputs, inputs, zeros, zeros, numbers)


def _least(action: Callable[[], object], seconds: float) -> float:
    """Return the least time of one call among those that fit in `seconds` (FEWEST at least), after one to warm up.

    With one thread, processor time is measured, so that other work of the machine does not count.
    """
    clock = time.thread_time if _native.thread_count() == 1 else time.perf_counter
    action()
    best, begun, calls = np.inf, clock(), 0
    while calls < FEWEST or clock() - begun < seconds:
        start = clock()
        action()
        best = min(best, clock() - start)
        calls += 1
    return best


def _fit(rows: Sequence[tuple[list[float], float]]) -> list[float]:
    """Return the non-negative constants with the least squares of relative errors, for rows of counts and seconds."""
    matrix = np.array([np.array(features) / measured for features, measured in rows])
    constants, _ = nnls(matrix, np.ones(len(rows)))
    return [float(x) for x in constants]
