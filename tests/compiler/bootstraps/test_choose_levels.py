"""The choice of levels and bootstraps against the least of all choices, on small random graphs."""

from __future__ import annotations

from itertools import chain, combinations, product

import numpy as np
import pytest

from hetorch.compiler.bootstraps import eliminate
from hetorch.compiler.bootstraps.choose_levels import choose_levels
from hetorch.compiler.bootstraps.eliminate import Table, minimise, order_of
from hetorch.compiler.bootstraps.level_graph import LevelGraph
from hetorch.errors import InfeasibleError


def random_graph(rng: np.random.Generator) -> LevelGraph:
    """Return a graph of four to six values, with forks and joins, whose last value is the output."""
    count, levels = int(rng.integers(4, 7)), int(rng.integers(2, 4))
    reads: list[tuple[int, ...]] = [()]
    for value in range(1, count):
        # The value before is read, so that all are needed.
        reads.append(tuple({value - 1, int(rng.integers(value))}) if rng.random() < 0.6 else (value - 1,))
    start = int(rng.integers(0, 2))
    return LevelGraph(
        reads=tuple(reads),
        depths=(0, *(int(d) for d in rng.integers(0, 3, count - 1))),
        costs=np.cumsum(rng.integers(1, 9, (count, levels)).astype(np.float64), axis=1),
        bootstraps=np.where(rng.random(count) < 0.2, np.inf, rng.integers(5, 40, count).astype(np.float64)),
        start=start,
        refreshed=int(rng.integers(max(1, start), levels)),
    )


def least_cost(graph: LevelGraph) -> float:
    """Return the least cost of all choices of levels and bootstraps."""
    values = range(graph.value_count)
    subsets = [
        frozenset(s) for s in chain.from_iterable(combinations(values, k) for k in range(len(values) + 1))
    ]
    return min(
        graph.cost(levels, subset)
        for levels in product(range(graph.level_count), repeat=len(values))
        for subset in subsets
    )


@pytest.mark.parametrize("seed", range(12))
def test_no_choice_costs_less(seed: int) -> None:
    graph = random_graph(np.random.default_rng(seed))
    least = least_cost(graph)
    if not np.isfinite(least):
        with pytest.raises(InfeasibleError):
            choose_levels(graph)
        return
    choice = choose_levels(graph)
    assert choice.cost == least
    assert graph.cost(choice.levels, choice.bootstrapped) == least


def chain_graph(depths: list[int], refreshed: int, bootstrap: float) -> LevelGraph:
    """Return a chain whose first value is the input; each value costs a hundredth for each level."""
    costs = np.tile(0.01 * np.arange(refreshed + 1.0), (len(depths) + 1, 1))
    return LevelGraph(
        reads=((), *((value,) for value in range(len(depths)))),
        depths=(0, *depths),
        costs=costs,
        bootstraps=np.full(len(depths) + 1, bootstrap),
        start=0,
        refreshed=refreshed,
    )


def test_a_chain_has_as_many_bootstraps_as_its_levels_need() -> None:
    choice = choose_levels(chain_graph([7, 1] * 10, refreshed=8, bootstrap=1.0))
    # Each pair takes all eight levels: a bootstrap before each but the first, which has the levels of the input.
    assert sorted(choice.bootstrapped) == list(range(2, 20, 2))


def test_a_chain_that_fits_has_none() -> None:
    choice = choose_levels(chain_graph([3, 1, 2], refreshed=8, bootstrap=1.0))
    assert choice.bootstrapped == frozenset()
    assert choice.levels == (6, 3, 2, 0)


def residual_blocks(count: int, wide: float) -> LevelGraph:
    """Return blocks of activation (7), map (1), activation (7), map (1), and the sum with the block's input.

    A bootstrap takes a second, and `wide` seconds of the result of a first map, as if it was several ciphertexts.
    """
    reads: list[tuple[int, ...]] = [()]
    depths, bootstraps = [0], [1.0]
    for _ in range(count):
        entry = len(reads) - 1
        reads += [(entry + k,) for k in range(4)] + [(entry + 4, entry)]
        depths += [7, 1, 7, 1, 0]
        bootstraps += [1.0, wide, 1.0, 1.0, 1.0]
    costs = np.tile(0.001 * np.arange(9.0), (len(reads), 1))
    return LevelGraph(tuple(reads), tuple(depths), costs, np.array(bootstraps), 0, 8)


def test_a_residual_sum_needs_no_bootstrap_of_its_own() -> None:
    choice = choose_levels(residual_blocks(4, wide=1.0))
    # One inside each block and one between blocks; the skipped value is read at the level of the sum.
    assert len(choice.bootstrapped) == 7


def test_bootstraps_are_where_values_are_narrow() -> None:
    graph = residual_blocks(4, wide=2.0)
    choice = choose_levels(graph)
    assert len(choice.bootstrapped) == 8
    assert all(graph.bootstraps[value] == 1.0 for value in choice.bootstrapped)


def test_branches_between_one_fork_and_one_join_are_solved_however_many() -> None:
    """Sixteen branches of depth 3 that meet in a tree of sums: the fork is bootstrapped, once, or nothing is."""
    branches = 16
    reads: list[tuple[int, ...]] = [(), (0,), *((1,) for _ in range(branches))]
    depths = [0, 3, *[3] * branches]
    heads = list(range(2, 2 + branches))
    while len(heads) > 1:
        first, second, *heads = heads
        reads.append((first, second))
        depths.append(0)
        heads.append(len(reads) - 1)
    costs = np.tile(0.001 * np.arange(5.0), (len(reads), 1))
    graph = LevelGraph(tuple(reads), tuple(depths), costs, np.ones(len(reads)), 0, 4)
    assert choose_levels(graph).bootstrapped == {1}


def test_an_operation_deeper_than_a_bootstrap_reaches_is_refused() -> None:
    with pytest.raises(InfeasibleError, match="more levels than the 8"):
        choose_levels(chain_graph([4, 9], refreshed=8, bootstrap=1.0))


def dense_block(layers: int) -> LevelGraph:
    """Return a block in which each layer (activation 7, map 1) reads the sum of maps of all results before it."""
    reads: list[tuple[int, ...]] = [()]
    depths = [0]

    def add(depth: int, *sources: int) -> int:
        reads.append(sources)
        depths.append(depth)
        return len(reads) - 1

    results = [0]
    for _ in range(layers):
        total, *maps = [add(1, result) for result in results]
        for number in maps:
            total = add(0, total, number)
        results.append(add(7, total))
    costs = np.tile(0.001 * np.arange(9.0), (len(reads), 1))
    return LevelGraph(tuple(reads), tuple(depths), costs, np.array([np.inf, *[1.0] * (len(reads) - 1)]), 0, 8)


@pytest.mark.parametrize("layers", [4, 6])
def test_tables_that_are_too_large_are_avoided_at_little_cost(
    monkeypatch: pytest.MonkeyPatch, layers: int
) -> None:
    graph = dense_block(layers)
    exact = choose_levels(graph)
    # Two activations of depth 7 have a bootstrap between them, as have those before the first and after the last.
    assert len(exact.bootstrapped) == layers - 1
    monkeypatch.setattr(eliminate, "MOST_ENTRIES", 1 << 8)
    monkeypatch.setattr(eliminate, "FEWER_ENTRIES", 1 << 8)
    near = choose_levels(graph)
    assert graph.cost(near.levels, near.bootstrapped) == pytest.approx(near.cost)
    assert len(near.bootstrapped) == len(exact.bootstrapped)
    assert near.cost >= exact.cost - 1e-9


def test_no_table_is_larger_than_the_most() -> None:
    scopes = list(combinations(range(6), 2))
    order = order_of([40] * 6, scopes, 40**3)
    # Three that remain of six have two neighbours each.
    assert len(order.held) == 3 and sorted((*order.variables, *order.held)) == list(range(6))
    assert order_of([40] * 6, scopes, 40**6).held == ()


def test_a_known_choice_is_not_made_worse(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    sizes = [4] * 6
    tables = [Table(pair, rng.random((4, 4))) for pair in combinations(range(6), 2)]
    states, least = minimise(sizes, tables)
    assert least == pytest.approx(
        sum(table.values[tuple(states[v] for v in table.variables)] for table in tables)
    )
    monkeypatch.setattr(eliminate, "MOST_ENTRIES", 16)
    monkeypatch.setattr(eliminate, "FEWER_ENTRIES", 16)
    found, total = minimise(sizes, tables, states)
    assert found == states and total == pytest.approx(least)
    assert minimise(sizes, tables)[1] >= least - 1e-12
