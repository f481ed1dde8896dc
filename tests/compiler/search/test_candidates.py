"""The enumeration against a feedback that is told what to answer: nothing is evaluated here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import groupby

from hetorch.compiler.search.candidates import (
    ASSUMED_DIGIT_SIZE,
    DIGIT_SIZES,
    FOLD_PENALTIES,
    KEY_WEIGHTS,
    SPARE_BITS,
    Candidate,
    Scope,
    batches,
    candidates,
    digit_sizes,
    ring_degrees,
)
from hetorch.compiler.search.request import Request
from tests.compiler.networks import request


@dataclass
class Answers:
    """A feedback: `judge` gives (feasible, settles) of each candidate."""

    judge: Callable[[Candidate], tuple[bool, Scope]]
    fewer_keys: Callable[[int, float], bool] = lambda variant, key_weight: False
    within: Callable[[Candidate], bool] = lambda candidate: True
    seen: list[Candidate] = field(default_factory=list)

    @property
    def feasible(self) -> bool:
        return self.judge(self.seen[-1])[0]

    @property
    def settles(self) -> Scope:
        return self.judge(self.seen[-1])[1]

    def is_within_limits(self, variant: int, key_weight: float) -> bool:
        same = [c for c in self.seen if (c.variant, c.key_weight) == (variant, key_weight)]
        return any(self.judge(c)[0] and self.within(c) for c in same)

    def wants_fewer_keys(self, variant: int, key_weight: float) -> bool:
        return self.fewer_keys(variant, key_weight)


def enumerated(asked: Request, answers: Answers) -> list[Candidate]:
    for candidate in candidates(asked, answers):
        answers.seen.append(candidate)
    return answers.seen


def nothing_fits(candidate: Candidate) -> tuple[bool, Scope]:
    return False, Scope.SPARE_BITS


def all_fit(candidate: Candidate) -> tuple[bool, Scope]:
    return True, Scope.DIGIT_SIZE


def test_where_nothing_fits_everything_is_tried_once_in_order() -> None:
    asked = request("linear")
    seen = enumerated(asked, Answers(nothing_fits))
    rings = [1 << k for k in range(11, 17)]
    assert [(c.ring_degree, c.fold_penalty, c.digit_size, c.spare_bits) for c in seen] == [
        (ring, penalty, size, spare)
        for ring in rings
        for penalty in FOLD_PENALTIES
        for size in DIGIT_SIZES
        for spare in SPARE_BITS
    ]
    assert len(set(seen)) == len(seen)
    assert {(c.variant, c.key_weight, c.batch) for c in seen} == {(0, KEY_WEIGHTS[0], 1)}
    assert {c.positions for c in seen if c.ring_degree == 1 << 12} == {1 << 11}


def test_the_last_penalty_assumes_the_smallest_digits() -> None:
    assumed = {
        c.fold_penalty: c.layout_digit_size for c in enumerated(request("linear"), Answers(nothing_fits))
    }
    assert assumed == {
        **dict.fromkeys(FOLD_PENALTIES, ASSUMED_DIGIT_SIZE),
        FOLD_PENALTIES[-1]: DIGIT_SIZES[0],
    }


def test_where_all_fits_the_first_ring_and_most_spare_bits_are_enough() -> None:
    seen = enumerated(request("linear"), Answers(all_fit))
    assert [c.digit_size for c in seen] == list(DIGIT_SIZES)
    assert {(c.ring_degree, c.fold_penalty, c.spare_bits) for c in seen} == {
        (1 << 11, FOLD_PENALTIES[0], SPARE_BITS[0])
    }


def test_one_ring_more_is_tried_for_tensors_that_do_not_fit_a_ciphertext() -> None:
    asked = request("linear", batch_size=512)  # 16 positions for each of 512 samples: 8192 slots, ring 2^14
    assert {c.ring_degree for c in enumerated(asked, Answers(all_fit))} == {1 << 11, 1 << 12}
    fitting = Answers(lambda c: (c.ring_degree >= 1 << 14, Scope.DIGIT_SIZE))
    assert max(c.ring_degree for c in enumerated(asked, fitting)) == 1 << 14


def test_what_is_settled_is_left_out() -> None:
    asked = request("linear", objective="throughput")
    for scope, count in ((Scope.DIGIT_SIZE, None), (Scope.BATCH, None), (Scope.RING_DEGREE, 6)):
        seen = enumerated(asked, Answers(lambda c, scope=scope: (False, scope)))  # type: ignore[misc]
        if scope is Scope.DIGIT_SIZE:
            assert {c.spare_bits for c in seen} == {SPARE_BITS[0]}
            assert {c.fold_penalty for c in seen} == set(FOLD_PENALTIES)
        if scope is Scope.BATCH:
            assert [(c.ring_degree, c.batch) for c in seen] == [
                (ring, batch) for ring in ring_degrees(asked) for batch in batches(asked, ring // 2)
            ]
        if count is not None:
            assert len(seen) == count == len({c.ring_degree for c in seen})


def test_penalties_are_raised_until_one_digit_size_fits() -> None:
    answers = Answers(lambda c: (c.fold_penalty > 0 and c.digit_size == 3, Scope.SPARE_BITS))
    seen = enumerated(request("linear"), answers)
    assert {c.ring_degree for c in seen} == {1 << 11}
    assert sorted({c.fold_penalty for c in seen}) == list(FOLD_PENALTIES[:2])
    assert {c.digit_size for c in seen if c.fold_penalty > 0} == set(DIGIT_SIZES)


def test_heavier_keys_are_tried_until_they_are_few() -> None:
    weights = [
        weight
        for weight, _ in groupby(
            enumerated(request("linear"), Answers(all_fit, lambda v, w: w < 1.0)), lambda c: c.key_weight
        )
    ]
    assert weights == list(KEY_WEIGHTS[:3])
    never = Answers(all_fit, lambda variant, key_weight: True)
    assert {c.key_weight for c in enumerated(request("linear"), never)} == set(KEY_WEIGHTS)


def test_larger_rings_are_tried_until_one_keeps_the_limits() -> None:
    beyond = Answers(all_fit, within=lambda candidate: False)
    assert {c.ring_degree for c in enumerated(request("linear"), beyond)} == set(
        ring_degrees(request("linear"))
    )
    third = Answers(all_fit, within=lambda candidate: candidate.ring_degree >= 1 << 13)
    assert {c.ring_degree for c in enumerated(request("linear"), third)} == {1 << 11, 1 << 12, 1 << 13}


def test_options_and_engines_narrow_the_choice() -> None:
    assert ring_degrees(request("linear", ring_degree=1 << 13)) == [1 << 13]
    assert ring_degrees(request("linear", engine="seal"))[-1] == 1 << 15
    assert digit_sizes(request("linear", engine="seal")) == (1,)
    assert digit_sizes(request("linear", digit_size=3)) == (3,)


def test_batches_are_powers_of_two() -> None:
    assert batches(request("linear"), 1 << 12) == [1]
    assert batches(request("linear", batch_size=5), 1 << 12) == [8]
    assert batches(request("linear", batch_size=5000), 1 << 12) == [8192]  # evaluation refuses it
    assert batches(request("linear", objective="throughput"), 1 << 12) == [1 << 12]
    both = request("linear", objective="throughput", batch_size=100)
    assert batches(both, 1 << 12) == [128, 512, 2048, 4096]


def test_every_variant_has_its_turn() -> None:
    asked = request("wide")
    twice = Request(
        (asked.variants[0], asked.variants[0]), asked.output_range, asked.precision, asked.options
    )
    assert [v for v, _ in groupby(enumerated(twice, Answers(all_fit)), lambda c: c.variant)] == [0, 1]
