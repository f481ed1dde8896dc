"""A client does not believe a server's plan."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from hetorch.client.trust import MAX_CIPHERTEXTS, check_plan
from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.keys import EvaluationKeySpec, KeyEnd
from hetorch.errors import HetorchError, PlanError, PlanUseError, SecurityError
from hetorch.ir.layout import Layout
from hetorch.params import ParameterSet, Security
from hetorch.params.bootstrap_set import standard_bootstrap_set
from hetorch.plan.memory import key_memory
from hetorch.plan.public import PublicPlan
from hetorch.plan.sizes import evaluation_key_bytes
from hetorch.wire.predict import request_limits, response_limits
from tests.server.small_plan import small_plan

GIB = 1 << 30


def check(plan: PublicPlan, **options: object) -> None:
    settings: dict[str, object] = {"allow_insecure": False, "max_key_bytes": GIB} | options
    check_plan(plan, **settings)  # type: ignore[arg-type]


def secure_parameters() -> ParameterSet:
    """Return parameters of 178 bits, where 214 are allowed."""
    return ParameterSet.from_bits(1 << 13, [49, 40, 40], [49], digit_size=1)


def plan_of(parameters: ParameterSet) -> PublicPlan:
    return small_plan(parameters=parameters).public()


def test_a_secure_plan_is_accepted() -> None:
    check(plan_of(secure_parameters()))


def test_an_insecure_plan_is_refused_unless_asked_for() -> None:
    plan = small_plan().public()
    with pytest.raises(SecurityError, match="nothing was sent"):
        check(plan)
    check(plan, allow_insecure=True)


def test_an_insecure_key_under_a_sparse_secret_is_refused_whatever_the_plan_claims() -> None:
    boot = standard_bootstrap_set()
    parameters = dataclasses.replace(boot.parameters, security=Security.NONE)
    spec = bootstrap_keys(boot)
    # The key to the sparse secret at level 3: 45 + 3 * 30 + 45 bits, where its table allows 121.
    links = tuple(
        dataclasses.replace(link, level=3) if link.to_end is KeyEnd.SPARSE else link for link in spec.links
    )
    plan = dataclasses.replace(plan_of(secure_parameters()), parameters=parameters, output_level=2)
    for key_spec, refused in ((spec, False), (dataclasses.replace(spec, links=links), True)):
        public = dataclasses.replace(plan, key_spec=key_spec)
        if refused:
            with pytest.raises(SecurityError, match="sparse secret of weight 32"):
                check(public)
        else:
            check(public, max_key_bytes=1 << 31)


def test_the_claim_of_an_older_table_is_not_believed() -> None:
    """218 bits at 2^13 pass the 2018 table; the bound of 2024 is 214."""
    bits = [56, 52, 54], [56]
    parameters = ParameterSet.from_bits(1 << 13, *bits, security=Security.HE_STANDARD_2018)
    assert 214 < parameters.log2_qp <= 218
    with pytest.raises(SecurityError, match="above the 214"):
        check(plan_of(parameters))


def test_a_modulus_a_hair_above_the_bound_is_not_rounded_down_to_it() -> None:
    chain, special = (18014398508400641, 18014398510661633, 4503599626682369), 18014398512136193
    parameters = ParameterSet(1 << 13, chain, (special,), 1, Security.HE_STANDARD_2018)
    assert math.prod(chain) * special > 2**214 and parameters.log2_qp == 214.0
    with pytest.raises(SecurityError, match="above the 214"):
        check(plan_of(parameters))


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (EvaluationKeySpec(99, ()), "level outside"),
        (EvaluationKeySpec(None, ((5, 99),)), "level outside"),
        (EvaluationKeySpec(None, ((1 << 20 | 1, 0),)), "Galois element"),
    ],
)
def test_keys_that_do_not_exist_are_refused(spec: EvaluationKeySpec, sentence: str) -> None:
    with pytest.raises(PlanError, match=sentence):
        check(dataclasses.replace(plan_of(secure_parameters()), key_spec=spec))


def test_the_size_of_the_keys_is_computed_not_believed() -> None:
    plan = dataclasses.replace(plan_of(secure_parameters()), evaluation_key_bytes=1)
    with pytest.raises(PlanError, match=r"\(\d{7} bytes\) of evaluation keys, more than the 1 kB"):
        check(plan, max_key_bytes=1000)


def test_messages_out_of_proportion_are_refused() -> None:
    """A plan of 13 KB may ask for a thousand ciphertexts of the largest ring: 59 GB to send, 135 GB to make."""
    plan = plan_of(secure_parameters())
    many = Layout.periodic((1024,), plan.slot_count, np.arange(1024)[:, np.newaxis])
    for change in (
        dataclasses.replace(plan, input_layout=many),
        dataclasses.replace(plan, output_layout=many),
    ):
        large = PublicPlan.from_bytes(change.to_bytes())
        check(large)
        with pytest.raises(PlanError, match="raise max_message_bytes"):
            check(large, max_message_bytes=50_000_000)
    request, response = request_limits(plan).smallest, response_limits(plan).largest
    check(plan, max_message_bytes=max(request, response))
    with pytest.raises(PlanError, match=rf"\({max(request, response) - 1} bytes\) allowed"):
        check(plan, max_message_bytes=max(request, response) - 1)


@pytest.mark.parametrize(
    "change",
    [
        {"input_level": 3},
        {"output_level": -1},
        {"input_scale": 2.0**200},
        {"input_scale": 0.5},
        {"output_scale": float("nan")},
        {"output_scale": float("inf")},
    ],
)
def test_levels_and_scales_out_of_range_are_refused(change: dict[str, float]) -> None:
    plan = plan_of(secure_parameters())
    with pytest.raises(PlanError, match=r"level|scale"):
        check(dataclasses.replace(plan, **change))  # type: ignore[arg-type]


def test_every_refusal_is_an_error_of_ours() -> None:
    assert issubclass(SecurityError, HetorchError)
    assert MAX_CIPHERTEXTS >= 64


def test_a_plan_that_needs_more_memory_than_is_free_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The need of the largest key was measured: what the core holds, two copies of the bytes while they are written,
    and twenty ring elements."""
    plan = plan_of(secure_parameters())
    p = plan.parameters
    single = [EvaluationKeySpec(None, (pair,)) for pair in plan.key_spec.galois]
    if plan.key_spec.relinearisation_level is not None:
        single.append(EvaluationKeySpec(plan.key_spec.relinearisation_level, ()))
    keys = max(
        evaluation_key_bytes(p, one) * 2
        + evaluation_key_bytes(p, one) // p.digit_count(one.levels[0]) * 20
        + key_memory(p, one)
        for one in single
    )
    for free, refused in ((keys - 1, True), (keys, False)):
        monkeypatch.setattr("hetorch.client.trust.available_memory", lambda bytes=free: bytes)
        if refused:
            with pytest.raises(PlanUseError, match=r"of memory here for evaluation keys, and .* are free"):
                check(plan)
        else:
            check(plan)
    many = Layout.periodic((1024,), plan.slot_count, np.arange(1024)[:, np.newaxis])
    large = dataclasses.replace(plan, input_layout=many)
    monkeypatch.setattr("hetorch.client.trust.available_memory", lambda: 200 << 20)
    with pytest.raises(PlanUseError, match="for one request and its answer"):
        check(large)


def test_a_plan_without_room_at_the_input_is_refused() -> None:
    """Encoded inputs that wrap around the modulus would show a server how large they are."""
    plan = plan_of(secure_parameters())
    bits = math.log2(math.prod(plan.parameters.modulus_chain[: plan.input_level + 1]))
    for room, refused in ((0.0, True), (19.9, True), (20.1, False), (60.0, False)):
        scaled = dataclasses.replace(plan, input_scale=2 ** (bits - 1 - room))
        if refused:
            with pytest.raises(PlanUseError, match=r"bits of room at the input.*nothing was sent"):
                check(scaled)
        else:
            check(scaled)
    # A range of 1000 needs ten bits more; a tiny range, which is the server's word, none less.
    for high, room, refused in ((1000.0, 29.0, True), (1000.0, 30.1, False), (1e-9, 19.9, True)):
        scaled = dataclasses.replace(plan, input_scale=2 ** (bits - 1 - room), input_range=(0.0, high))
        if refused:
            with pytest.raises(PlanUseError, match="room at the input"):
                check(scaled)
        else:
            check(scaled)


def test_a_plan_without_the_compilers_room_at_the_output_is_refused() -> None:
    plan = plan_of(secure_parameters())
    bits = math.log2(math.prod(plan.parameters.modulus_chain[: plan.output_level + 1]))
    for room, refused in ((0.0, True), (3.8, True), (4.0, False)):
        scaled = dataclasses.replace(plan, output_scale=2 ** (bits - room) / (plan.output_range / 2))
        if refused:
            with pytest.raises(PlanUseError, match="bits of room at the output"):
                check(scaled)
        else:
            check(scaled)
