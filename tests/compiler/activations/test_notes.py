"""The sentences on approximations: one for each function of each module, with the worst figures."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

from hetorch.compiler.activations.approximated import Approximated, Fit
from hetorch.compiler.activations.notes import sentences

STEP = Fit("lstm", "tanh", 7, 3, "chebyshev", -1.0, 2.0, 0.01, 0.0, 1.5)


def told(*fits: Fit) -> tuple[str, ...]:
    return sentences(
        cast(
            Approximated,
            SimpleNamespace(
                fits=fits,
                program=SimpleNamespace(output_shape=(1,)),
                has_classes=False,
                stable_off_calibration=True,
                shortfall="",
                without_bootstraps="",
            ),
        )
    )


def test_the_steps_of_a_recurrent_layer_are_one_sentence() -> None:
    other = replace(STEP, degree=15, low=-3.0, error=0.04, escapes=0.02, reach=1.2)
    gate = replace(STEP, function="sigmoid")
    (tanh, sigmoid, head) = told(STEP, gate, other, gate, STEP, replace(STEP, name="head"))
    beginning = (
        "lstm: tanh, 3 times, on ranges within -3..2 by degree 7 to 15 (chebyshev), error at most 0.04"
    )
    assert tanh.startswith(f"{beginning}; at most 2.00% of held-out")
    assert "up to 1.2 half ranges" in tanh
    beginning = "lstm: sigmoid, 2 times, on ranges within -1..2 by degree 7 (chebyshev), error at most 0.01"
    assert sigmoid.startswith(f"{beginning}; none seen")
    assert head.startswith("head: tanh on -1..2 by degree 7")


def test_a_line_is_told_apart() -> None:
    line = replace(STEP, function="relu", method="exact line")
    assert told(line, replace(line, method="sign")) == (
        "lstm: relu is a line on -1..2, exactly",
        "lstm: relu on -1..2 by degree 7 (sign), error at most 0.01; none seen outside; "
        "up to 1.5 half ranges from the centre it stays below 8 times its largest value",
    )
