from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.costs.machine import DEFAULT
from hetorch.compiler.search.bootstrapped_errors import bootstrapped_errors
from hetorch.compiler.search.place_bootstraps import place_bootstraps
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Affine, Bootstrap, Chebyshev, TensorOp, TensorProgram

SIZE, NOISE = 8, 2.0**-18
INPUTS = np.random.default_rng(1).uniform(-1, 1, (40, SIZE))


def rotation(source: int) -> Affine:
    """A map that keeps values within [-1, 1] and their errors as large as they are: a permutation."""
    matrix = sparse.csr_array(np.roll(np.eye(SIZE), 1, axis=0))
    return Affine(source, matrix, np.zeros(SIZE), (SIZE,), f"map{source}", "Linear")


def network() -> TensorProgram:
    """Three series of degree 127 that are the line 0.9 x, each between two permutations."""
    line = np.zeros(128)
    line[[1, 127]] = 0.9, 1e-9
    operations: list[TensorOp] = []
    for _ in range(3):
        source = len(operations)
        operations += [
            rotation(source),
            Chebyshev(source + 1, tuple(line), (SIZE,), f"line{source}", "Tanh"),
        ]
    operations.append(rotation(len(operations)))
    return TensorProgram((SIZE,), tuple(operations), len(operations), (SIZE,))


def test_each_bootstrap_has_its_share_of_the_error() -> None:
    placed = place_bootstraps(network(), DEFAULT)
    result = bootstrapped_errors(placed, INPUTS, NOISE)
    operations = result.bootstrapped.program.operations
    bounds = [op.bound for op in operations if isinstance(op, Bootstrap)]
    assert len(bounds) == 2
    # After the first bootstrap come two lines, after the second one: an output has 0.81 or 0.9 times the noise. A
    # single term that may be Laplacian has its bound at 13.5 to 16.5 deviations (compiler.noise.noise_tail_bounds).
    first, second = result.bootstrap_shares
    assert 13.5 * 0.81 * NOISE * bounds[0] < first < 16.5 * 0.81 * NOISE * bounds[0]
    assert 13.5 * 0.9 * NOISE * bounds[1] < second < 16.5 * 0.9 * NOISE * bounds[1]
    assert result.error > max(first, second)


def test_the_result_of_a_bootstrap_has_the_full_scale() -> None:
    result = bootstrapped_errors(place_bootstraps(network(), DEFAULT), INPUTS, NOISE)
    program = result.bootstrapped.program
    refreshed = [i + 1 for i, op in enumerate(program.operations) if isinstance(op, Bootstrap)]
    assert [result.scales[value] for value in refreshed] == [2.0**40] * 2
    exact = run_tensor_program(network(), INPUTS)
    # A sine for the identity, twice: (2 pi / 256)^2 / 6 of values up to 1.
    assert np.abs(run_tensor_program(program, INPUTS) - exact).max() < 2 * 1.01e-4
