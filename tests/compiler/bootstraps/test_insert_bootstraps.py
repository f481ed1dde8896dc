from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.bootstraps.choose_levels import LevelChoice
from hetorch.compiler.bootstraps.insert_bootstraps import bootstrap_bound, insert_bootstraps
from hetorch.compiler.noise.predict_errors import predict_errors
from hetorch.compiler.noise.sensitivity import measure_sensitivity
from hetorch.compiler.packing.lower import LIGHTEST
from hetorch.engine.noise import NoiseModel
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import Add, Affine, Bootstrap, Chebyshev, TensorProgram, verify_tensor_program

SIZE = 8
SCALE = 2.0**40


def affine(source: int, factor: float) -> Affine:
    matrix = sparse.csr_array(factor * np.eye(SIZE))
    return Affine(source, matrix, np.zeros(SIZE), (SIZE,), f"map{source}", "Linear")


def block() -> TensorProgram:
    """A map whose result is read by a polynomial and, skipped, by a sum."""
    operations = (
        affine(0, 0.5),
        Chebyshev(1, (0.0, 1.0, 0.0, 0.1), (SIZE,), "f", "f"),
        Add(2, 1, (SIZE,), "sum"),
    )
    return TensorProgram((SIZE,), operations, 3, (SIZE,))


CHOICE = LevelChoice(levels=(4, 3, 3, 3), bootstrapped=frozenset({1}), cost=0.0)
INPUTS = np.random.default_rng(0).uniform(-1, 1, (20, SIZE))


def test_only_readers_above_the_level_of_a_value_read_its_bootstrap() -> None:
    result = insert_bootstraps(block(), CHOICE, (1.0, 0.5, 1.0, 2.0), output_level=5)
    verify_tensor_program(result.program, "insert_bootstraps")
    _, refreshed, polynomial, total = result.program.operations
    assert isinstance(refreshed, Bootstrap) and refreshed.input == 1
    assert polynomial.reads == (2,)
    assert total.reads == (3, 1)
    assert result.levels == (4, 3, 5, 3, 3)
    assert result.sources == (0, 1, 1, 2, 3)


def test_a_bootstrap_keeps_values_within_its_bound() -> None:
    result = insert_bootstraps(block(), CHOICE, (1.0, 0.5, 1.0, 2.0), output_level=5)
    before = run_tensor_program(block(), INPUTS)
    # |x - sin x| <= |x|^3 / 6 with x = 2 pi value / 256, and the slope of the polynomial is below 2.
    most = 2 * (2 * np.pi / 256) ** 2 / 6
    assert 0 < np.abs(run_tensor_program(result.program, INPUTS) - before).max() <= most


def test_the_noise_of_a_bootstrap_reaches_the_output() -> None:
    program = TensorProgram((SIZE,), (Bootstrap(0, 4.0, (SIZE,), "bootstrap"), affine(1, 3.0)), 2, (SIZE,))
    arguments = (program, {1: LIGHTEST}, (0, 1, 0), (SCALE,) * 3, NoiseModel(1 << 12, 2.0**-6, 1))
    shares, _ = predict_errors(
        *arguments, measure_sensitivity(program, INPUTS), 40.0, bootstrap_noise=2.0**-18
    )
    # The noise is 2^-18 of the bound 4, and the map triples it. Each output has one term, which may be Laplacian: its
    # bound is at log(2 / EXCEEDED) / sqrt(2) = 13.5 deviations at least, and 16 by Chernoff.
    deviation = 3.0 * 4.0 * 2.0**-18
    assert 13.5 * deviation < shares[1] < 16.5 * deviation
    without, _ = predict_errors(*arguments, measure_sensitivity(program, INPUTS), 40.0)
    assert without[1] == 0.0


def test_bounds_are_powers_of_two_with_room() -> None:
    assert bootstrap_bound(0.7, in_range=True) == 1.0
    assert [bootstrap_bound(size, in_range=False) for size in (3.0, 3.3, 0.2, 0.0)] == [4.0, 8.0, 0.25, 1.0]
