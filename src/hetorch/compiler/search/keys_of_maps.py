"""The evaluation keys that a program will use, counted from its lowered maps before the program is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from hetorch.compiler.packing.lower import MapOutline
from hetorch.engine.keys import EvaluationKeySpec, KeyLink, main_family, rotation_link
from hetorch.ir.tensor_program import Affine, Chebyshev, Multiply, TensorProgram
from hetorch.params import ParameterSet
from hetorch.params.map_family import map_family


def keys_of_maps(
    program: TensorProgram,
    levels: tuple[int, ...],
    maps: Mapping[int, MapOutline],
    ring_degree: int,
    batch: int,
    slot_generator: int,
    *,
    encrypted: bool = False,
    parameters: ParameterSet | None = None,
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
        parameters: those of the program, if they have families of keys, of which maps use one at low levels.
    """
    rotations: dict[int, int] = {}
    links: list[KeyLink] = []
    relinearisation = -1
    for index, op in enumerate(program.operations):
        level = levels[index + 1]
        match op:
            case Affine():
                if encrypted:
                    relinearisation = max(relinearisation, level + 1)
                for steps, at in _steps(maps[index], level, encrypted=encrypted):
                    family = None if parameters is None or encrypted else map_family(parameters, at)
                    if parameters is not None and family is not None and family != main_family(parameters):
                        links += (rotation_link(parameters, step * batch, family, at) for step in steps)
                    else:
                        _raise_levels(rotations, steps, batch, at)
            case Multiply():
                relinearisation = max(relinearisation, level + 1)
            case Chebyshev() if op.depth > 1:
                relinearisation = max(relinearisation, level + op.depth)
            case _:
                pass
    spec = EvaluationKeySpec.from_rotations(
        rotations, ring_degree, relinearisation if relinearisation >= 0 else None, slot_generator
    )
    if parameters is None or not links:
        return spec
    return spec.merged(parameters, EvaluationKeySpec.collected(parameters, links))


def _steps(lowered: MapOutline, level: int, *, encrypted: bool) -> Iterator[tuple[Iterable[int], int]]:
    """Yield the rotation steps of a map whose result is at `level`, with the level at which they are used."""
    pair = lowered.transform.pair
    before = {*transform_steps(lowered, encrypted=encrypted), *lowered.spreads, *([pair] if pair else [])}
    yield from ((before, level + 1), (lowered.folds, level))


def transform_steps(lowered: MapOutline, *, encrypted: bool) -> frozenset[int]:
    """Return the steps of a map before its folds, in positions, that need keys."""
    schedule = lowered.transform.schedule
    return schedule.keys_without_chains if encrypted else schedule.keys


def _raise_levels(rotations: dict[int, int], steps: Iterable[int], batch: int, level: int) -> None:
    for step in steps:
        rotations[step * batch] = max(level, rotations.get(step * batch, 0))
