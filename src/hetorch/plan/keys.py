"""The evaluation keys that a program uses, each at the highest level at which it is used; a plan asks for no others."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec, KeyLink, main_family, rotation_link
from hetorch.errors import PlanFormatError
from hetorch.ir.he_program import HeProgram
from hetorch.params import ParameterSet


def required_keys(
    program: HeProgram,
    weights: Mapping[str, NDArray[np.generic]],
    parameters: ParameterSet,
    layer: int | None = None,
) -> EvaluationKeySpec:
    """Return the keys that the operations of `program` use, or those of its layer number `layer` alone.

    Only the rotation steps of the transforms are read from `weights`.

    Raises:
        ParameterError: the program bootstraps, and the parameters have no room for it.
        SecurityError: a key under the sparse secret of bootstrapping is over too large a modulus.
    """
    further: set[EvaluationKeySpec] = set()
    rotations: dict[int, int] = {}
    links: list[KeyLink] = []
    relinearisation: int | None = None
    for op in program.operations:
        if layer is not None and op.layer != layer:
            continue
        level = op.level(program)
        own = op.further_keys(program, parameters)
        if own is not None:
            further.add(own)
        if op.relinearises(program):
            relinearisation = max(level, relinearisation or 0)
        family = op.rotation_family(program, parameters)
        for steps in op.rotations(program, weights):
            if family == main_family(parameters):
                rotations[steps] = max(level, rotations.get(steps, 0))
            else:
                links.append(rotation_link(parameters, steps, family, level))
    spec = EvaluationKeySpec.from_rotations(
        rotations, 2 * program.slot_count, relinearisation, parameters.slot_generator
    )
    if links:
        further.add(EvaluationKeySpec.collected(parameters, links))
    for own in further:
        spec = spec.merged(parameters, own)
    return spec


def check_keys(key_spec: EvaluationKeySpec, required: EvaluationKeySpec) -> None:
    """Raise PlanFormatError unless `key_spec` asks for exactly the keys of `required`.

    If a key were missing, a run would fail on the server after the client has encrypted and sent its input. A further
    key, or one for a higher level, would only help a server that wants to compute something else.
    """
    if key_spec == required:
        return
    present, needed = _levels(key_spec), _levels(required)
    for name, level in needed.items():
        if present.get(name, -1) < level:
            known = (
                f"the one of key_spec is for level {present[name]}"
                if name in present
                else "key_spec has none"
            )
            raise PlanFormatError(f"the program uses {name} at level {level}, {known}")
    for name, level in present.items():
        if level > needed.get(name, -1):
            use = f"at level {needed[name]} at most" if name in needed else "nowhere"
            raise PlanFormatError(f"key_spec asks for {name} at level {level}, which the program uses {use}")
    raise PlanFormatError(
        f"key_spec has the sparse secret {key_spec.sparse}, the program needs {required.sparse}"
    )


def _levels(key_spec: EvaluationKeySpec) -> dict[str, int]:
    levels = {f"the key of Galois element {element}": level for element, level in key_spec.galois}
    if key_spec.relinearisation_level is not None:
        levels["the relinearisation key"] = key_spec.relinearisation_level
    for link in key_spec.links:
        ends = f"{link.from_end.value} to {link.to_end.value}"
        family = f"family {link.family.special_count}/{link.family.digit_size}"
        levels[f"the key of element {link.element} from {ends}, {family},"] = link.level
    return levels
