"""The constants of a machine, for the cost model: seconds for one limb of one operation, by ring degree."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds a limb (`..._limb` and those without key switching) or a digit and limb.

    `product`: a diagonal times both halves, accumulated. `constant`: the same for one number in place of a diagonal.
    `baby`: a hoisted rotation inside a transform; `giant`: one with its own decomposition and mod-down; `hoist`: the
    decomposition that the babies share; `down`: what a transform does once for each output. `rotate`, `multiply`
    (with relinearisation), `rescale`, `add`: by themselves.
    """

    product: float
    constant: float
    baby: float
    baby_limb: float
    giant: float
    giant_limb: float
    hoist: float
    down: float
    rotate: float
    rotate_limb: float
    multiply: float
    multiply_limb: float
    rescale: float
    add: float


@dataclass(frozen=True, slots=True)
class Machine:
    """`times` by ring degree. `label` says where they are from: it stands in the plan, with the hash of tuned ones."""

    label: str
    times: Mapping[int, Times]

    def at(self, ring_degree: int) -> Times:
        """Those of the nearest ring degree measured, in proportion to the work of a limb."""
        if ring_degree in self.times:
            return self.times[ring_degree]
        nearest = min(self.times, key=lambda n: (abs(math.log2(n / ring_degree)), n))
        factor = ring_work(ring_degree) / ring_work(nearest)
        base = self.times[nearest]
        return replace(base, **{f.name: getattr(base, f.name) * factor for f in fields(Times)})


def ring_work(ring_degree: int) -> float:
    """Work of a limb relative to N = 1: transforms (N log N) and pointwise work (N) mixed."""
    return ring_degree * (1.0 + 0.05 * math.log2(ring_degree))


# Until measured constants are loaded: ratios of operations, in seconds of one core with 512-bit vectors.
_UNIT = 6.0e-6
DEFAULT = Machine(
    "default",
    {
        1 << 13: Times(
            product=_UNIT,
            constant=0.3 * _UNIT,
            baby=1.2 * _UNIT,
            baby_limb=0.0,
            giant=4.0 * _UNIT,
            giant_limb=0.0,
            hoist=1.0 * _UNIT,
            down=2.0 * _UNIT,
            rotate=3.5 * _UNIT,
            rotate_limb=0.0,
            multiply=3.7 * _UNIT,
            multiply_limb=0.0,
            rescale=2.0 * _UNIT,
            add=0.3 * _UNIT,
        )
    },
)
