"""Linear maps whose diagonals are ciphertexts: the server sees neither the data nor the weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hetorch.engine.protocol import C, P, SummingEngine, T
from hetorch.errors import PlanUseError
from hetorch.ir.he_operations import LinearTransform
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights


def multiply_encrypted(
    engine: SummingEngine[C, P, T],
    plan: Plan,
    op: LinearTransform,
    weights: EncryptedWeights[C],
    inputs: Sequence[C],
) -> list[C]:
    """Return the results of the map `op` on `inputs`, rescaled.

    The products of each result and giant step are added up, and their sum is relinearised once.

    Raises:
        PlanUseError: `weights` has another number of diagonals than the map.
    """
    diagonals = weights.diagonals.get(op.weight, ())
    outputs, sources, giants, babies = (
        plan.weights[f"{op.weight}.{key}"].astype(np.int64).tolist()
        for key in ("outputs", "inputs", "giants", "babies")
    )
    if len(diagonals) != len(outputs):
        raise PlanUseError(
            f"{len(outputs)} encrypted diagonals are needed for {op.weight!r}, there are {len(diagonals)}"
        )
    rotated = _rotated_inputs(engine, inputs, set(zip(sources, babies, strict=True)))
    groups: dict[tuple[int, int], list[int]] = {}
    for t, (output, giant) in enumerate(zip(outputs, giants, strict=True)):
        groups.setdefault((output, giant), []).append(t)
    totals: dict[int, C] = {}
    for (output, giant), terms in sorted(groups.items()):
        factors = [rotated[sources[t], babies[t]] for t in terms]
        total = engine.sum_of_products([diagonals[t] for t in terms], factors)
        if giant:
            total = engine.rotate(total, giant)
        totals[output] = engine.add(totals[output], total) if output in totals else total
    missing = [output for output in range(len(op.results)) if output not in totals]
    if missing:
        # A result without weights is zero, which is made as the difference of another result and itself.
        some = next(iter(totals.values()))
        for output in missing:
            totals[output] = engine.subtract(some, some)
    return [engine.rescale(totals[output]) for output in range(len(op.results))]


def _rotated_inputs(
    engine: SummingEngine[C, P, T], inputs: Sequence[C], pairs: set[tuple[int, int]]
) -> dict[tuple[int, int], C]:
    """Return the rotated input for each pair (index of the input, baby step)."""
    rotated: dict[tuple[int, int], C] = {}
    for source in sorted({source for source, _ in pairs}):
        steps = sorted(baby for i, baby in pairs if i == source and baby)
        turned = engine.rotate_many(inputs[source], steps) if steps else []
        rotated |= {(source, step): ciphertext for step, ciphertext in zip(steps, turned, strict=True)}
        rotated[source, 0] = inputs[source]
    return rotated
