from __future__ import annotations

import pytest

from hetorch.compiler.activations.most_levels import most_levels
from hetorch.compiler.options import CompileOptions


def test_each_security_has_an_end() -> None:
    levels = [most_levels(CompileOptions(security=name)) for name in ("128", "192", "256")]
    assert levels == sorted(levels, reverse=True) and levels[-1] > 0
    assert most_levels(CompileOptions(security="none")) == levels[0]


@pytest.mark.parametrize("ring", [1 << 13, 1 << 15])
def test_smaller_rings_have_fewer(ring: int) -> None:
    small = CompileOptions(ring_degree=ring)
    assert most_levels(small) < most_levels(CompileOptions())
