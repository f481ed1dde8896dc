from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.bootstraps.masks import largest_mixture, maskable_values, unused_slots, with_masks
from hetorch.compiler.packing.lower import lower
from hetorch.compiler.packing.placements import compact
from hetorch.compiler.packing.runs import run_candidates
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import (
    MASK,
    Add,
    Affine,
    Bootstrap,
    Chebyshev,
    TensorProgram,
    verify_tensor_program,
)

SIZE = 8
GENERATOR = np.random.default_rng(0)


def affine(source: int) -> Affine:
    matrix = sparse.csr_array(np.random.default_rng(source).normal(size=(SIZE, SIZE)) / SIZE)
    return Affine(source, matrix, np.full(SIZE, 0.1), (SIZE,), f"map{source}", "Linear")


def series(source: int, degree: int = 3) -> Chebyshev:
    return Chebyshev(source, (0.5, 1.0, *[0.01] * (degree - 1)), (SIZE,), f"f{source}", "f")


def block() -> TensorProgram:
    """Two maps, each before a polynomial; the second one with a sum between."""
    operations = (affine(0), series(1), affine(2), Add(3, 2, (SIZE,), "sum"), series(4), affine(5))
    return TensorProgram((SIZE,), operations, 6, (SIZE,))


def test_only_polynomials_read_masks_and_the_results_are_the_same() -> None:
    result = with_masks(block(), [1, 4])
    verify_tensor_program(result.program, "with_masks")
    masks = [op for op in result.program.operations if isinstance(op, Affine) and op.kind == MASK]
    assert [op.input for op in masks] == [result.made[1], result.made[4]]
    assert set(result.masks) == {1, 4}
    for value, mask in result.masks.items():
        readers = [op for op in result.program.operations if mask in op.reads]
        assert readers and all(isinstance(op, Chebyshev) for op in readers)
        assert result.sources[mask] == result.sources[result.made[value]] == value
    inputs = GENERATOR.uniform(-1, 1, (5, SIZE))
    np.testing.assert_array_equal(
        run_tensor_program(result.program, inputs), run_tensor_program(block(), inputs)
    )


def test_values_with_room_and_a_level_left_may_be_masked() -> None:
    program = block()
    # Value 2 is read by a map and a sum; the output by nothing.
    assert maskable_values(program, 2 * SIZE, 4, None) == [1, 4]
    assert maskable_values(program, SIZE, 4, None) == []
    # A map, a mask and a cubic take four levels.
    assert maskable_values(program, 2 * SIZE, 3, None) == []
    assert maskable_values(program, 2 * SIZE, 4, [1e3] * program.value_count) == []


def test_the_bound_of_a_mixture_holds() -> None:
    program, source = block(), compact(SIZE)
    op = program.operations[0]
    assert isinstance(op, Affine)
    bound = largest_mixture(program, 1, [1.0] * program.value_count)
    (mixed,) = run_candidates([source], source, 4 * SIZE)
    lowered = lower(op.matrix, source, mixed, 4 * SIZE)
    largest = 0.0
    for _ in range(200):
        slots = lowered.transform.apply([np.tile(np.sign(GENERATOR.normal(size=SIZE)), 4)])[0]
        for step in lowered.folds:
            slots = slots + np.roll(slots, -step)
        largest = max(largest, float(np.abs(slots).max()))
    assert bound / 4 < largest <= bound
    # The parts of a sum add up.
    assert largest_mixture(program, 4, [1.0] * program.value_count) == np.inf


def test_the_number_in_unused_slots_follows_the_operations() -> None:
    operations = (affine(0), series(1), Bootstrap(2, 4.0, (SIZE,), "b"), Add(3, 2, (SIZE,), "sum"), affine(4))
    program = TensorProgram((SIZE,), operations, 5, (SIZE,))
    made = 0.5 - 0.01  # T_0 and T_2 at 0
    sine = 4 * 256 / (2 * np.pi) * np.sin(2 * np.pi * made / (4 * 256))
    np.testing.assert_allclose(unused_slots(program), [0, 0, made, sine, sine + made, 0], rtol=1e-12)
