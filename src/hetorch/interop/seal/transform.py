"""Linear transforms on SEAL, by the schedule of rotations that the core follows too (hetorch.engine.rotation_schedule).

SEAL has no hoisting: every baby step is a rotation of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hetorch.engine.rotation_schedule import GiantChain, giant_chains
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import PlanUseError
from hetorch.interop.seal.arithmetic import SealArithmetic
from hetorch.interop.seal.objects import SealCiphertext, SealTransform, Term


def prepare(
    engine: SealArithmetic, transform: DiagonalTransform, level: int, input_scale: float, output_scale: float
) -> SealTransform:
    """Encode the diagonals at the scale output_scale * q_level / input_scale.

    Each is rotated right by its giant step, because the sum of its group is rotated left by as much. Zero diagonals are
    left out; PlanUseError for an output that has no others.
    """
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
        raise PlanUseError(
            "a transform has an output whose weights are all zero; SEAL makes no ciphertext that does not depend "
            "on the input: use the engine 'native'"
        )
    groups = tuple({giant: tuple(terms) for giant, terms in output.items()} for output in outputs)
    chains = giant_chains(transform.giants, transform.slot_count)
    return SealTransform(groups, chains, transform.input_count, level, input_scale, output_scale)


def apply(
    engine: SealArithmetic, prepared: SealTransform, inputs: Sequence[SealCiphertext]
) -> list[SealCiphertext]:
    """Return the results, rescaled. Each input is rotated once for each of its baby steps; the chains need no key but
    that of their step, and a plan may hold no other."""
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
        for chain in prepared.chains:
            part = _chained(engine, chain, sums)
            total = total if part is None else _sum(engine, total, part)
        assert total is not None
        # Exact by the scale of the diagonals; the product of doubles may differ in its last bit.
        results.append(engine.at_scale(engine.rescale(total), prepared.scale))
    return results


def _chained(
    engine: SealArithmetic, chain: GiantChain, sums: Mapping[int, SealCiphertext]
) -> SealCiphertext | None:
    """Return the sum of the chain's groups, each rotated by its giant step; None if this output has none of them."""
    total: SealCiphertext | None = None
    for giant in chain.giants:
        if giant in sums:
            total = _sum(engine, total, sums[giant])
        if total is not None:
            total = engine.rotate(total, chain.step)
    return total


def _sum(engine: SealArithmetic, a: SealCiphertext | None, b: SealCiphertext) -> SealCiphertext:
    return b if a is None else engine.add(a, b)
