from __future__ import annotations

import functools
import math

import numpy as np
import pytest
from scipy import sparse

from hetorch.compiler.costs.bootstrap_time import bootstrap_time
from hetorch.compiler.costs.machine import DEFAULT
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.search.place_bootstraps import (
    BootstrappedProgram,
    Setting,
    bootstrap_sets,
    place_bootstraps,
    placements,
)
from hetorch.compiler.search.program_costs import cost_model, layer_costs
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, TensorOp, TensorProgram
from hetorch.params.bootstrap_sizes import LARGE_RING, SMALL_RING, standard_sizes

SIZE = 16


def affine(source: int) -> Affine:
    matrix = sparse.csr_array(np.random.default_rng(source).normal(size=(SIZE, SIZE)))
    return Affine(source, matrix, np.ones(SIZE), (SIZE,), f"map{source}", "Linear")


def polynomial(source: int, degree: int) -> Chebyshev:
    return Chebyshev(source, tuple(np.full(degree + 1, 0.01)), (SIZE,), f"function{source}", "ReLU")


def program_of(operations: list[TensorOp]) -> TensorProgram:
    return TensorProgram((SIZE,), tuple(operations), len(operations), (SIZE,))


@functools.cache
def deep_chain() -> BootstrappedProgram:
    """Three polynomials of seven levels, each between two maps."""
    operations: list[TensorOp] = []
    for _ in range(3):
        operations += [affine(len(operations)), polynomial(len(operations) + 1, 127)]
    return place_bootstraps(program_of([*operations, affine(len(operations))]), Setting())


@functools.cache
def residual() -> BootstrappedProgram:
    """A block of two polynomials of seven levels whose input is added to its result, and a map after it."""
    return place_bootstraps(
        program_of(
            [
                polynomial(0, 127),
                affine(1),
                polynomial(2, 127),
                affine(3),
                Add(4, 0, (SIZE,), "sum"),
                affine(5),
            ]
        ),
        Setting(),
    )


def available(placed: BootstrappedProgram) -> list[int]:
    refreshed = {bootstrap.value for bootstrap in placed.bootstraps}
    return [
        placed.bootstrap_set.output_level if value in refreshed else level
        for value, level in enumerate(placed.levels)
    ]


def test_a_deep_chain_is_bootstrapped_as_often_as_its_polynomials_need() -> None:
    placed = deep_chain()
    assert len(placed.bootstraps) == 2
    assert placed.bootstrap_set.user_levels == 8
    # The values fit into the smaller number of slots.
    assert placed.bootstrap_set.slots == 1 << 14
    assert all(placement.period <= 1 << 14 for placement in placed.layouts.placements)
    # After the last bootstrap, the last map takes a prime that SlotsToCoeffs has no more use for.
    assert placed.levels[-1] < placed.bootstrap_set.input_level


@pytest.mark.parametrize("network", [deep_chain, residual])
def test_levels_suit_all_operations(network: functools._lru_cache_wrapper[BootstrappedProgram]) -> None:
    placed = network()
    above = available(placed)
    for index, op in enumerate(placed.program.operations):
        assert all(above[value] >= placed.levels[index + 1] + op.depth for value in op.reads)
        # Only maps take the primes of SlotsToCoeffs.
        low = isinstance(op, Affine | Add) or placed.levels[index + 1] >= placed.bootstrap_set.input_level
        assert low
    for bootstrap in placed.bootstraps:
        assert placed.levels[bootstrap.value] == placed.bootstrap_set.input_level


@pytest.mark.parametrize("network", [deep_chain, residual])
def test_the_time_is_that_of_operations_and_bootstraps(
    network: functools._lru_cache_wrapper[BootstrappedProgram],
) -> None:
    placed = network()
    parts = [placement.parts for placement in placed.layouts.placements]
    model = cost_model(placed.bootstrap_set.parameters, DEFAULT)
    own = sum(layer_costs(placed.program, placed.lowered, placed.levels, parts, model))
    each = bootstrap_time(placed.bootstrap_set, DEFAULT).total
    assert placed.seconds == pytest.approx(own + each * len(placed.bootstraps), rel=1e-12)


def test_a_skipped_value_needs_no_bootstrap() -> None:
    # The second polynomial needs one. The sum is then at a low level, at which the input is still there.
    assert len(residual().bootstraps) == 1


def test_sets_have_the_levels_of_the_deepest_operation_and_more_up_to_the_security_bound() -> None:
    # log2(QP) of twelve levels is 1694; thirteen take another special prime, which passes the 1747 that are allowed.
    sets = [(boot.slots, boot.user_levels, boot.babies) for boot in bootstrap_sets(1 << 14, 10, Setting())]
    babies = standard_sizes(LARGE_RING, 10).babies
    assert sets == [(1 << 14, levels, pair) for levels in (10, 11, 12) for pair in babies]
    small = bootstrap_sets(1 << 14, 7, Setting(ring_degree=SMALL_RING))
    assert [(boot.user_levels, boot.user_bits) for boot in small] == [(7, 32)] * 4 + [(8, 32)] * 4


def low_degrees(layers: int) -> TensorProgram:
    """Polynomials of degree 3, each after a map."""
    operations: list[TensorOp] = []
    for _ in range(layers):
        operations += [affine(len(operations)), polynomial(len(operations) + 1, 3)]
    return program_of(operations)


def test_low_degrees_are_bootstrapped_in_the_smaller_ring() -> None:
    small, large = Setting(ring_degree=SMALL_RING), Setting(ring_degree=LARGE_RING)
    program = low_degrees(20)
    placed = place_bootstraps(program, large, small)
    assert placed.bootstrap_set.parameters.ring_degree == SMALL_RING
    assert (
        placed.seconds == place_bootstraps(program, small).seconds < place_bootstraps(program, large).seconds
    )
    # Three levels a layer: as many bootstraps as they need and no more.
    assert len(placed.bootstraps) == math.ceil(60 / placed.bootstrap_set.user_levels) - 1
    # The smaller ring has no set for polynomials of more levels.
    deep = program_of([polynomial(0, 255), affine(1), polynomial(2, 511)])
    assert place_bootstraps(deep, large, small).bootstrap_set.parameters.ring_degree == LARGE_RING
    with pytest.raises(InfeasibleError, match="more levels than any bootstrap leaves"):
        place_bootstraps(deep, small)


def test_each_ring_has_the_slots_that_the_sparse_secret_takes() -> None:
    # Half the slots of the smaller ring would put it into dimension 2^14, which has no row.
    settings = Setting.all_of(CompileOptions(), DEFAULT)
    slots = {
        (placed.bootstrap_set.parameters.ring_degree, placed.bootstrap_set.slots)
        for placed in placements(low_degrees(4), settings)
    }
    assert slots == {(1 << 16, 1 << 14), (1 << 16, 1 << 15), (1 << 15, 1 << 14)}
    one = Setting.all_of(CompileOptions(ring_degree=1 << 15), DEFAULT)
    assert [setting.ring_degree for setting in one] == [1 << 15]


def test_a_product_of_more_levels_than_any_set_is_refused() -> None:
    deep = polynomial(0, (1 << 14) - 1)
    with pytest.raises(InfeasibleError, match="more levels than any bootstrap leaves"):
        place_bootstraps(program_of([deep]), Setting())
