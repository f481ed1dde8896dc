"""Options are said once: the function's signature, its help, the command line and the errors follow from the fields."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler.option_help import kind
from hetorch.compiler.options import ANALYSIS_OPTIONS, CompileOptions, expected
from hetorch.engine.backend import AnyBackend
from hetorch.errors import InputError, ParameterError
from hetorch.interop.backends import BACKENDS
from tests.cli.command import hetorch as run

FIELDS = CompileOptions.model_fields


@pytest.mark.parametrize("name", FIELDS)
def test_every_option_says_what_it_takes_and_what_it_does(name: str) -> None:
    assert expected(name)
    assert len(FIELDS[name].description or "") > 20
    assert f" {name}: {expected(name)}" in " ".join((hetorch.compile.__doc__ or "").split())


@pytest.mark.parametrize("wrong", [object(), [], True, -1, float("nan"), "", "x" * 300])
@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"security"}))
def test_every_wrong_value_is_refused_with_what_was_expected(name: str, wrong: object) -> None:
    if name == "strict" and wrong is True:
        return
    with pytest.raises(InputError) as raised:
        CompileOptions(**{name: wrong})
    assert str(raised.value) == f"{name} must be {expected(name)}, got {repr(wrong)[:60]}"


def test_numbers_of_numpy_and_of_the_standard_library_are_numbers() -> None:
    options = CompileOptions(ring_degree=np.int64(8192), precision=Fraction(1, 1024), digit_size=np.int8(2))
    assert (options.ring_degree, options.precision, options.digit_size) == (8192, 2.0**-10, 2)
    assert [type(options.ring_degree), type(options.precision)] == [int, float]


def test_options_are_frozen_and_complete() -> None:
    with pytest.raises(ValueError, match="frozen"):
        CompileOptions().batch_size = 2
    with pytest.raises(ParameterError, match="'64' is not known"):
        CompileOptions(security="64")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("degree", "ring_degree or activation_degree"),
        ("key-limit", "key_limit"),
        ("precison", "precision"),
        ("poly_modulus_degree", "ring_degree"),
        ("verbose", "progress"),
        ("progres", "progress"),
    ],
)
def test_an_option_that_does_not_exist_leads_to_the_nearest(name: str, meant: str) -> None:
    model, x = torch.nn.Linear(2, 1), torch.zeros(3, 2)
    for function in (hetorch.compile, hetorch.analyze):
        with pytest.raises(TypeError) as refused:
            function(model, x, **{name: 3})  # type: ignore[arg-type]
        said = str(refused.value)
        assert said.startswith(f"{name!r} is no option of hetorch.compile; did you mean {meant}")
        assert all(option in said for option in (*CompileOptions.model_fields, "progress"))
    with pytest.raises(TypeError, match=r"no option of hetorch.compile\. The options are"):
        hetorch.compile(model, x, zzzz=3)


def test_signatures_show_values_that_a_user_would_write() -> None:
    """Each default that is shown is Python for its own value, and no object of ours."""
    for name in sorted(set(hetorch.__all__) - {"__version__", "errors"}):
        value = getattr(hetorch, name)
        methods = (
            [member for _, member in inspect.getmembers(value, callable)] if inspect.isclass(value) else []
        )
        for function in (value, *(m for m in methods if inspect.isfunction(m) or inspect.ismethod(m))):
            for parameter in inspect.signature(function).parameters.values():
                if parameter.default is not inspect.Parameter.empty:
                    assert ast.literal_eval(repr(parameter.default)) == parameter.default, (name, parameter)
    assert inspect.signature(hetorch.compile).parameters["security"].default == "128"
    assert "security: a security level (default '128')" in " ".join(str(hetorch.compile.__doc__).split())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"weights": "encrypted", "objective": "throughput"}, "latency"),
        ({"engine": "seal", "digit_size": 2}, 'digit_size must be 1 with engine="seal", got 2'),
        ({"engine": "seal", "weights": "encrypted"}, 'engine="native"'),
        ({"engine": "seal", "ring_degree": 1 << 16}, "ring_degree must be at most 32768"),
    ],
)
def test_options_that_contradict_each_other(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        CompileOptions(**options)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_plan_keeps_to_the_record_of_its_backend(backend: AnyBackend) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 8), nn.Tanh(), nn.Linear(8, 3))
    parameters = hetorch.compile(model, torch.randn(50, 8), engine=backend.name).parameters
    assert parameters.ring_degree <= backend.largest_ring
    assert backend.digit_size in (None, parameters.digit_size)
    assert backend.special_prime_count in (None, len(parameters.special_primes))
    assert parameters.slot_generator == backend.slot_generator


def test_the_options_are_light() -> None:
    """The command line imports them when it starts."""
    code = "import sys; import hetorch.compiler.option_help; print(*sys.modules)"
    loaded = set(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.split())
    assert "hetorch.compiler.options" in loaded
    assert not loaded & {"numpy", "scipy", "torch", "rich", "hetorch.engine._native"}


def test_the_signatures_show_the_options() -> None:
    shown = inspect.signature(hetorch.compile).parameters
    assert set(FIELDS) == set(shown) - {"model", "calibration_inputs", "progress"}
    assert all(shown[name].default == FIELDS[name].default for name in FIELDS)
    assert set(ANALYSIS_OPTIONS) < set(inspect.signature(hetorch.analyze).parameters)


def test_the_command_line_has_every_option() -> None:
    help_text = run("compile", "--help").stdout
    assert all(f"--{name.replace('_', '-')}" in help_text for name in FIELDS)
    help_text = run("analyze", "--help").stdout
    assert all(f"--{name.replace('_', '-')}" in help_text for name in ANALYSIS_OPTIONS)
    assert [kind(name) for name in ("ring_degree", "precision", "activation_ranges")] == [int, float, str]
