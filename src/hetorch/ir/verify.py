"""The verifier of HE programs: levels, scales and weights, with the neighbourhood of what broke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import PlanError
from hetorch.ir.he_program import (
    NO_LAYOUT,
    Add,
    AddBias,
    DropLevel,
    HeProgram,
    LinearTransform,
    Multiply,
    Operation,
    Polynomial,
    Rescale,
    RotateAdd,
    operands,
    results,
)
from hetorch.params.scales import SCALE_TOLERANCE

EXACT = 2.0**-45
"""Scales are computed in double precision by the compiler and the engine alike: a few roundings at most."""


def verify_he_program(
    program: HeProgram, modulus_chain: Sequence[int], weights: Mapping[str, NDArray[np.generic]]
) -> None:
    """PlanError unless every value is made once and before it is read, every level and scale follows from its
    operands, and every weight is there with the right type and shape."""
    count, top = len(program.values), len(modulus_chain) - 1
    if not program.inputs or not program.outputs:
        raise PlanError("a program needs inputs and outputs")
    if program.batch < 1 or program.slot_count % program.batch:
        raise PlanError(f"{program.batch} samples do not divide {program.slot_count} slots")
    if any((at.slot_count, at.batch) != (program.slot_count, program.batch) for at in program.layouts):
        raise PlanError("a layout is for another number of slots or samples than the program")
    for number, value in enumerate(program.values):
        if not 0 <= value.level <= top or not value.scale > 0 or value.layout >= len(program.layouts):
            raise PlanError(
                f"value {number} is at level {value.level}, scale {value.scale:g}: not in 0..{top}"
            )
    made = set(program.inputs)
    for position, op in enumerate(program.operations):
        for number in (*operands(op), *results(op)):
            if not 0 <= number < count:
                _fail(program, position, f"value {number} does not exist")
        missing = [number for number in operands(op) if number not in made]
        twice = [number for number in results(op) if number in made]
        if missing or twice:
            _fail(program, position, f"reads {missing} before they are made, makes {twice} again")
        made.update(results(op))
        problem = _level_problem(program, op, modulus_chain) or _weight_problem(program, op, weights)
        if problem:
            _fail(program, position, problem)
    for name, group in (("inputs", program.inputs), ("outputs", program.outputs)):
        _verify_boundary(program, name, group, made)


def _verify_boundary(program: HeProgram, name: str, group: tuple[int, ...], made: set[int]) -> None:
    first = program.values[group[0]]
    for part, number in enumerate(group):
        value = program.values[number]
        if number not in made or value.layout == NO_LAYOUT or value.part != part:
            raise PlanError(f"{name}: value {number} is not made or is not part {part} of a tensor")
        if (value.level, value.scale, value.layout) != (first.level, first.scale, first.layout):
            raise PlanError(f"{name}: value {number} differs in level, scale or layout from value {group[0]}")
    if program.layouts[first.layout].ciphertext_count != len(group):
        raise PlanError(f"{name}: {len(group)} values for a layout of another number of ciphertexts")


def _level_problem(program: HeProgram, op: Operation, chain: Sequence[int]) -> str | None:
    out = program.values[results(op)[0]]
    read = [program.values[number] for number in operands(op)]
    level, scale = read[0].level, read[0].scale
    expected_level, expected_scale = level, scale
    match op:
        case LinearTransform():
            same = all((v.level, v.scale) == (level, scale) for v in read)
            alike = all(
                (program.values[r].level, program.values[r].scale) == (out.level, out.scale)
                for r in op.results
            )
            if not same or not alike:
                return "inputs or results of one transform differ in level or scale"
            expected_level, expected_scale = level - 1, out.scale
        case Polynomial():
            expected_level, expected_scale = level - op.depth, out.scale
        case Add():
            if read[1].level != level or abs(read[1].scale / scale - 1) > SCALE_TOLERANCE:
                return (
                    f"operands differ: levels {level}, {read[1].level}, scales {scale:g}, {read[1].scale:g}"
                )
        case Multiply():
            if read[1].level != level:
                return f"operands are at levels {level} and {read[1].level}"
            expected_scale = scale * read[1].scale
        case Rescale():
            expected_level, expected_scale = level - 1, scale / chain[level]
        case DropLevel():
            expected_level = out.level
            if out.level > level:
                return f"drops from level {level} up to {out.level}"
        case RotateAdd():
            if not 0 < op.steps < program.slot_count or op.steps % program.batch:
                return f"rotates by {op.steps} in {program.slot_count} slots of {program.batch} samples"
        case AddBias():
            pass
    if out.level != expected_level or out.level < 0:
        return f"the result is at level {out.level}, expected {expected_level}"
    if abs(out.scale / expected_scale - 1) > EXACT:
        return f"the result has scale {out.scale!r}, expected {expected_scale!r}"
    return None


def _weight_problem(
    program: HeProgram, op: Operation, weights: Mapping[str, NDArray[np.generic]]
) -> str | None:
    if isinstance(op, AddBias):
        bias = weights.get(op.weight)
        if bias is None or bias.dtype != np.float64 or bias.ndim != 1 or not _divides(bias.shape[0], program):
            return f"the bias {op.weight!r} is missing or not float64 of shape (period,)"
        return None if np.all(np.isfinite(bias)) else f"the bias {op.weight!r} is not finite"
    if isinstance(op, LinearTransform):
        values = weights.get(f"{op.weight}.values")
        if (
            values is None
            or values.dtype != np.float64
            or values.ndim != 2
            or not _divides(values.shape[1], program)
        ):
            return f"the diagonals {op.weight!r}.values are missing or not float64 of shape (D, period)"
        bounds = {
            "outputs": len(op.results),
            "inputs": len(op.inputs),
            "giants": program.slot_count,
            "babies": program.slot_count,
        }
        for key, bound in bounds.items():
            array = weights.get(f"{op.weight}.{key}")
            if array is None or array.dtype != np.int32 or array.shape != values.shape[:1] or not array.size:
                return f"the array {op.weight!r}.{key} is missing or not int32 of shape ({values.shape[0]},)"
            steps = array.astype(np.int64)
            if steps.min() < 0 or steps.max() >= bound:
                return f"the array {op.weight!r}.{key} holds values outside 0..{bound - 1}"
            if key in ("giants", "babies") and np.any(steps % program.batch):
                return f"the array {op.weight!r}.{key} holds steps that mix the {program.batch} samples"
        return None if np.all(np.isfinite(values)) else f"the diagonals {op.weight!r} are not finite"
    return None


def _divides(period: int, program: HeProgram) -> bool:
    return period > 0 and program.slot_count // program.batch % period == 0


def _fail(program: HeProgram, position: int, problem: str) -> None:
    nearby = []
    for index in range(max(0, position - 2), min(len(program.operations), position + 3)):
        op = program.operations[index]
        mark = ">" if index == position else " "
        nearby.append(f"{mark} {results(op)} = {type(op).__name__}{operands(op)}")
    layer = program.operations[position].layer
    name = program.layers[layer] if 0 <= layer < len(program.layers) else str(layer)
    raise PlanError(f"operation {position} (layer {name}): {problem}\n" + "\n".join(nearby))
