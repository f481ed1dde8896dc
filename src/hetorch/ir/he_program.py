"""The program that runs on ciphertexts: few operations, each value with its exact level and scale."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.ir.layout import Layout

NO_LAYOUT = -1
"""Layout of a value that is a step inside a layer (a partial sum), not a tensor."""


@dataclass(frozen=True, slots=True)
class Value:
    """One ciphertext: `level` (rescalings left), exact `scale`, and where it belongs: the index of its layout in
    HeProgram.layouts (or NO_LAYOUT) and which ciphertext of that layout it is (`part`)."""

    level: int
    scale: float
    layout: int = NO_LAYOUT
    part: int = 0


@dataclass(frozen=True, slots=True)
class LinearTransform:
    """results[o] = sum of the diagonals of `weight` on inputs, rescaled: level - 1, any scale that was planned."""

    results: tuple[int, ...]
    inputs: tuple[int, ...]
    weight: str
    layer: int


@dataclass(frozen=True, slots=True)
class RotateAdd:
    """input + rotate(input, steps): one fold of partial sums. Level and scale stay."""

    result: int
    input: int
    steps: int
    layer: int


@dataclass(frozen=True, slots=True)
class AddBias:
    """input + the plaintext `weight` (float64, one period of positions), encoded as the input."""

    result: int
    input: int
    weight: str
    layer: int


@dataclass(frozen=True, slots=True)
class Add:
    """a + b: equal levels, scales that agree within 2^-20."""

    result: int
    a: int
    b: int
    layer: int


@dataclass(frozen=True, slots=True)
class Multiply:
    """a * b slot by slot, relinearised, not rescaled: the level stays, the scales multiply."""

    result: int
    a: int
    b: int
    layer: int


@dataclass(frozen=True, slots=True)
class Rescale:
    """Divide by the last prime q_level: level - 1, scale / q_level."""

    result: int
    input: int
    layer: int


@dataclass(frozen=True, slots=True)
class DropLevel:
    """Forget primes down to the level of the result; the scale stays."""

    result: int
    input: int
    layer: int


@dataclass(frozen=True, slots=True)
class Polynomial:
    """sum_i coefficients[i] * T_i(input), input in [-1, 1]: uses ceil(log2(degree + 1)) levels; the scale of the
    result is free."""

    result: int
    input: int
    coefficients: tuple[float, ...]
    layer: int

    @property
    def depth(self) -> int:
        """Levels that it uses: ceil(log2(degree + 1)) for degree = len(coefficients) - 1."""
        return (len(self.coefficients) - 1).bit_length()


Operation = LinearTransform | RotateAdd | AddBias | Add | Multiply | Rescale | DropLevel | Polynomial


def operands(operation: Operation) -> tuple[int, ...]:
    """The values that an operation reads."""
    match operation:
        case LinearTransform():
            return operation.inputs
        case Add() | Multiply():
            return (operation.a, operation.b)
        case _:
            return (operation.input,)


def results(operation: Operation) -> tuple[int, ...]:
    """The values that an operation makes."""
    return operation.results if isinstance(operation, LinearTransform) else (operation.result,)


@dataclass(frozen=True, slots=True)
class HeProgram:
    """Operations in the order in which they run; every value is made once, before it is read.

    `layers` are the names that the operations' `layer` points to; `inputs` and `outputs` are values, one a ciphertext.
    `batch` samples lie side by side: slot j belongs to sample j % batch and position j // batch. With
    `encrypted_weights` every diagonal and every bias is a ciphertext under the data owner's key.

    Weights are kept apart, by name: `<weight>.giants`, `.babies` (int32, shape (D,), steps in slots: multiples of
    `batch`), `.outputs`, `.inputs` (int32, (D,)) and `.values` (float64, (D, period)) for a linear transform,
    `<weight>` (float64, (period,)) for a bias; periods count positions.
    """

    slot_count: int
    layers: tuple[str, ...]
    layouts: tuple[Layout, ...]
    values: tuple[Value, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    batch: int = 1
    encrypted_weights: bool = False

    def layout_of(self, values: tuple[int, ...]) -> Layout:
        """The layout shared by the ciphertexts of one tensor, such as `inputs` or `outputs`."""
        return self.layouts[self.values[values[0]].layout]

    @property
    def input_layout(self) -> Layout:
        return self.layout_of(self.inputs)

    @property
    def output_layout(self) -> Layout:
        return self.layout_of(self.outputs)

    def __str__(self) -> str:
        lines = [f"inputs {self.inputs} outputs {self.outputs}"]
        for op in self.operations:
            made = ", ".join(f"v{v}@{self.values[v].level}*{self.values[v].scale:.6g}" for v in results(op))
            read = ", ".join(f"v{v}" for v in operands(op))
            lines.append(f"{made} = {type(op).__name__}({read})  # {self.layers[op.layer]}")
        return "\n".join(lines)
