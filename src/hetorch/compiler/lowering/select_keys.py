"""Pass: exactly the keys that the program uses, each at the highest level at which it is used.

Assumes: `weights` hold the arrays of every operation. Ensures: an engine with these keys runs the program, and none of
them is superfluous.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.ir.he_program import HeProgram


def select_keys(
    program: HeProgram,
    weights: Mapping[str, NDArray[np.generic]],
    layer: int | None = None,
    slot_generator: int = 5,
) -> EvaluationKeySpec:
    """Return the keys of all operations, or of those of one `layer` alone."""
    rotations: dict[int, int] = {}
    relinearisation: int | None = None
    for op in program.operations:
        if layer is not None and op.layer != layer:
            continue
        level = op.level(program)
        if op.relinearises(program):
            relinearisation = max(level, relinearisation or 0)
        for steps in op.rotations(program, weights):
            rotations[steps] = max(level, rotations.get(steps, 0))
    return EvaluationKeySpec.from_rotations(
        rotations, 2 * program.slot_count, relinearisation, slot_generator
    )
