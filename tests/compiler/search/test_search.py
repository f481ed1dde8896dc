from __future__ import annotations

import math

import pytest
import torch

from hetorch.compiler.api import compile
from hetorch.compiler.pipeline import FINEST, NOISE_SHARE
from hetorch.errors import InputError, PlanError, SecurityError
from hetorch.ir.he_operations import LinearTransform, Multiply, Polynomial, RotateAdd
from hetorch.params import ParameterSet, max_log2_qp
from tests.compiler.networks import NETWORKS, Square, inputs, model, plan


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_parameters_are_secure_fast_and_not_wasteful(name: str) -> None:
    parameters = plan(name).parameters
    assert parameters.security.value == "128" and parameters.is_simd
    assert parameters.log2_qp <= max_log2_qp(parameters.ring_degree, parameters.security)
    largest = max(
        math.prod(parameters.modulus_chain[i : i + parameters.digit_size])
        for i in range(0, len(parameters.modulus_chain), parameters.digit_size)
    )
    assert math.prod(parameters.special_primes) >= largest / 2
    assert plan(name).input_level == parameters.max_level and plan(name).output_level == 0


def test_the_next_smaller_ring_would_not_do() -> None:
    parameters = plan("mlp").parameters
    with pytest.raises(SecurityError):
        ParameterSet(
            parameters.ring_degree // 2,
            parameters.modulus_chain,
            parameters.special_primes,
            parameters.digit_size,
        )


def test_more_security_takes_a_larger_ring() -> None:
    stronger = compile(model("linear"), inputs("linear")[:64], security="256").parameters
    assert stronger.security.value == "256"
    assert stronger.ring_degree > plan("linear").parameters.ring_degree
    assert stronger.log2_qp <= max_log2_qp(stronger.ring_degree, stronger.security)


def test_no_security_is_for_tests() -> None:
    weak = compile(model("mlp"), inputs("mlp")[:64], security="none")
    assert weak.parameters.ring_degree <= plan("mlp").parameters.ring_degree
    assert "no security" in str(weak)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_keys_are_exactly_those_used(name: str) -> None:
    made = plan(name)
    program, degree = made.program, made.parameters.ring_degree
    used: dict[int, int] = {}
    products = [-1]
    for op in program.operations:
        steps: set[int] = set()
        level = 0
        if isinstance(op, LinearTransform):
            level = program.values[op.inputs[0]].level
            steps = set(op.diagonals(made.program, made.weights).rotations)
        elif isinstance(op, RotateAdd):
            level, steps = program.values[op.input].level, {op.steps}
        elif isinstance(op, Multiply):
            products.append(program.values[op.a].level)
        elif isinstance(op, Polynomial):
            products.append(program.values[op.input].level)
        for step in steps:
            element = pow(5, step, 2 * degree)
            used[element] = max(level, used.get(element, 0))
    assert dict(made.key_spec.galois) == used
    highest = max(products)
    assert made.key_spec.relinearisation_level == (None if highest < 0 else highest)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_scales_use_the_modulus_evenly(name: str) -> None:
    """Every scale is within a few bits of what fits its level, and no sum meets two scales (Plan verifies those)."""
    made = plan(name)
    bits = math.log2(made.parameters.modulus_chain[-1])
    room = math.log2(made.parameters.modulus_chain[0])
    assert bits - 1 <= room <= bits + 7
    assert made.output_scale * made.report.output_range < made.parameters.modulus_chain[0]


def test_rotations_are_traded_for_keys() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(
        torch.nn.Linear(100, 64), Square(), torch.nn.Linear(64, 64), Square()
    ).eval()
    x = torch.randn(32, 100)
    free = compile(network, x).public().evaluation_key_bytes
    plan = compile(network, x, key_limit=free * 4 // 5)
    assert plan.public().evaluation_key_bytes <= free * 4 // 5
    with pytest.raises(PlanError, match=r" MB, and 1 kB are allowed by key_limit="):
        compile(network, x, key_limit=1000)
    with pytest.raises(InputError, match="key_limit"):
        compile(network, x, key_limit=0)


def test_encryption_is_as_precise_as_the_approximations_deserve() -> None:
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Linear(8, 6), torch.nn.ReLU(), torch.nn.Linear(6, 2)).eval()
    x = torch.randn(64, 8)
    free = compile(network, x, activation_degree=7)
    fine = compile(network, x, activation_degree=7, precision=FINEST)
    share = NOISE_SHARE * free.report.approximation_error
    assert share > FINEST
    assert FINEST < free.report.predicted_error <= share
    assert fine.report.predicted_error <= FINEST
    assert free.parameters.log2_qp < fine.parameters.log2_qp or (
        free.parameters.digit_size > fine.parameters.digit_size
    )
