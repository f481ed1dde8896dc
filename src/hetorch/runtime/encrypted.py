"""Linear maps whose diagonals are ciphertexts: the server sees neither the data nor the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import numpy as np

from hetorch.engine.protocol import C, Engine, P, T
from hetorch.errors import PlanError
from hetorch.ir.he_operations import LinearTransform
from hetorch.plan import Plan
from hetorch.plan.encrypted import EncryptedWeights

Product = TypeVar("Product")


class MultipliesSums(Protocol[Product]):
    """What an engine must offer besides `Engine`."""

    def sum_of_products(self, a: Sequence[Product], b: Sequence[Product]) -> Product:
        """sum_i a[i] * b[i], relinearised once; not rescaled."""


def multiply_encrypted(
    engine: Engine[C, P, T],
    plan: Plan,
    op: LinearTransform,
    weights: EncryptedWeights[C],
    inputs: Sequence[C],
) -> list[C]:
    """The results of one map, rescaled. Products of one result and one giant step are added up before they are
    relinearised, once. PlanError if the engine has no sums of products or a weight is missing."""
    multiplier = getattr(engine, "sum_of_products", None)
    if multiplier is None:
        raise PlanError(f"the engine {engine.name!r} cannot multiply by encrypted weights")
    diagonals = weights.diagonals.get(op.weight, ())
    arrays = {key: plan.weights[f"{op.weight}.{key}"] for key in ("outputs", "inputs", "giants", "babies")}
    outputs, given, giants, babies = (
        array.astype(np.int64).tolist()
        for array in (arrays["outputs"], arrays["inputs"], arrays["giants"], arrays["babies"])
    )
    if len(diagonals) != len(outputs):
        raise PlanError(
            f"{len(outputs)} encrypted diagonals are needed for {op.weight!r}, there are {len(diagonals)}"
        )
    rotated: dict[tuple[int, int], C] = {}
    groups: dict[tuple[int, int], list[int]] = {}
    for t, (output, giant) in enumerate(zip(outputs, giants, strict=True)):
        groups.setdefault((output, giant), []).append(t)
    for source in sorted(set(given)):
        steps = sorted({baby for i, baby in zip(given, babies, strict=True) if i == source and baby})
        turned = engine.rotate_many(inputs[source], steps) if steps else []
        rotated |= {(source, step): made for step, made in zip(steps, turned, strict=True)}
        rotated[source, 0] = inputs[source]
    totals: dict[int, C] = {}
    for (output, giant), terms in sorted(groups.items()):
        total: C = multiplier([diagonals[t] for t in terms], [rotated[given[t], babies[t]] for t in terms])
        if giant:
            total = engine.rotate(total, giant)
        totals[output] = engine.add(totals[output], total) if output in totals else total
    missing = [output for output in range(len(op.results)) if output not in totals]
    if missing:
        # A result without a weight: zero, as a difference of what is there.
        some = next(iter(totals.values()))
        for output in missing:
            totals[output] = engine.subtract(some, some)
    return [engine.rescale(totals[output]) for output in range(len(op.results))]
