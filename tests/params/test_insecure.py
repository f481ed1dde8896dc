from __future__ import annotations

import inspect
import warnings

import numpy as np
import pytest
import torch

import hetorch
from hetorch.errors import InsecureParametersWarning, ParameterError
from hetorch.params import ParameterSet, Security
from hetorch.params.insecure import insecure_mixed, insecure_small


def line() -> int:
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


@pytest.mark.parametrize("filter_action", ["default", "module", "always"])
def test_warns_every_time_from_one_line(filter_action: str) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.resetwarnings()
        warnings.simplefilter(filter_action)  # type: ignore[arg-type]
        for _ in range(5):
            insecure_small()
    assert [w.category for w in caught] == [InsecureParametersWarning] * 5
    assert "protect nothing" in str(caught[0].message)


def test_names_the_line_of_the_caller() -> None:
    with pytest.warns(InsecureParametersWarning) as caught:
        here = line() + 1
        insecure_small()
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, here)]


def test_compiling_warns_once_at_the_line_of_the_call() -> None:
    """The search tries several sets; the user asked once."""
    inputs = np.random.default_rng(0).uniform(-1, 1, (20, 4))
    model = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    with pytest.warns(InsecureParametersWarning) as caught:
        here = line() + 1
        plan = hetorch.compile(
            model, inputs, security="none", activation_tolerance=0.5, activation_agreement=0
        )
        hetorch.simulate(plan, inputs[:1])
        hetorch.run_encrypted(plan, inputs[:1])
    assert [(w.filename, w.lineno) for w in caught] == [(__file__, here)]
    assert f"N = {plan.parameters.ring_degree}, " in str(caught[0].message)


def test_no_other_way_in_is_silent() -> None:
    parameters = insecure_small()
    with pytest.warns(InsecureParametersWarning):
        ParameterSet.from_json(parameters.to_json())
    with pytest.warns(InsecureParametersWarning):
        ParameterSet.from_bits(1024, [40], [40], security=Security.NONE)


def test_secure_sets_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ParameterSet.from_bits(1 << 13, [45, 40], [45])


def test_shape() -> None:
    parameters = insecure_small(1 << 11, 5, digit_size=2)
    assert parameters.ring_degree == 1 << 11
    assert parameters.max_level == 5
    assert len(parameters.special_primes) == 2
    assert parameters.digit_count(5) == 3
    assert parameters.security is Security.NONE
    assert parameters.is_simd


def test_mixed_leaves_the_vector_kernels() -> None:
    assert not insecure_mixed().is_simd


def test_structure_is_checked_all_the_same() -> None:
    with pytest.raises(ParameterError, match="drown"):
        insecure_small(digit_size=2, special_prime_count=1)
