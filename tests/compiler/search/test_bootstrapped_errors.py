from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.search.bootstrapped_errors import (
    RefreshedProgram,
    bootstrapped_errors,
    refreshed_program,
)
from hetorch.compiler.search.place_bootstraps import Setting, place_bootstraps
from hetorch.engine.bootstrap_noise import largest_noise
from hetorch.ir.interpreter import run_tensor_program, trace_tensor_program
from hetorch.ir.tensor_program import Affine, Chebyshev, TensorOp, TensorProgram

SIZE = 8
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


def refreshed() -> RefreshedProgram:
    sizes = [float(np.abs(value).max()) for value in trace_tensor_program(network(), INPUTS)]
    return refreshed_program(place_bootstraps(network(), Setting()), sizes)


def test_each_bootstrap_has_its_share_of_the_error() -> None:
    program = refreshed()
    result = bootstrapped_errors(program, INPUTS)
    first, second = program.planned
    noises = [largest_noise(program.planned[index]) for index in (first, second)]
    # After the first bootstrap come two lines, after the second one: an output has 0.81 or 0.9 times the noise. A
    # single term that may be Laplacian has its bound at 13.5 to 16.5 deviations (compiler.noise.noise_tail_bounds).
    # All bootstraps are taken to have the noise of the worst.
    for index, gain in ((first, 0.81), (second, 0.9)):
        share, bound = result.shares[index + 1], program.planned[index].bound
        worst = max(n / one.bound for n, one in zip(noises, program.planned.values(), strict=True)) * bound
        assert 13.5 * gain * worst < share < 16.5 * gain * worst
    assert result.error > max(result.shares)
    # Noise is followed to the inputs of the series: at least eight deviations of a bootstrap.
    assert result.range_noise > 8 * 0.9 * min(noises)


def test_the_result_of_a_bootstrap_has_the_full_scale() -> None:
    program = refreshed()
    assert [program.scales[index + 1] for index in program.planned] == [2.0**40] * 2
    exact = run_tensor_program(network(), INPUTS)
    # A sine for the identity, twice: (2 pi / 256)^2 / 6 of values up to 1.
    assert np.abs(run_tensor_program(program.program, INPUTS) - exact).max() < 2 * 1.01e-4
