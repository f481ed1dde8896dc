from __future__ import annotations

from hetorch.compiler.activations.degree_path import degree_path
from hetorch.compiler.activations.error_curves import Curve
from hetorch.ir.tensor_program import Activation, TensorProgram


def test_a_rung_that_takes_no_time_comes_first() -> None:
    operations = tuple(Activation(i, "relu", (), (2,), f"{i}") for i in range(2))
    program = TensorProgram((2,), operations, 2, (2,))
    curves = (
        Curve((0.5, 0.4, 0.0), (2, 2, 3), (2.0, 2.0, 3.0)),
        Curve((1.0, 0.1), (1, 2), (1.0, 2.0)),
    )
    path = degree_path(program, curves, (0, 1), 9)
    assert [step.rungs for step in path] == [(0, 0), (1, 0), (1, 1), (2, 1)]
    assert [step.levels for step in path] == [3, 3, 4, 5]
