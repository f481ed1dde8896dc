from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from hetorch import compile
from hetorch.compiler.search.advice import remedies
from hetorch.errors import InfeasibleError
from tests.compiler.networks import inputs, model, request


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ring_degree": 1 << 12}, "a larger ring_degree= or none"),
        ({"engine": "seal"}, 'engine="native", which has rings up to 2^16'),
        ({"security": "192"}, 'security="128"'),
        ({"scale_bits": 40}, "no scale_bits="),
        ({"digit_size": 2}, "no digit_size="),
        ({"bootstrap": "never"}, 'bootstrap="auto"'),
        ({"batch_size": 4}, "a smaller batch_size="),
    ],
)
def test_options_that_were_given_are_named(options: dict[str, Any], named: str) -> None:
    assert named in remedies(request("linear", **options), 0)
    assert named not in remedies(request("linear"), 0)


def test_bootstraps_are_named_only_where_nothing_else_rules_them_out() -> None:
    assert 'bootstrap="auto"' not in remedies(request("linear", bootstrap="never", security="192"), 0)


def test_the_engines_own_digits_are_not_the_users_choice() -> None:
    assert "no digit_size=" not in remedies(request("linear", engine="seal", digit_size=1), 0)


def test_polynomials_are_named_where_there_are_approximations() -> None:
    assert any("activation_degree=" in way for way in remedies(request("wide"), 0))
    # Squares are the network's own.
    assert not any("activation_degree=" in way for way in remedies(request("mlp"), 0))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({}, ["a smaller activation_degree="]),
        ({"activation_degree": 1}, []),
        (
            {"activation_degree": None},
            ["activation_degree=", "activation_tolerance=", "activation_agreement="],
        ),
        (
            {"activation_degree": None, "activation_agreement": 0.0},
            ["activation_degree=", "activation_tolerance="],
        ),
        ({"activation_degree": None, "activation_precision": 0.01}, ["a larger activation_precision="]),
    ],
)
def test_only_options_that_can_still_be_loosened_are_named(options: dict[str, Any], named: list[str]) -> None:
    asked = request("wide")
    chosen = replace(asked, options=asked.options.model_copy(update=options))
    ways = " ".join(way for way in remedies(chosen, 0) if "polynomials" in way)
    assert all(name in ways for name in named)
    assert ways.count("activation_") == len(named)


def test_a_precision_that_decides_nothing_is_not_named() -> None:
    assert "a larger precision=" in remedies(request("linear"), 0)
    assert "a larger precision=" not in remedies(request("linear", scale_bits=40), 0)


def test_what_helps_against_too_many_keys_helps() -> None:
    """The limit that is named is kept, and so is the objective's."""
    x = inputs("mlp")[:64]
    with pytest.raises(InfeasibleError, match=r"key_limit=\d+; ") as refused:
        compile(model("mlp"), x, key_limit=1000)
    assert "throughput" not in str(refused.value)  # no key is that small
    limit = int(re.findall(r"key_limit=(\d+)", str(refused.value))[0])
    assert compile(model("mlp"), x, key_limit=limit).public().evaluation_key_bytes == limit
    with pytest.raises(InfeasibleError, match='objective="throughput"'):
        compile(model("mlp"), x, key_limit=limit - 1)
    few = compile(model("mlp"), x, key_limit=limit - 1, objective="throughput")
    assert few.public().evaluation_key_bytes < limit and not few.key_spec.galois
