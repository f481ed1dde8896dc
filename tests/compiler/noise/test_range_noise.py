from __future__ import annotations

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from scipy import sparse

from hetorch.compiler.noise.range_noise import DEVIATIONS, measure_range_gains, range_noise
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorOp, TensorProgram

SIZE, SAMPLES, DRAWS = 12, 6, 4000


def affine(source: int, matrix: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Affine:
    return Affine(source, sparse.csr_array(matrix), np.zeros(len(matrix)), (len(matrix),), "map", "map")


def network() -> TensorProgram:
    generator = np.random.default_rng(1)
    first, last = generator.standard_normal((2, SIZE, SIZE)) / 10
    first[3] *= 40  # a narrow channel, which the map spreads over the range of the series
    operations: tuple[TensorOp, ...] = (
        affine(0, first),
        Chebyshev(1, (0.1, 0.4, 0.2, 0.1), (SIZE,), "a", "a"),
        Multiply(2, 1, (SIZE,), "b", "b"),
        Add(3, 1, (SIZE,), "c"),
        affine(4, last),
        Chebyshev(5, (0.0, 0.3, 0.5), (SIZE,), "d", "d"),
    )
    return TensorProgram((SIZE,), operations, 6, (SIZE,))


def test_it_is_the_spread_of_perturbed_runs() -> None:
    """Oracle: noise is drawn for every value, and the network runs on from there."""
    program, generator = network(), np.random.default_rng(2)
    x = generator.uniform(-0.02, 0.02, (SAMPLES, SIZE))
    samples = trace_tensor_program(program, x)
    own = [(1e-4, 0.0), (4e-4, 1e-8), (1e-4, 0.0), (1e-4, 0.0), (0.0, 0.0), (2e-4, 1e-8), (1e-4, 0.0)]
    scales = [2.0**k for k in (6, 7, 6, 5, 6, 6, 6)]
    reached = range_noise(measure_range_gains(program, samples), own, scales)

    spread = 0.0
    for sample in range(SAMPLES):
        values: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]]] = []
        for value, (added, switched) in enumerate(own):
            op = program.operations[value - 1] if value else None
            exact = np.tile(x[sample], (DRAWS, 1)) if op is None else op.evaluate(values)
            noise = generator.standard_normal(exact.shape) * np.sqrt(added) / scales[value]
            if isinstance(op, Affine):
                before = generator.standard_normal((DRAWS, SIZE)) * np.sqrt(switched)
                noise += np.asarray((op.matrix @ before.T).T)
            values.append(exact + noise)
        spread = max(spread, *(float(np.max(np.std(values[v], axis=0))) for v in (1, 5)))
    # A bound: elements are independent in it, and operands of sums and products are not. Measured within 5 %.
    assert 0.95 * spread <= reached / DEVIATIONS <= 2 * spread


def test_narrow_channels_count() -> None:
    """A channel of half the width has twice the noise, though its values do not change."""
    program = network()
    x = np.zeros((1, SIZE))
    own = [(1.0, 0.0)] + [(0.0, 0.0)] * 6
    before = range_noise(measure_range_gains(program, trace_tensor_program(program, x)), own, [2.0**20] * 7)
    first = program.operations[0]
    assert isinstance(first, Affine)
    halved = first.matrix.toarray()
    halved[3] *= 2
    narrow = TensorProgram((SIZE,), (affine(0, halved), *program.operations[1:]), 6, (SIZE,))
    after = range_noise(measure_range_gains(narrow, trace_tensor_program(narrow, x)), own, [2.0**20] * 7)
    assert after == pytest.approx(2 * before, rel=1e-6)
    assert chebyshev.chebval(0.0, (0.1, 0.4, 0.2, 0.1)) != 0  # the slope there passes noise on


def test_without_series_there_is_no_range() -> None:
    program = TensorProgram((SIZE,), (affine(0, np.eye(SIZE)),), 1, (SIZE,))
    gains = measure_range_gains(program, [np.zeros((1, SIZE))] * 2)
    assert range_noise(gains, [(1.0, 0.0)] * 2, [1.0] * 2) == 0.0
