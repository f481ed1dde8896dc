"""The choice of levels and bootstraps against the least of all choices, on small random graphs."""

from __future__ import annotations

from itertools import chain, combinations, product

import numpy as np
import pytest

from hetorch.compiler.bootstraps.choose_levels import choose_levels
from hetorch.compiler.bootstraps.eliminate import Table, minimise
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


def test_entangled_branches_are_refused_before_memory_is_taken() -> None:
    pairs = [Table((a, b), np.zeros((40, 40))) for a, b in combinations(range(6), 2)]
    with pytest.raises(InfeasibleError, match="depends on 5 others"):
        minimise([40] * 6, pairs)
