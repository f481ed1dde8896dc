"""Linear transforms by baby steps and giant steps, one rotation after the other: SEAL has no hoisting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from hetorch.engine.seal.objects import SealCiphertext, SealTransform, Term
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import PlanError

if TYPE_CHECKING:
    from hetorch.engine.seal.engine import SealEngine


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
    groups = tuple(tuple((giant, tuple(terms)) for giant, terms in output.items()) for output in outputs)
    if not all(groups):
        raise PlanError(
            "a transform has an output whose weights are all zero; SEAL makes no ciphertext that does not "
            "depend on the input: use the engine 'native'"
        )
    return SealTransform(groups, transform.input_count, level, input_scale, output_scale)


def apply(
    engine: SealEngine, prepared: SealTransform, inputs: Sequence[SealCiphertext]
) -> list[SealCiphertext]:
    """Each input rotated once for each of its baby steps; each sum of a group once."""
    rotated: dict[tuple[int, int], SealCiphertext] = {}
    results = []
    for output in prepared.groups:
        total: SealCiphertext | None = None
        for giant, terms in output:
            group: SealCiphertext | None = None
            for term in terms:
                place = (term.input, term.baby)
                if place not in rotated:
                    rotated[place] = engine.rotate(inputs[term.input], term.baby)
                product = engine.multiply_plaintext(rotated[place], term.diagonal)
                group = product if group is None else engine.add(group, product)
            assert group is not None
            turned = engine.rotate(group, giant)
            total = turned if total is None else engine.add(total, turned)
        assert total is not None
        # Exact by the scale of the diagonals; the product of doubles may differ in its last bit.
        results.append(engine.at_scale(engine.rescale(total), prepared.scale))
    return results
