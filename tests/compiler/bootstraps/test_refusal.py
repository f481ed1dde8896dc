from __future__ import annotations

from typing import Any

import pytest

from hetorch.compiler.activations.most_levels import most_levels
from hetorch.compiler.bootstraps.refusal import bootstrap_refusal, levels_of_ring_only
from hetorch.compiler.options import CompileOptions
from hetorch.ir.tensor_program import Activation, TensorProgram


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bootstrap": "never"}, 'bootstrap="never"'),
        ({"engine": "seal"}, 'engine="seal" cannot bootstrap'),
        ({"security": "192"}, "at 128 bits only"),
        ({"ring_degree": 1 << 14}, "bootstrapping takes 65536 or 32768"),
        ({"scale_bits": 40}, "scale_bits=40"),
        ({"digit_size": 4}, "digit_size=4"),
        ({"weights": "encrypted"}, 'weights="encrypted"'),
        ({"objective": "throughput"}, 'objective="throughput"'),
    ],
)
def test_options_that_rule_out_bootstraps(options: dict[str, Any], reason: str) -> None:
    assert reason in bootstrap_refusal(CompileOptions(**options))


def test_nothing_else_rules_them_out() -> None:
    for ring_degree in (1 << 15, 1 << 16):
        assert bootstrap_refusal(CompileOptions(ring_degree=ring_degree, batch_size=2)) == ""
    # Tests take small rings.
    assert bootstrap_refusal(CompileOptions(security="none", ring_degree=1 << 11)) == ""


def chain(activations: int) -> TensorProgram:
    operations = tuple(Activation(index, "relu", (), (4,), f"relu{index}") for index in range(activations))
    return TensorProgram((4,), operations, activations, (4,))


def test_why_a_network_has_only_the_levels_of_a_ring() -> None:
    options = CompileOptions()
    # Degree 15, the largest of four levels, is usual.
    last_that_fits = most_levels(options) // 4
    assert levels_of_ring_only(chain(last_that_fits + 1), options) == ""
    assert 'bootstrap="never"' in levels_of_ring_only(
        chain(last_that_fits + 1), CompileOptions(bootstrap="never")
    )
    assert "no plan that is nearer" in levels_of_ring_only(chain(last_that_fits), options)
