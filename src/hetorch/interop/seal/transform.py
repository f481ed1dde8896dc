"""Linear transforms by baby steps and giant steps, one rotation after the other: SEAL has no hoisting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import PlanError
from hetorch.interop.seal.objects import SealCiphertext, SealTransform, Side, Term

if TYPE_CHECKING:
    from hetorch.interop.seal.engine import SealEngine


def prepare(
    engine: SealEngine, transform: DiagonalTransform, level: int, input_scale: float, output_scale: float
) -> SealTransform:
    """Diagonals at the scale output_scale * q_level / input_scale, each rotated right by its giant steps, because the
    sum of its group is rotated left by as much. Zero diagonals are left out."""
    scale = output_scale * engine.parameters.modulus_chain[level] / input_scale
    repeat = transform.slot_count // transform.values.shape[1]
    outputs: list[dict[int, list[Term]]] = [{} for _ in range(transform.output_count)]
    for t in range(transform.values.shape[0]):
        giant = int(transform.giants[t])
        values = np.roll(np.tile(transform.values[t], repeat), giant)
        diagonal = engine.encode(values, level=level, scale=scale)
        if diagonal.core is not None:
            term = Term(int(transform.inputs[t]), int(transform.babies[t]), diagonal)
            outputs[int(transform.outputs[t])].setdefault(giant, []).append(term)
    if not all(outputs):
        raise PlanError(
            "a transform has an output whose weights are all zero; SEAL makes no ciphertext that does not depend "
            "on the input: use the engine 'native'"
        )
    groups = tuple({giant: tuple(terms) for giant, terms in output.items()} for output in outputs)
    sides = _sides({int(giant) for giant in transform.giants}, transform.slot_count)
    return SealTransform(groups, sides, transform.input_count, level, input_scale, output_scale)


def _sides(giants: set[int], slot_count: int) -> tuple[Side, ...]:
    """Turns to the left, up to half of the slots, and to the right."""
    sides = []
    for left in (True, False):
        mine = [giant for giant in giants if giant and (2 * giant <= slot_count) == left]
        mine.sort(key=lambda giant: min(giant, slot_count - giant))
        turns = [min(giant, slot_count - giant) for giant in mine]
        if mine:
            sides.append(Side(tuple(mine), turns == [turns[0] * (i + 1) for i in range(len(turns))]))
    return tuple(sides)


def apply(
    engine: SealEngine, prepared: SealTransform, inputs: Sequence[SealCiphertext]
) -> list[SealCiphertext]:
    """Each input rotated once for each of its baby steps. The giant steps of a dense side go by Horner's rule,
    rot(S_1 + rot(S_2 + …)), which takes the key of the shortest turn alone: a plan may hold no other."""
    rotated: dict[tuple[int, int], SealCiphertext] = {}

    def group_sum(terms: Sequence[Term]) -> SealCiphertext:
        total: SealCiphertext | None = None
        for term in terms:
            place = (term.input, term.baby)
            if place not in rotated:
                rotated[place] = engine.rotate(inputs[term.input], term.baby)
            total = _sum(engine, total, engine.multiply_plaintext(rotated[place], term.diagonal))
        assert total is not None
        return total

    results = []
    for output in prepared.groups:
        sums = {giant: group_sum(terms) for giant, terms in output.items()}
        total = sums.get(0)
        for side in prepared.sides:
            part = _turned(engine, side, sums)
            total = total if part is None else _sum(engine, total, part)
        assert total is not None
        # Exact by the scale of the diagonals; the product of doubles may differ in its last bit.
        results.append(engine.at_scale(engine.rescale(total), prepared.scale))
    return results


def _turned(engine: SealEngine, side: Side, sums: Mapping[int, SealCiphertext]) -> SealCiphertext | None:
    """The sum of the side's groups, each turned by its giant steps; None if it has none in this output."""
    total: SealCiphertext | None = None
    if not side.dense:
        for giant in side.giants:
            if giant in sums:
                total = _sum(engine, total, engine.rotate(sums[giant], giant))
        return total
    for giant in reversed(side.giants):
        if giant in sums:
            total = _sum(engine, total, sums[giant])
        if total is not None:
            total = engine.rotate(total, side.giants[0])
    return total


def _sum(engine: SealEngine, a: SealCiphertext | None, b: SealCiphertext) -> SealCiphertext:
    return b if a is None else engine.add(a, b)
