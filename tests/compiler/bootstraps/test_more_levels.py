"""The networks that may be compiled, from networks of polynomials that are made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.most_levels import levels_of_any_degrees
from hetorch.compiler.bootstraps.more_levels import nearest_networks
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import Activation, TensorProgram

PROGRAM = TensorProgram((4,), (Activation(0, "relu", (), (4,), "relu"),), 1, (4,))
EXACT = Approximated(PROGRAM, error=0.001, agreement=1.0, degrees=(127,))
SHORT = replace(EXACT, error=0.2, degrees=(15,), shortfall="the outputs differ from the model's")


def networks(
    first: Approximated, deeper: Approximated | None, options: CompileOptions
) -> tuple[tuple[Approximated, ...], list[int | None]]:
    """Return the networks to compile, and the levels that they were asked for with. The first search within a ring
    gives `first`; the one with more levels gives `deeper`, or has no network if that is None."""
    asked: list[int | None] = []

    def network_of(levels: int | None, limited_by: str) -> Approximated:
        asked.append(levels)
        if len(asked) == 1:
            assert limited_by
            return first
        if deeper is None:
            raise InfeasibleError("all networks overflow")
        return deeper

    return nearest_networks(PROGRAM, options, network_of), asked


def test_missing_levels_are_searched_for_and_nothing_else_is() -> None:
    short = replace(SHORT, missing_levels=3)
    chosen, asked = networks(short, EXACT, CompileOptions())
    assert chosen == (replace(EXACT, without_bootstraps=chosen[0].without_bootstraps), short)
    assert "differ from the model's by 20.00%" in chosen[0].without_bootstraps
    assert asked[1:] == [levels_of_any_degrees(PROGRAM)]
    # The sentence decides nothing.
    reason = "bootstraps, which give more levels, lead to no plan that is nearer to the model"
    chosen, asked = networks(replace(SHORT, shortfall=reason), EXACT, CompileOptions())
    assert len(chosen) == len(asked) == 1


@pytest.mark.parametrize("deeper", [None, replace(SHORT, error=0.3)])
def test_a_deeper_network_that_is_no_nearer_is_not_compiled(deeper: Approximated | None) -> None:
    short = replace(SHORT, missing_levels=3)
    assert networks(short, deeper, CompileOptions())[0] == (short,)


def test_levels_are_not_searched_for_where_bootstraps_are_ruled_out() -> None:
    short = replace(SHORT, missing_levels=3)
    chosen, asked = networks(short, EXACT, CompileOptions(bootstrap="never"))
    assert chosen == (short,) and asked == [None]
