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


def cover(
    distances: Indices, modulus: int, most: int | None = None
) -> tuple[Indices, Indices, Indices] | None:
    """Choose few diagonals so that each non-zero is on one of them for some replica of the input.

    The search is greedy: it picks the diagonal that serves most of the remaining non-zeros until all are served. For a
    dense map the run of diagonals 0..w-1 is the best cover, and it is taken if the greedy one is not smaller.

    Args:
        distances: (replicas, non-zeros), the diagonal of each non-zero for each replica, 0 <= distance < modulus.
        modulus: the number of different diagonals.
        most: the largest number of diagonals of use; MOST_PICKS if left out.

    Returns:
        The sorted diagonals, and for each non-zero the place of its diagonal among them and its replica. The
        result is None if no cover of at most MOST_PICKS or `most` diagonals was found.
    """
    run = int(distances.min(axis=0).max()) + 1
    most = MOST_PICKS if most is None else min(most, MOST_PICKS)
    picks = _greedy(distances, modulus, min(run, most))
    if picks is None or len(picks) >= run:
        if run > most:
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
    columns = distances[:, first]
    counts = np.bincount(columns.reshape(-1), weights=np.tile(weight, replicas), minlength=modulus)
    by_diagonal = np.argsort(columns.reshape(-1), kind="stable")
    starts = np.searchsorted(columns.reshape(-1)[by_diagonal], np.arange(modulus + 1))
    waiting = np.ones(len(first), dtype=bool)
    left = int(weight.sum())
    picks: list[int] = []
    while left:
        best = int(np.argmax(counts))
        if left > (most - len(picks)) * int(counts[best]):
            return None
        picks.append(best)
        served = np.unique(by_diagonal[starts[best] : starts[best + 1]] % len(first))
        served = served[waiting[served]]
        waiting[served] = False
        gone = columns[:, served].reshape(-1)
        counts -= np.bincount(gone, weights=np.tile(weight[served], replicas), minlength=modulus)
        left -= int(weight[served].sum())
    return picks


def _odd_factors(count: int) -> NDArray[np.uint64]:
    """Return odd multipliers for hashing: powers of the 64-bit golden ratio (Knuth, TAOCP 3, 6.4)."""
    factors = [pow(0x9E3779B97F4A7C15, i + 1, 1 << 64) for i in range(count)]
    return np.array(factors, dtype=np.uint64)
