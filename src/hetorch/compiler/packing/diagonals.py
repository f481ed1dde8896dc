"""Lowering of one affine map to diagonals, for given placements of its input and its result.

Element c of the input lies at pos(c), row t of the result at q(t). A product M[t, c] x_c is formed in a slot s that
belongs to row t, from the slot s + k that holds c: k is the diagonal. With m = min(period in, period out), k is taken
modulo m. If the result's period is smaller, the products of one row lie in several slots that are m apart, and are
added up afterwards by folds (rotate by m, 2m, 4m, ... and add). If it is larger or equal, there is nothing to fold,
unless the result has a window (hetorch.compiler.packing.row_packing).

Over several ciphertexts a map is a grid of (result, input) blocks, each with diagonals of its own: number
(result * inputs + input) * m + k.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from hetorch.compiler.costs.model import KEY
from hetorch.compiler.packing.baby_giant import split
from hetorch.compiler.packing.placements import Placement
from hetorch.compiler.packing.row_packing import slots_of_products, window_between
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import PlanError

Indices = NDArray[np.int64]

MOST_COVER_ENTRIES = 3_000_000
"""The greedy cover of a skewed input is only tried below this many (non-zero, replica) pairs: about a second."""
MOST_PICKS = 512
"""More diagonals than this make a skewed input no better than a plain one."""


@dataclass(frozen=True, slots=True, eq=False)
class DiagonalSet:
    """Which diagonals a map takes: the sorted `indices`, each block * `modulus` + k; for each non-zero of the matrix
    (in CSR order) the `chosen` place in `indices` and the `replica` of the input that it reads (0 unless skewed)."""

    indices: Indices
    modulus: int
    chosen: Indices
    replica: Indices


@dataclass(frozen=True, slots=True, eq=False)
class Lowered:
    """An affine map ready to run: the transform, the fold steps after it, and how each part is counted: `diagonals`,
    (input, baby step) and (result, giant step) pairs in all, `worst_diagonals` and `worst_giants` those of the
    ciphertext of the result that has most."""

    transform: DiagonalTransform
    folds: tuple[int, ...]
    diagonals: int
    babies: int
    giants: int
    worst_diagonals: int
    worst_giants: int

    @property
    def lanes(self) -> int:
        """Slots that are added up into one by the folds."""
        return 1 << len(self.folds)


LIGHTEST = Lowered(
    transform=DiagonalTransform(
        slot_count=1,
        input_count=1,
        output_count=1,
        outputs=np.zeros(1, dtype=np.int32),
        inputs=np.zeros(1, dtype=np.int32),
        giants=np.zeros(1, dtype=np.int32),
        babies=np.zeros(1, dtype=np.int32),
        values=np.zeros((1, 1)),
    ),
    folds=(),
    diagonals=1,
    babies=0,
    giants=0,
    worst_diagonals=1,
    worst_giants=0,
)
"""A map with less noise than any other: one diagonal, no rotation, no fold."""


def coordinates(matrix: sparse.csr_array) -> tuple[Indices, Indices]:
    """Rows and columns of the non-zeros, in CSR order."""
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    return rows, matrix.indices.astype(np.int64)


def find_diagonals(
    rows: Indices, columns: Indices, source: Placement, result: Placement
) -> DiagonalSet | None:
    """The diagonals for one pair of placements; None if a cover would take too long to find."""
    modulus = min(source.period, result.period)
    if len(rows) == 0:
        return DiagonalSet(np.zeros(1, dtype=np.int64), modulus, rows, rows)
    if source.positions.shape[0] == 1:
        k = _numbers(rows, columns, source, result, modulus)
        present = _present(k, modulus * source.parts * result.parts)
        number = np.cumsum(present) - 1
        return DiagonalSet(np.flatnonzero(present), modulus, number[k], np.zeros(len(k), dtype=np.int64))
    if source.positions.shape[0] * len(rows) > MOST_COVER_ENTRIES:
        return None
    return _cover(_distances(rows, columns, source, result, modulus), modulus)


def find_indices(
    rows: Indices, columns: Indices, source: Placement, result: Placement
) -> tuple[Indices, int] | None:
    """`indices` and `modulus` of find_diagonals alone, in less time: all that the search for layouts needs."""
    if len(rows) == 0 or source.positions.shape[0] > 1:
        found = find_diagonals(rows, columns, source, result)
        return None if found is None else (found.indices, found.modulus)
    modulus = min(source.period, result.period)
    single = source.parts == result.parts == 1
    if single and len(rows) == source.positions.shape[1] * result.positions.shape[1]:
        window = window_between(source, result)
        if window is not None:
            differences = source.positions[0][:, None] - np.unique(result.positions[0] % window.stride)
            return np.unique(differences & (window.stride - 1)), modulus
        return np.flatnonzero(_dense_present(source, result, modulus)), modulus
    k = _numbers(rows, columns, source, result, modulus)
    return np.flatnonzero(_present(k, modulus * source.parts * result.parts)), modulus


def blocks(indices: Indices, modulus: int, source: Placement) -> tuple[Indices, Indices, Indices]:
    """The ciphertext of the result, that of the input, and k, for each of the indices of find_diagonals."""
    block = np.asarray(indices // modulus)
    k = np.asarray(indices % modulus)
    return np.asarray(block // source.parts), np.asarray(block % source.parts), k


def _numbers(rows: Indices, columns: Indices, source: Placement, result: Placement, modulus: int) -> Indices:
    """The diagonal of each non-zero, for an input that is not skewed."""
    window = window_between(source, result)
    if window is not None:
        places = result.positions[0].take(rows)
        return slots_of_products(source.positions[0].take(columns), places, window)[0]
    k: Indices = _distances(rows, columns, source, result, modulus)[0]
    if source.parts == result.parts == 1:
        return k
    output = (result.positions[0] // result.period).take(rows)
    given = (source.positions[0] // source.period).take(columns)
    return np.asarray((output * source.parts + given) * modulus + k)


def _dense_present(source: Placement, result: Placement, modulus: int) -> NDArray[np.bool_]:
    """For a matrix without zeros: the differences of any two slots, counted by a circular correlation.

    The counts are whole numbers up to the modulus, so the rounding of the transform is far below one half.
    """
    inputs, outputs = np.zeros(modulus), np.zeros(modulus)
    inputs[source.positions[0] % modulus] = 1
    outputs[result.positions[0] % modulus] = 1
    spectrum = np.conj(np.fft.fft(outputs)) * np.fft.fft(inputs)
    return np.asarray(np.fft.ifft(spectrum).real > 0.5)


def _distances(
    rows: Indices, columns: Indices, source: Placement, result: Placement, modulus: int
) -> Indices:
    """From the slot of each row to those of its column, (replicas, non-zeros), modulo `modulus`, a power of two."""
    places = result.positions[0].take(rows)
    distances: Indices = (source.positions.take(columns, axis=1) - places) & (modulus - 1)
    return distances


def _present(k: Indices, count: int) -> NDArray[np.bool_]:
    present = np.zeros(count, dtype=bool)
    present[k] = True
    return present


def _cover(k: Indices, modulus: int) -> DiagonalSet | None:
    """Few diagonals so that each non-zero finds one of its replicas: k is (replicas, non-zeros).

    Greedy: the diagonal that serves most of what is left, again and again. For a dense map the windows 0..w-1 are the
    best cover, taken if the greedy one is not smaller.
    """
    window = int(k.min(axis=0).max()) + 1
    picks = _greedy(k, modulus, min(window, MOST_PICKS))
    if picks is None or len(picks) >= window:
        if window > MOST_PICKS:
            return None
        picks = list(range(window))
    indices = np.array(sorted(picks), dtype=np.int64)
    number = np.full(modulus, -1, dtype=np.int64)
    number[indices] = np.arange(len(indices))
    served = number[k] >= 0
    if not np.all(np.any(served, axis=0)):
        return None
    replica = np.argmax(served, axis=0)
    chosen = number[k[replica, np.arange(k.shape[1])]]
    kept = np.unique(chosen)
    return DiagonalSet(indices[kept], modulus, np.searchsorted(kept, chosen), replica)


def _greedy(k: Indices, modulus: int, most: int) -> list[int] | None:
    """At most `most` diagonals, or None as soon as it is certain that more would be picked."""
    counts = np.bincount(k.reshape(-1), minlength=modulus)
    if k.shape[1] > most * int(counts.max()):
        return None  # no pick serves more than the first one
    # Shared weights repeat the same choices at every pixel: count equal columns once. The hash only saves time: what
    # it might confuse is caught by the check of the caller.
    mixed = (k.astype(np.uint64) * _odd_factors(len(k))[:, None]).sum(axis=0, dtype=np.uint64)
    _, first, weight = np.unique(mixed, return_index=True, return_counts=True)
    left = k[:, first]
    counts = np.bincount(left.reshape(-1), weights=np.tile(weight, len(k)), minlength=modulus)
    picks: list[int] = []
    while left.shape[1]:
        best = int(np.argmax(counts))
        if int(weight.sum()) > (most - len(picks)) * int(counts[best]):
            return None
        picks.append(best)
        served = np.any(left == best, axis=0)
        gone = left[:, served]
        counts -= np.bincount(gone.reshape(-1), weights=np.tile(weight[served], len(k)), minlength=modulus)
        left, weight = left[:, ~served], weight[~served]
    return picks


def _odd_factors(count: int) -> NDArray[np.uint64]:
    """Odd multipliers for hashing: powers of the 64-bit golden ratio (Knuth, TAOCP 3, 6.4)."""
    factors = [pow(0x9E3779B97F4A7C15, i + 1, 1 << 64) for i in range(count)]
    return np.array(factors, dtype=np.uint64)


def fold_steps(source: Placement, result: Placement) -> tuple[int, ...]:
    """m, 2m, ..., period in / 2, from the period of the result or the stride of its window on."""
    window = window_between(source, result)
    steps = []
    step = result.period if window is None else window.stride
    while step < source.period:
        steps.append(step)
        step *= 2
    return tuple(steps)


def lower(
    matrix: sparse.csr_array,
    source: Placement,
    result: Placement,
    slot_count: int,
    key_weight: float = KEY,
) -> Lowered:
    """The transform whose folded result holds (matrix @ x) at `result` and, unless that has a window, zero in its
    unused slots; `key_weight` as in split."""
    rows, columns = coordinates(matrix)
    found = find_diagonals(rows, columns, source, result)
    if found is None:
        raise PlanError(f"no diagonals were found for a map of {len(rows)} weights from {source.label}")
    outputs, inputs, k = blocks(found.indices, found.modulus, source)
    parts = split(k, found.modulus, outputs, inputs, key_weight)
    period = max(source.period, result.period)
    window = window_between(source, result)
    if window is not None:
        places = result.positions[0].take(rows)
        slots = slots_of_products(source.positions[0].take(columns), places, window)[1]
    elif result.period >= source.period:
        slots = result.positions[0][rows]
    else:
        # Any representative is right; the slot follows from it.
        slots = source.positions[found.replica, columns] - parts.representatives[found.chosen]
    values = np.zeros((len(k), period))
    values[found.chosen, slots % period] = matrix.data
    transform = DiagonalTransform(
        slot_count=slot_count,
        input_count=source.parts,
        output_count=result.parts,
        outputs=outputs.astype(np.int32),
        inputs=inputs.astype(np.int32),
        giants=(parts.giants % slot_count).astype(np.int32),
        babies=(parts.babies % slot_count).astype(np.int32),
        values=values,
    )
    # Half a turn to the left and half a turn to the right are one step.
    turned = np.stack([outputs, parts.giants % slot_count])
    pairs = np.unique(turned[:, turned[1] != 0], axis=1)
    return Lowered(
        transform=transform,
        folds=fold_steps(source, result),
        diagonals=len(k),
        babies=parts.baby_count,
        giants=pairs.shape[1],
        worst_diagonals=int(np.bincount(outputs).max()),
        worst_giants=int(np.bincount(pairs[0], minlength=1).max()),
    )
