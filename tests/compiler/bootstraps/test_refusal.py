from __future__ import annotations

from typing import Any

import pytest

from hetorch.compiler.bootstraps.refusal import bootstrap_refusal
from hetorch.compiler.options import CompileOptions


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"bootstrap": "never"}, 'bootstrap="never"'),
        ({"engine": "seal"}, 'engine="seal" cannot bootstrap'),
        ({"security": "192"}, "at 128 bits only"),
        ({"ring_degree": 1 << 15}, "bootstrapping takes 65536"),
        ({"scale_bits": 40}, "scale_bits=40"),
        ({"digit_size": 4}, "digit_size=4"),
        ({"weights": "encrypted"}, 'weights="encrypted"'),
        ({"objective": "throughput"}, 'objective="throughput"'),
    ],
)
def test_options_that_rule_out_bootstraps(options: dict[str, Any], reason: str) -> None:
    assert reason in bootstrap_refusal(CompileOptions(**options))


def test_nothing_else_rules_them_out() -> None:
    assert bootstrap_refusal(CompileOptions(ring_degree=1 << 16, batch_size=2)) == ""
    # Tests take small rings.
    assert bootstrap_refusal(CompileOptions(security="none", ring_degree=1 << 11)) == ""
