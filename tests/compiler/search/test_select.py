from __future__ import annotations

import math
from dataclasses import replace

import pytest

from hetorch.compiler.search.candidates import KEY_WEIGHTS, Scope
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.feasibility import Infeasible, Limit
from hetorch.compiler.search.footprint import Footprint
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.select import FEWER_KEYS, HUGE_KEYS, LEAST_WORTH, MOST_WORTH, Ledger
from hetorch.errors import InfeasibleError
from tests.compiler.networks import choice, request


def made(
    cost: float, key_bytes: int = 0, weight: int = 0, variant: int = 0, batch: int = 1, memory: int = 0
) -> Choice:
    chosen = choice("linear")
    candidate = replace(chosen.candidate, key_weight=KEY_WEIGHTS[weight], variant=variant, batch=batch)
    footprint = Footprint(keys=0, working=0, weights={0: memory}, coefficients={})
    return replace(chosen, candidate=candidate, cost=cost, key_bytes=key_bytes, footprint=footprint)


def ledger(*choices: Choice, variants: int = 1, **options: object) -> Ledger:
    asked = request("linear", **options)
    result = Ledger(
        Request(asked.variants[:1] * variants, asked.output_range, asked.precision, asked.options)
    )
    for one in choices:
        result.add(one)
    return result


def test_the_cheapest_wins_and_of_equals_the_first() -> None:
    first, second, third = made(3.0), made(2.0), made(2.0)
    assert ledger(first, second, third).winner() is second


def test_without_a_batch_size_a_sample_is_what_is_cheap() -> None:
    many, few = made(4.0, batch=8), made(1.0, batch=1)
    assert ledger(many, few).winner() is few
    assert ledger(many, few, objective="throughput").winner() is many


def test_fewer_keys_win_for_next_to_no_time() -> None:
    many, worth = FEWER_KEYS[0], 1 + LEAST_WORTH
    fast = made(1.0, many + 1)
    close, slow = made(worth, many // 2, weight=1), made(1.01 * worth, 0, weight=2)
    assert ledger(fast, close).winner() is close
    assert ledger(fast, slow).winner() is fast
    assert ledger(fast).wants_fewer_keys(0, KEY_WEIGHTS[0])
    assert not ledger(made(1.0, many)).wants_fewer_keys(0, KEY_WEIGHTS[0])
    assert not ledger().wants_fewer_keys(0, KEY_WEIGHTS[0])


def test_the_more_keys_the_more_time_fewer_of_them_are_worth() -> None:
    few, close, slow = (
        made(cost, keys, weight) for cost, keys, weight in ((1.0, 0, 0), (1.02, 3, 1), (1.1, 1, 2))
    )
    for share, winner in ((0.1, 0), (0.2, 1), (0.5, 1), (0.9, 2)):
        fast = replace(few, key_bytes=int(share * HUGE_KEYS))
        assert ledger(fast, close, slow).winner() is (fast, close, slow)[winner]


def test_far_fewer_keys_win_for_some_time_where_they_are_huge() -> None:
    fast, digits = made(1.0, 4 * HUGE_KEYS), made(0.99 * (1 + MOST_WORTH), 2 * HUGE_KEYS)
    slow = made(1.01 * (1 + MOST_WORTH), HUGE_KEYS, weight=1)
    # Choices of one key weight that differ in their digits or their ring count too.
    assert ledger(fast, digits, slow).winner() is digits
    enough = made(1.1, HUGE_KEYS, weight=2)
    assert ledger(fast, digits, enough, made(1 + MOST_WORTH, 1, weight=3)).winner() is enough
    # Heavier keys are tried for huge ones only.
    assert ledger(made(1.0, 2 * HUGE_KEYS, weight=3)).wants_fewer_keys(0, KEY_WEIGHTS[3])
    assert not ledger(made(1.0, HUGE_KEYS, weight=3)).wants_fewer_keys(0, KEY_WEIGHTS[3])


def test_what_takes_too_much_memory_never_wins() -> None:
    fast, slow = made(1.0, memory=101), made(9.0, weight=1, memory=100)
    assert ledger(fast, slow, memory_limit=100).winner() is slow
    assert ledger(fast, slow, memory_limit=101).winner() is fast
    assert not ledger(fast, memory_limit=100).is_within_limits(0, KEY_WEIGHTS[0])
    assert ledger(fast, memory_limit=100).wants_fewer_keys(0, KEY_WEIGHTS[0])
    with pytest.raises(
        InfeasibleError, match=r"least 100 bytes .*99 bytes are allowed by memory_limit=; .* 'linear' takes"
    ):
        ledger(fast, slow, memory_limit=99).winner()


def test_a_limit_takes_the_first_within_it_whatever_the_time() -> None:
    fast, slow = made(1.0, 100), made(9.0, 50, weight=1)
    assert ledger(fast, slow, key_limit=60).winner() is slow
    assert ledger(fast, slow, key_limit=100).winner() is fast
    with pytest.raises(InfeasibleError, match=r"take 50 bytes, and 40 bytes are allowed .*key_limit=50;"):
        ledger(fast, slow, key_limit=40).winner()


def test_the_faster_variant_wins_and_one_is_enough() -> None:
    slow, fast = made(2.0), made(1.0, variant=1)
    assert ledger(slow, fast, variants=2).winner() is fast
    assert ledger(fast, variants=2).winner() is fast


def test_the_message_is_that_of_the_first_variant() -> None:
    candidate = made(1.0).candidate
    misses = [
        Infeasible(replace(candidate, ring_degree=1 << 11), Limit.RING, 80, 55),
        Infeasible(replace(candidate, ring_degree=1 << 12), Limit.PRECISION, 50, 45),
        Infeasible(replace(candidate, ring_degree=1 << 12, spare_bits=0), Limit.PRECISION, 51, 45),
        Infeasible(replace(candidate, ring_degree=1 << 13), Limit.RING, math.inf, 215),
        Infeasible(replace(candidate, ring_degree=1 << 14), Limit.LAYOUTS, detail="no room"),
    ]
    empty = ledger()
    for miss in misses:
        empty.add(miss)
    assert not empty.feasible and empty.settles is Scope.BATCH
    with pytest.raises(InfeasibleError) as raised:
        empty.winner()
    text = str(raised.value)
    assert "2^11: at least 80 bits needed, 54 allowed; 2^12: no chain of 2 primes" in text
    assert (
        "2^13: no chain of 2 primes is precise and secure enough; 2^14: no room); what helps: " in text
        and text.count("2^12") == 1
    )
