"""The diagonals of a map that reads a skewed input: a small set that serves every non-zero by some replica."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hetorch.compiler.packing.placements import Indices

MOST_COVER_ENTRIES = 3_000_000
"""Largest number of (non-zero, replica) pairs for which a cover is searched: about a second. Raised, larger maps may
read a skewed input, and the search takes longer."""
MOST_PICKS = 512
"""Largest number of diagonals of a cover: with more, a skewed input is no better than one that is not skewed. Raised,
the search for a cover takes longer."""


def cover(distances: Indices, modulus: int) -> tuple[Indices, Indices, Indices] | None:
    """Choose few diagonals so that each non-zero is on one of them for some replica of the input.

    The search is greedy: it picks the diagonal that serves most of the remaining non-zeros until all are served. For a
    dense map the run of diagonals 0..w-1 is the best cover, and it is taken if the greedy one is not smaller.

    Args:
        distances: (replicas, non-zeros), the diagonal of each non-zero for each replica, 0 <= distance < modulus.
        modulus: the number of different diagonals.

    Returns:
        The sorted diagonals, and for each non-zero the place of its diagonal among them and its replica. The
        result is None if no cover of at most MOST_PICKS diagonals was found.
    """
    run = int(distances.min(axis=0).max()) + 1
    picks = _greedy(distances, modulus, min(run, MOST_PICKS))
    if picks is None or len(picks) >= run:
        if run > MOST_PICKS:
            return None
        picks = list(range(run))
    indices = np.array(sorted(picks), dtype=np.int64)
    number = np.full(modulus, -1, dtype=np.int64)
    number[indices] = np.arange(len(indices))
    served = number[distances] >= 0
    if not np.all(np.any(served, axis=0)):
        return None
    replica = np.argmax(served, axis=0)
    chosen = number[distances[replica, np.arange(distances.shape[1])]]
    kept = np.unique(chosen)
    return indices[kept], np.searchsorted(kept, chosen), replica


def _greedy(distances: Indices, modulus: int, most: int) -> list[int] | None:
    """Pick at most `most` diagonals; return None as soon as it is certain that more would be picked."""
    counts = np.bincount(distances.reshape(-1), minlength=modulus)
    if distances.shape[1] > most * int(counts.max()):
        return None  # no pick serves more than the first one
    # Shared weights repeat the same choices at every pixel: count equal columns once. The hash only saves time: if it
    # confuses two columns, the check of the caller sees it.
    replicas = len(distances)
    hashes = (distances.astype(np.uint64) * _odd_factors(replicas)[:, None]).sum(axis=0, dtype=np.uint64)
    _, first, weight = np.unique(hashes, return_index=True, return_counts=True)
    left = distances[:, first]
    counts = np.bincount(left.reshape(-1), weights=np.tile(weight, replicas), minlength=modulus)
    picks: list[int] = []
    while left.shape[1]:
        best = int(np.argmax(counts))
        if int(weight.sum()) > (most - len(picks)) * int(counts[best]):
            return None
        picks.append(best)
        served = np.any(left == best, axis=0)
        gone = left[:, served]
        counts -= np.bincount(gone.reshape(-1), weights=np.tile(weight[served], replicas), minlength=modulus)
        left, weight = left[:, ~served], weight[~served]
    return picks


def _odd_factors(count: int) -> NDArray[np.uint64]:
    """Return odd multipliers for hashing: powers of the 64-bit golden ratio (Knuth, TAOCP 3, 6.4)."""
    factors = [pow(0x9E3779B97F4A7C15, i + 1, 1 << 64) for i in range(count)]
    return np.array(factors, dtype=np.uint64)
