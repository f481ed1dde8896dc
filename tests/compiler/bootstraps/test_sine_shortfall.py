"""What a bootstrapped plan misses, from figures that are made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.goal import Goal
from hetorch.compiler.bootstraps.sine_shortfall import sine_shortfall
from hetorch.compiler.options import CompileOptions
from hetorch.ir.tensor_program import Activation, TensorProgram

PROGRAM = TensorProgram((4,), (Activation(0, "relu", (), (4,), "relu"),), 1, (4,))
MET = Approximated(PROGRAM, error=0.04, agreement=255 / 256, degrees=(31,), has_classes=True)
SHORT = replace(MET, error=0.0556, shortfall="the outputs differ from the model's by 5.56%")
GOAL = Goal.of(CompileOptions(), 256)


@pytest.mark.parametrize(
    ("error", "agreement", "told"),
    [
        (0.05, 255 / 256, []),
        (0.04, 254 / 256, ["argmax agrees on 99.21%", "asks for 99.50%"]),
        (
            0.05001,
            1.0,
            ["differ from the model's by 5.01%", "allows 5.00%"],
        ),  # never "5.00%", which is allowed
        (0.07, 0.99, ["by 7.00%", "on 99.00%"]),
    ],
)
def test_what_the_sines_make_it_miss_is_told(error: float, agreement: float, told: list[str]) -> None:
    sentence = sine_shortfall(MET, error, agreement, GOAL)
    assert bool(sentence) == bool(told) and all(part in sentence for part in told)


def test_the_networks_own_shortfall_is_not_repeated() -> None:
    assert not sine_shortfall(SHORT, 0.055599, 255 / 256, GOAL)
    assert "by 5.80%" in sine_shortfall(SHORT, 0.058, 255 / 256, GOAL)
    both = sine_shortfall(SHORT, 0.0556, 254 / 256, GOAL)
    assert "argmax" in both and "differ" not in both


def test_degrees_of_the_user_have_no_goal() -> None:
    assert not sine_shortfall(replace(MET, is_judged=False), 0.5, 0.5, GOAL)


def test_one_input_may_differ_where_there_are_few() -> None:
    goal = Goal.of(CompileOptions(), 10)
    assert not sine_shortfall(MET, 0.01, 0.9, goal)
    assert "80.00%" in sine_shortfall(MET, 0.01, 0.8, goal)


def test_all_but_one_input_are_enough_whatever_is_rounded() -> None:
    for samples in range(2, 200):
        agreement = float(np.mean(np.arange(samples) > 0))
        assert not sine_shortfall(MET, 0.01, agreement, Goal.of(CompileOptions(), samples))
