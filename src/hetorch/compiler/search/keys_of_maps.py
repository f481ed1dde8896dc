"""The evaluation keys that a program will use, counted from its lowered maps before the program is built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hetorch.compiler.packing.lower import MapOutline
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.transform import DiagonalSteps
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply, TensorProgram


def keys_of_maps(
    program: TensorProgram,
    levels: tuple[int, ...],
    maps: Mapping[int, MapOutline],
    ring_degree: int,
    batch: int,
    slot_generator: int,
    *,
    encrypted: bool = False,
) -> EvaluationKeySpec:
    """Return the keys of the program that build_program makes, each at the highest level at which it is used.

    Args:
        program: the network, without activations.
        levels: one per value.
        maps: its affine maps, by index of operation.
        ring_degree: N.
        batch: samples side by side; a step of the maps is `batch` slots.
        slot_generator: the generator of the parameters.
        encrypted: True if the weights are ciphertexts, whose products are relinearised.
    """
    rotations: dict[int, int] = {}
    relinearisation = -1
    for index, op in enumerate(program.operations):
        level = levels[index + 1]
        match op:
            case Affine():
                if encrypted:
                    relinearisation = max(relinearisation, level + 1)
                for step, used_at in steps_of_map(maps[index], level, encrypted=encrypted):
                    rotations[step * batch] = max(used_at, rotations.get(step * batch, 0))
            case Multiply():
                relinearisation = max(relinearisation, level + 1)
            case Chebyshev() if op.depth > 1:
                relinearisation = max(relinearisation, level + op.depth)
            case _:
                pass
    return EvaluationKeySpec.from_rotations(
        rotations, ring_degree, relinearisation if relinearisation >= 0 else None, slot_generator
    )


def steps_of_map(lowered: MapOutline, level: int, *, encrypted: bool) -> Iterator[tuple[int, int]]:
    """Yield the steps of a map, in positions, with the levels of their keys; its result is at `level`."""
    yield from ((step, level + 1) for step in _transform_steps(lowered.transform, encrypted))
    yield from ((step, level) for step in lowered.folds)


def _transform_steps(transform: DiagonalSteps, encrypted: bool) -> frozenset[int]:
    schedule = transform.schedule
    return schedule.keys_without_chains if encrypted else schedule.keys
