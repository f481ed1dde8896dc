"""The verifier of HE programs: it checks levels, scales and weights, and shows the operations around a broken one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import PlanFormatError
from hetorch.ir.he_operations import NO_LAYOUT, Operation
from hetorch.ir.he_program import HeProgram
from hetorch.quantities import count_text

EXACT = 2.0**-45
"""Largest relative difference between a value's scale and the scale that its operation computes. Compiler and engine
both work in double precision, so that they differ by a few roundings only."""


def verify_he_program(
    program: HeProgram, modulus_chain: Sequence[int], weights: Mapping[str, NDArray[np.generic]]
) -> None:
    """Raise PlanFormatError unless the program is consistent.

    In a consistent program every value is made once and before it is read, every level and scale follows from those of
    the operands, and every weight is present with the right type and shape.
    """
    count, top = len(program.values), len(modulus_chain) - 1
    if not program.inputs or not program.outputs:
        raise PlanFormatError("a program needs inputs and outputs")
    if program.batch < 1 or program.slot_count % program.batch:
        raise PlanFormatError(f"a batch of {program.batch} does not divide {program.slot_count} slots")
    if any((at.slot_count, at.batch) != (program.slot_count, program.batch) for at in program.layouts):
        raise PlanFormatError("a layout is for another number of slots or samples than the program")
    for number, value in enumerate(program.values):
        if not 0 <= value.level <= top or not value.scale > 0 or value.layout >= len(program.layouts):
            raise PlanFormatError(
                f"value {number} is at level {value.level}, scale {value.scale:g}: not in 0..{top}"
            )
    made = set(program.inputs)
    for position, op in enumerate(program.operations):
        for number in (*op.reads, *op.makes):
            if not 0 <= number < count:
                _fail(program, position, f"value {number} does not exist")
        missing = [number for number in op.reads if number not in made]
        twice = [number for number in op.makes if number in made]
        if missing or twice:
            _fail(program, position, f"reads {missing} before they are made, makes {twice} again")
        made.update(op.makes)
        problem = (
            op.problem(program)
            or _result_problem(program, op, modulus_chain)
            or op.weight_problem(program, weights)
        )
        if problem:
            _fail(program, position, problem)
    for name, group in (("inputs", program.inputs), ("outputs", program.outputs)):
        _verify_boundary(program, name, group, made)


def _verify_boundary(program: HeProgram, name: str, group: tuple[int, ...], made: set[int]) -> None:
    first = program.values[group[0]]
    for part, number in enumerate(group):
        value = program.values[number]
        if number not in made or value.layout == NO_LAYOUT or value.part != part:
            raise PlanFormatError(f"{name}: value {number} is not made or is not part {part} of a tensor")
        if (value.level, value.scale, value.layout) != (first.level, first.scale, first.layout):
            raise PlanFormatError(
                f"{name}: value {number} differs in level, scale or layout from value {group[0]}"
            )
    if program.layouts[first.layout].ciphertext_count != len(group):
        raise PlanFormatError(
            f"{name}: {count_text(len(group), 'value')} for a layout of another number of ciphertexts"
        )


def _result_problem(program: HeProgram, op: Operation, chain: Sequence[int]) -> str | None:
    result = program.values[op.makes[0]]
    level, scale = op.result_of(program, chain)
    if result.level != level:
        return f"the result is at level {result.level}, expected {level}"
    if abs(result.scale / scale - 1) > EXACT:
        return f"the result has scale {result.scale!r}, expected {scale!r}"
    return None


def _fail(program: HeProgram, position: int, problem: str) -> None:
    nearby = []
    for index in range(max(0, position - 2), min(len(program.operations), position + 3)):
        op = program.operations[index]
        mark = ">" if index == position else " "
        nearby.append(f"{mark} {op.makes} = {type(op).__name__}{op.reads}")
    layer = program.operations[position].layer
    name = program.layers[layer] if 0 <= layer < len(program.layers) else str(layer)
    raise PlanFormatError(f"operation {position} (layer {name}): {problem}\n" + "\n".join(nearby))
