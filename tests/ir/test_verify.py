from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from hetorch.errors import PlanError
from hetorch.ir.he_operations import (
    Add,
    AddBias,
    DropLevel,
    LinearTransform,
    Multiply,
    Polynomial,
    Rescale,
    RotateAdd,
    Value,
)
from hetorch.ir.he_program import HeProgram
from hetorch.ir.interpreter import run_he_program
from hetorch.ir.layout import Layout
from hetorch.ir.verify import verify_he_program

CHAIN = (1009, 1013, 1019, 1021)
SCALE = 1000.0
LAYOUT = Layout.periodic((4,), 8, np.arange(4))


def program() -> HeProgram:
    values = (
        Value(3, SCALE, 0),
        Value(2, 900.0),
        Value(2, 900.0),
        Value(2, 900.0, 0),
        Value(2, 810000.0),
        Value(1, 810000.0 / 1019, 0),
        Value(1, 900.0, 0),
        Value(0, 777.0, 0),
        Value(0, 777.0, 0),
    )
    operations = (
        LinearTransform((1,), (0,), "w", 0),
        RotateAdd(2, 1, 4, 0),
        AddBias(3, 2, "b", 0),
        Multiply(4, 3, 3, 1),
        Rescale(5, 4, 1),
        DropLevel(6, 3, 1),
        Polynomial(7, 5, (0.5, 0.25), 1),
        Add(8, 7, 7, 1),
    )
    return HeProgram(8, ("one", "two"), (LAYOUT,), values, operations, (0,), (8,))


def weights() -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]]:
    zero = np.zeros(2, dtype=np.int32)
    return {
        "w.outputs": zero,
        "w.inputs": zero,
        "w.giants": np.array([0, 2], dtype=np.int32),
        "w.babies": np.array([1, 1], dtype=np.int32),
        "w.values": np.array([[1.0, 0, 0, 0], [0, 2.0, 0, 0]]),
        "b": np.array([1.0, 0, 0, 0]),
    }


def test_a_sound_program_passes_and_means_what_it_says() -> None:
    verify_he_program(program(), CHAIN, weights())
    x = np.arange(8.0)
    y = np.zeros(8)
    y[[0, 4]] = x[[1, 5]]
    y[[1, 5]] = 2 * x[[4, 0]]
    y = y + np.roll(y, -4)
    y[[0, 4]] += 1
    expected = 2 * (0.5 + 0.25 * y * y)
    np.testing.assert_allclose(run_he_program(program(), weights(), [x])[0], expected)
    assert "Polynomial" in str(program())


def value(number: int, **change: object) -> Callable[[HeProgram], HeProgram]:
    def apply(p: HeProgram) -> HeProgram:
        values = list(p.values)
        values[number] = replace(values[number], **change)  # type: ignore[arg-type]
        return replace(p, values=tuple(values))

    return apply


def operation(number: int, **change: object) -> Callable[[HeProgram], HeProgram]:
    def apply(p: HeProgram) -> HeProgram:
        operations = list(p.operations)
        operations[number] = replace(operations[number], **change)  # type: ignore[type-var]
        return replace(p, operations=tuple(operations))

    return apply


BROKEN: dict[str, tuple[Callable[[HeProgram], HeProgram], str]] = {
    "transform keeps its level": (value(1, level=3), "expected 2"),
    "rescale keeps its scale": (value(5, scale=810000.0), "scale"),
    "a sum of two scales": (operation(7, b=6), "operands differ"),
    "drop goes up": (value(6, level=3), "drops from level 2 up to 3"),
    "polynomial too cheap": (operation(6, coefficients=(0.0, 0.0, 1.0)), "expected -1"),
    "read before made": (operation(0, inputs=(5,)), "before they are made"),
    "made twice": (operation(1, result=1), "again"),
    "no such value": (operation(1, input=99), "does not exist"),
    "fold by nothing": (operation(1, steps=0), "rotates by 0"),
    "no weight": (operation(0, weight="x"), "missing"),
    "no bias": (operation(2, weight="x"), "missing"),
    "above the chain": (value(0, level=4), "not in 0..3"),
    "output without a layout": (value(8, layout=-1), "not part 0"),
    "no output": (lambda p: replace(p, outputs=()), "needs inputs and outputs"),
}


@pytest.mark.parametrize("case", sorted(BROKEN))
def test_what_is_broken_is_shown_with_its_neighbours(case: str) -> None:
    change, message = BROKEN[case]
    with pytest.raises(PlanError, match=message):
        verify_he_program(change(program()), CHAIN, weights())


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("w.values", np.zeros((2, 3))),
        ("w.values", np.full((2, 4), np.nan)),
        ("w.giants", np.array([0, 9], dtype=np.int32)),
        ("w.giants", np.zeros(3, dtype=np.int32)),
        ("w.inputs", np.ones(2, dtype=np.int32)),
        ("b", np.zeros(3)),
        ("b", np.full(4, np.inf)),
        ("b", np.zeros(4, dtype=np.float32)),
    ],
)
def test_broken_weights_are_refused(
    name: str, array: np.ndarray[tuple[int, ...], np.dtype[np.generic]]
) -> None:
    with pytest.raises(PlanError, match="operation"):
        verify_he_program(program(), CHAIN, {**weights(), name: array})
