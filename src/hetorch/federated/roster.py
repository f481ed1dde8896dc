"""The roster: everything that the parties agree on before they train together. Nothing in it is secret."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from hetorch.errors import InputError
from hetorch.federated.ring import BLOCK_BYTES, MOST_PARTIES, RING_DEGREE, largest_integer

EXTRA_INTEGERS = 2
"""Integers before the weights: a one, which counts the contributors, and the number of samples."""
NOISE_HEADROOM = 8
"""Standard deviations of the noise that fit beside a bound. A larger one is cut off with a probability below 2^-49."""
MOST_BLOCKS = 1 << 18
"""Most blocks of an update, 2^29 weights, 3 GB on the wire."""


LARGEST = 1e100
"""The largest bound, norm or deviation, and one over the smallest: steps and squares of them are far from the ends of
double precision."""


def _has_room(value: float) -> bool:
    return 1 / LARGEST <= value <= LARGEST


@dataclass(frozen=True, slots=True)
class ArrayBounds:
    """One array of an update: values beyond `bound` in size are cut to it before they are weighted."""

    name: str
    shape: tuple[int, ...]
    bound: float


@dataclass(frozen=True)
class Roster:
    """The parties of a session and what they send.

    Args:
        session: a name that no other session of these parties has.
        identities: Ed25519 public keys (32 bytes), in the order of the parties. People compare them once, out of band.
        threshold: t, the number of parties that open a sum together; above half of them. `colluders` says how many may
            collude: at n = 5 and t = 3 none, unless all must contribute.
        arrays: the arrays of an update, in their order.
        most_samples: the largest number of samples of a party: party i has the weight n_i / most_samples.
        fewest_contributors: a sum of fewer updates is never opened; by default threshold + 1, but at most all.
        most_norm: the largest Euclidean norm of a whole update, which is scaled down to it; None leaves updates as they
            are, cut to their bounds.
        noise: standard deviation of the Gaussian noise that each party adds to each weighted value before it encrypts,
            for differential privacy with sensitivity `most_norm`.

    Raises:
        InputError: a value is out of range.
    """

    session: str
    identities: tuple[bytes, ...]
    threshold: int
    arrays: tuple[ArrayBounds, ...]
    most_samples: int
    fewest_contributors: int = 0
    most_norm: float | None = None
    noise: float = 0.0

    def __post_init__(self) -> None:
        for name in ("threshold", "most_samples", "fewest_contributors"):
            value = getattr(self, name)
            if type(value) is not int:  # 3.0 would have another digest than 3
                raise InputError(f"{name} must be an int, got {value!r}")
        if not self.fewest_contributors:
            object.__setattr__(self, "fewest_contributors", min(self.threshold + 1, self.party_count))
        count = self.party_count
        if any(not isinstance(identity, bytes) or len(identity) != 32 for identity in self.identities):
            raise InputError("a roster has public keys of 32 bytes: `identity.public` of each party")
        if not 3 <= count <= MOST_PARTIES:
            raise InputError(
                f"a roster has 3 to {MOST_PARTIES} identities, got {count}; of two parties each would learn the "
                "other's update from the sum"
            )
        if len(set(self.identities)) != count:
            raise InputError("a roster has each identity once, and one of these comes twice")
        if not count < 2 * self.threshold <= 2 * count - 2:
            raise InputError(f"threshold must be above {count / 2:g} and below {count}, got {self.threshold}")
        if not self.threshold < self.fewest_contributors <= count:
            raise InputError(
                f"fewest_contributors must be {self.threshold + 1} to {count}, got {self.fewest_contributors}"
            )
        if not self.arrays or len({array.name for array in self.arrays}) != len(self.arrays):
            raise InputError("a roster has at least one array, and each name once")
        if any(not _has_room(array.bound) or min(array.shape, default=1) < 0 for array in self.arrays):
            raise InputError(f"the bound of an array is a number from {1 / LARGEST:g} to {LARGEST:g}")
        if not 1 <= self.most_samples <= self.largest_integer:
            raise InputError(f"most_samples must be 1 to {self.largest_integer}, got {self.most_samples}")
        if any(not _has_room(value) for value in (self.most_norm, self.noise or None) if value is not None):
            raise InputError(
                f"noise must be 0, and most_norm None, or a number from {1 / LARGEST:g} to {LARGEST:g}"
            )
        if self.block_count > MOST_BLOCKS:
            raise InputError(
                f"an update has at most {MOST_BLOCKS * RING_DEGREE} weights, got {self.weight_count}"
            )

    @classmethod
    def arrays_of(
        cls, update: Mapping[str, ArrayLike], bound: float | Mapping[str, float]
    ) -> tuple[ArrayBounds, ...]:
        """Return the arrays of an example of an update, such as a state_dict, with one bound or one for each name.

        Raises:
            InputError: a name has no bound.
        """
        lacking = [name for name in update if isinstance(bound, Mapping) and name not in bound]
        if lacking:
            raise InputError(f"these arrays have no bound: {', '.join(lacking[:8])}")
        return tuple(
            ArrayBounds(
                name,
                tuple(int(size) for size in np.shape(array)),
                float(bound[name] if isinstance(bound, Mapping) else bound),
            )
            for name, array in update.items()
        )

    @property
    def party_count(self) -> int:
        """n, the number of parties."""
        return len(self.identities)

    @property
    def largest_integer(self) -> int:
        """L: a weighted value of an array's range is encrypted as an integer from -L to L."""
        return largest_integer(self.party_count)

    @cached_property
    def weight_count(self) -> int:
        """The number of values in all arrays."""
        return sum(math.prod(array.shape) for array in self.arrays)

    @property
    def block_count(self) -> int:
        """The number of polynomials of an update."""
        return -(-(self.weight_count + EXTRA_INTEGERS) // RING_DEGREE)

    @property
    def update_bytes(self) -> int:
        """Bytes of an encrypted update, and of the sum."""
        return self.block_count * BLOCK_BYTES

    @property
    def colluders(self) -> int:
        """The number of parties that may collude, together with the aggregator, and learn nothing but the sum.

        t - 1 colluders have too few shares. A list of contributors needs t signatures, and an honest party signs one:
        c colluders sign both of two lists, so that two exist only if 2 (t - c) <= n - c, that is c >= 2t - n. Two lists
        would give two sums, and their difference one update. Where all must contribute there is one list.
        """
        if self.fewest_contributors == self.party_count:
            return self.threshold - 1
        return min(self.threshold - 1, 2 * self.threshold - self.party_count - 1)

    def step(self, array: ArrayBounds) -> float:
        """Return the fixed-point step of an array's weighted values. Each party rounds to it once, so that the mean is
        wrong by at most step / 2 for each contributor, times most_samples / (all samples)."""
        return (array.bound + NOISE_HEADROOM * self.noise) / self.largest_integer

    @cached_property
    def digest(self) -> bytes:
        """32 bytes that identify the roster: SHA-256 of its values as ASCII JSON with sorted keys and no spaces."""
        data = {
            "session": self.session,
            "identities": [identity.hex() for identity in self.identities],
            "threshold": self.threshold,
            "arrays": [[array.name, list(array.shape), float(array.bound).hex()] for array in self.arrays],
            "most_samples": self.most_samples,
            "fewest_contributors": self.fewest_contributors,
            "most_norm": None if self.most_norm is None else float(self.most_norm).hex(),
            "noise": float(self.noise).hex(),
        }
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(b"hetorch roster 1" + text.encode("ascii")).digest()
