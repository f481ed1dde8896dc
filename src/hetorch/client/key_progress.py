"""The progress of evaluation keys in words: the keys that are done of all, and their bytes."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate

from hetorch.engine.keys import all_links
from hetorch.plan.public import PublicPlan
from hetorch.plan.sizes import key_bytes
from hetorch.quantities import count_text, size_text


@dataclass(frozen=True, slots=True)
class KeyProgress:
    """The ends of the keys of a plan in bytes, in the order in which they are made and sent."""

    ends: tuple[int, ...]

    @classmethod
    def of(cls, plan: PublicPlan) -> KeyProgress:
        """Return the ends of all keys that a plan asks for."""
        parameters = plan.parameters
        sizes = (key_bytes(parameters, link) for link in all_links(parameters, plan.key_spec))
        return cls(tuple(accumulate(sizes)))

    @property
    def size(self) -> int:
        """The bytes of all keys."""
        return self.ends[-1] if self.ends else 0

    def fraction(self, keys: int) -> float:
        """Return the share of the bytes that the first `keys` keys have."""
        return self.ends[keys - 1] / self.size if keys else 0.0

    def text(self, fraction: float) -> str:
        """Return the progress for a share of the bytes: "12 of 98 keys, 68 MB"."""
        done = round(fraction * self.size)
        whole = bisect_right(self.ends, done)
        return f"{whole} of {count_text(len(self.ends), 'key')}, {size_text(done)}"
