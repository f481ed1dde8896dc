"""Pass: exactly the keys that the program uses, each at the highest level at which it is used."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.transform import key_steps
from hetorch.ir.he_program import HeProgram, LinearTransform, Multiply, Polynomial, RotateAdd


def select_keys(
    program: HeProgram,
    weights: Mapping[str, NDArray[np.generic]],
    layer: int | None = None,
    slot_generator: int = 5,
) -> EvaluationKeySpec:
    """From the operations and the steps of the transforms; of one `layer` alone if given."""
    rotations: dict[int, int] = {}
    relinearisation = -1
    for op in program.operations:
        if layer is not None and op.layer != layer:
            continue
        match op:
            case LinearTransform():
                level = program.values[op.inputs[0]].level
                if program.encrypted_weights:
                    relinearisation = max(relinearisation, level)
                giants, babies = (
                    weights[f"{op.weight}.{key}"].astype(np.int32) for key in ("giants", "babies")
                )
                used = key_steps(giants, babies, program.slot_count)
                if program.encrypted_weights:  # each sum of a giant step is rotated by itself
                    used = frozenset(int(step) for step in np.union1d(giants, babies))
                for step in used:
                    rotations[step] = max(level, rotations.get(step, 0))
            case RotateAdd():
                level = program.values[op.input].level
                rotations[op.steps] = max(level, rotations.get(op.steps, 0))
            case Multiply():
                relinearisation = max(relinearisation, program.values[op.a].level)
            case Polynomial() if op.depth > 1:
                relinearisation = max(relinearisation, program.values[op.input].level)
            case _:
                pass
    level_or_none = relinearisation if relinearisation >= 0 else None
    return EvaluationKeySpec.from_rotations(rotations, 2 * program.slot_count, level_or_none, slot_generator)
