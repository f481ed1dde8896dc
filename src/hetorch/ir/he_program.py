"""The program that runs on ciphertexts, in which every value has its exact level and scale."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.ir.he_operations import Operation, Value
from hetorch.ir.layout import Layout


@dataclass(frozen=True, slots=True)
class HeProgram:
    """A program on ciphertexts: operations in the order in which they run; every value is made once, before it is read.

    `layers` are the names that the operations' `layer` points to; `inputs` and `outputs` are values, one for each
    ciphertext. `batch` samples lie side by side: slot j belongs to sample j % batch and position j // batch. With
    `encrypted_weights` every diagonal and every bias is a ciphertext under the data owner's key.

    Weights are kept apart, by name; each operation documents its own. Rotation steps count slots and are multiples of
    `batch`; the periods of diagonals and biases count positions.
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
        """Return the layout shared by the ciphertexts of one tensor, such as `inputs` or `outputs`."""
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
            results = ", ".join(f"v{v}@{self.values[v].level}*{self.values[v].scale:.6g}" for v in op.makes)
            operands = ", ".join(f"v{v}" for v in op.reads)
            lines.append(f"{results} = {type(op).__name__}({operands})  # {self.layers[op.layer]}")
        return "\n".join(lines)
