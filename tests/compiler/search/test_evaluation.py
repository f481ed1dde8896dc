from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from hetorch.compiler.search.candidates import Candidate, Scope
from hetorch.compiler.search.evaluation import Choice, Evaluation, evaluate
from hetorch.compiler.search.feasibility import Infeasible, Limit
from hetorch.compiler.search.pack import Memo
from hetorch.compiler.search.request import Request
from tests.compiler.networks import choice, request, request_of

CANDIDATE = Candidate(
    variant=0,
    key_weight=0.02,
    ring_degree=1 << 13,
    batch=1,
    fold_penalty=0.0,
    layout_digit_size=1,
    digit_size=1,
    spare_bits=4,
)


def evaluated(asked: Request, **changed: Any) -> Evaluation:
    return evaluate(replace(CANDIDATE, **changed), asked, Memo())


def missed(asked: Request, **changed: Any) -> Infeasible:
    evaluation = evaluated(asked, **changed)
    assert isinstance(evaluation, Infeasible) and not evaluation.feasible
    assert evaluation.candidate == replace(CANDIDATE, **changed)
    return evaluation


def test_a_ring_that_is_too_small_is_told_from_a_lower_bound() -> None:
    miss = missed(request("mlp"), ring_degree=1 << 11)
    assert miss.limit is Limit.RING and miss.settles is Scope.RING_DEGREE
    assert miss.needed > miss.allowed > 50


def test_samples_beyond_the_slots() -> None:
    miss = missed(request("linear"), batch=1 << 13)
    assert (miss.limit, miss.needed, miss.allowed) == (Limit.SLOTS, 1 << 13, 1 << 12)
    assert miss.settles is Scope.BATCH


def test_tensors_beyond_all_ciphertexts() -> None:
    wide = request_of(torch.nn.Linear(20000, 1), torch.randn(4, 20000))
    miss = missed(wide, batch=1 << 12)
    assert miss.limit is Limit.LAYOUTS and miss.settles is Scope.BATCH
    assert "needs 20000 ciphertexts of 1 slot," in miss.detail


def test_digits_longer_than_the_chain() -> None:
    miss = missed(request("linear"), digit_size=12)
    assert (miss.limit, miss.needed, miss.settles) == (Limit.DIGITS, 12, Scope.DIGIT_SIZE)


def test_a_precision_beyond_all_primes_rules_out_the_ring() -> None:
    miss = missed(request("mlp", precision=2.0**-60), ring_degree=1 << 15)
    assert miss.limit is Limit.RING and miss.needed == np.inf


def test_more_special_primes_than_the_engine_takes() -> None:
    miss = missed(request("mlp", engine="seal"), digit_size=2, ring_degree=1 << 14)
    assert (miss.limit, miss.needed, miss.allowed) == (Limit.SPECIAL_PRIMES, 2, 1)


def test_a_chain_beyond_the_security_table() -> None:
    miss = missed(request("mlp"), ring_degree=1 << 13, digit_size=3, spare_bits=6)
    assert miss.limit is Limit.SECURITY and miss.needed > miss.allowed
    assert miss.settles is Scope.SPARE_BITS


@pytest.mark.parametrize("name", ["linear", "mlp", "cnn", "residual"])
def test_a_choice_keeps_its_promises(name: str) -> None:
    chosen, asked = choice(name), request(name)
    assert chosen.feasible and chosen.settles is Scope.DIGIT_SIZE
    assert chosen.error <= asked.precision * asked.output_range
    assert chosen.parameters.ring_degree == chosen.candidate.ring_degree
    assert chosen.parameters.digit_size == chosen.candidate.digit_size
    assert len(chosen.parameters.modulus_chain) == chosen.variant.levels[0] + 1
    again = evaluate(chosen.candidate, asked, Memo())
    assert isinstance(again, Choice)
    assert again.parameters == chosen.parameters and again.cost == chosen.cost and again.keys == chosen.keys
    assert chosen.cost > 0 and all(np.isfinite(chosen.scales))


def test_candidates_that_differ_in_their_chain_share_their_layouts() -> None:
    asked, memo = request("mlp"), Memo()
    first = evaluate(replace(CANDIDATE, ring_degree=1 << 14), asked, memo)
    second = evaluate(replace(CANDIDATE, ring_degree=1 << 14, spare_bits=2), asked, memo)
    other = evaluate(replace(CANDIDATE, ring_degree=1 << 14, fold_penalty=0.2), asked, memo)
    assert isinstance(first, Choice) and isinstance(second, Choice) and isinstance(other, Choice)
    assert first.layouts is second.layouts is not other.layouts
    assert second.parameters.log2_p < first.parameters.log2_p
