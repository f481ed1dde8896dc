from __future__ import annotations

import numpy as np
import pytest

from hetorch.compiler.lowering.build_program import build_program
from hetorch.ir.he_operations import Add, LinearTransform, Multiply
from hetorch.ir.interpreter import run_he_program, run_tensor_program
from hetorch.ir.tensor_program import Affine
from tests.compiler.networks import NETWORKS, choice, inputs


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_the_program_computes_the_chosen_variant(name: str) -> None:
    chosen, x = choice(name), inputs(name)[64:66]
    program, weights = build_program(chosen)
    expected = run_tensor_program(chosen.variant.program, x)
    for sample, outputs in zip(x, expected, strict=True):
        slots = run_he_program(program, weights, program.input_layout.pack(sample))
        found = program.output_layout.unpack(slots)
        np.testing.assert_allclose(found, outputs, atol=1e-9 * np.abs(expected).max())


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_operations_meet_levels_and_scales_and_follow_the_layers(name: str) -> None:
    chosen = choice(name)
    program, _ = build_program(chosen)
    levels = chosen.variant.levels
    assert program.layers == ("input", *(op.name for op in chosen.variant.program.operations))
    assert [op.layer for op in program.operations] == sorted(op.layer for op in program.operations)
    for op in program.operations:
        read = [program.values[value] for value in op.reads]
        if isinstance(op, Add | Multiply | LinearTransform):
            assert len({value.level for value in read}) == 1
        if isinstance(op, Add):
            assert read[0].scale == pytest.approx(read[1].scale, rel=2.0**-20)
    last = {op.layer: program.values[op.makes[-1]] for op in program.operations}
    assert all(value.level == levels[layer] for layer, value in last.items())
    transforms = [op for op in program.operations if isinstance(op, LinearTransform)]
    assert len(transforms) == sum(isinstance(op, Affine) for op in chosen.variant.program.operations)
