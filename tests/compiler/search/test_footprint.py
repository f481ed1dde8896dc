"""The memory of a choice, against the memory that is predicted from the program that is built of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetorch.compiler.lowering.build_program import build_program
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.footprint import MEMORY_WORTH, WORTHWHILE, _choose
from hetorch.compiler.search.search import search
from hetorch.ir.he_operations import LinearTransform
from hetorch.plan.memory import MemoryPrediction, predict_memory
from tests.compiler.networks import NETWORKS, choice, request


def predicted(chosen: Choice) -> MemoryPrediction:
    program, weights = build_program(chosen)
    return predict_memory(program, chosen.parameters, chosen.keys, weights)


@pytest.mark.parametrize(
    ("name", "batch_size"), [*((name, 1) for name in sorted(NETWORKS)), ("cnn", 100), ("image", 100)]
)
def test_a_footprint_is_the_memory_of_the_program(name: str, batch_size: int) -> None:
    chosen = search(request(name, batch_size=batch_size))
    held, exact = chosen.footprint, predicted(chosen)
    assert not held.coefficients
    assert (held.keys, sum(held.weights.values())) == (exact.keys, exact.weights)
    # Tensor by tensor, no ciphertext is freed within a layer.
    assert exact.working <= held.working <= 2 * exact.working


@pytest.mark.parametrize("name", ["cnn", "residual"])
def test_coefficients_keep_a_limit_for_more_time(name: str) -> None:
    free = choice(name)
    held = free.footprint
    limit = held.total - sum(held.weights.values()) // 3
    chosen = search(replace(request(name), machine_memory=limit))
    assert chosen.footprint.total <= limit
    kept = chosen.footprint.coefficients
    assert kept and chosen.cost > free.cost and all(seconds > 0 for seconds in kept.values())
    exact = predicted(chosen)
    assert (chosen.footprint.keys, sum(chosen.footprint.weights.values())) == (exact.keys, exact.weights)
    program, _ = build_program(chosen)
    transforms = [op for op in program.operations if isinstance(op, LinearTransform)]
    assert {op.layer - 1 for op in transforms if op.coefficients} == set(kept)


def test_only_as_many_maps_as_needed_are_kept_as_coefficients() -> None:
    held = choice("residual").footprint
    counts = []
    for share in (0.0, 0.3, 0.7):
        limit = held.total - int(share * sum(held.weights.values()))
        counts.append(len(search(replace(request("residual"), machine_memory=limit)).footprint.coefficients))
    assert counts[0] == 0 and counts == sorted(counts) and counts[-1] > 1


def test_few_maps_are_chosen_and_for_little_time() -> None:
    saved = {0: 100, 1: 60, 2: 30, 3: 10}
    costs = {0: 9.0, 1: 3.0, 2: 2.0, 3: 1.0}
    for needed, expected in ((0, set()), (5, {3}), (30, {2}), (31, {1}), (101, {0, 3}), (1000, {0, 1, 2, 3})):
        assert _choose(saved, costs, needed, 0, 1.0) == expected
    # Without need, only for a share of the time, and only where much is saved.
    much = {index: WORTHWHILE * size // 10 for index, size in saved.items()}
    assert _choose(much, costs, 0, 10**12, 2.5 / MEMORY_WORTH) == {2}
    assert _choose(much, costs, 0, 10**12, 12.5 / MEMORY_WORTH) == {0, 1}
    assert not _choose({3: WORTHWHILE - 1}, costs, 0, 10**12, 100.0)
