"""Runs: maps between small images of which each replica does a part of the work.

An image of period p repeats slot_count / p times, and an ordinary map multiplies the same numbers in every replica.
Two kinds of maps do not; w divides p, and a run is the first w slots of each p.

- Gathering: replica s computes the rows of run s alone. Row t lies at q(t) = (t div w) p + t mod w, where it would lie
  at t without runs; its products lie at q(t) + w a, and folds by w, 2w, ..., p/2 add them up. This is row packing
  (hetorch.compiler.packing.row_packing) for any placement: w, not p, is the modulus of the diagonals. The slots
  beyond the runs are then mixtures of rows, and the placement is `mixed` until a mask has set them to zero.
- Spreading: the image lies in runs, and each replica reads its own run alone. Sums by -w, -2w, ..., -p/2 first repeat
  the run within its replica; folds of whole replicas add the products up, so the result is an ordinary placement. A
  polynomial makes a number other than zero of the slots beyond the runs, one for all of them: the sums add it to every
  element as often as there are other runs in a replica, and the map's bias takes it away again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hetorch.compiler.packing.placements import Indices, Placement, Runs


def gathering(source: Placement, result: Placement) -> Runs | None:
    """Return the runs into which a map from `source` to `result` gathers its rows; None if it is of another kind."""
    plain = source.runs is None and _is_single(source)
    return result.runs if result.mixed and plain and source.period == _period(result) else None


def spreading(source: Placement, result: Placement) -> Runs | None:
    """Return the runs that a map from `source` to `result` spreads; None if it is of another kind."""
    runs = source.runs
    if runs is None or source.mixed or result.runs is not None or not _is_single(result):
        return None
    return runs if runs.length <= result.period <= runs.period else None


def modulus_between(source: Placement, result: Placement) -> int:
    """Return the number modulo which the diagonals of a map are equal."""
    runs = gathering(source, result) or spreading(source, result)
    return min(source.period, result.period) if runs is None else runs.length


def spread_steps(source: Placement, result: Placement, slot_count: int) -> tuple[int, ...]:
    """Return the rotation steps of the sums that repeat a run within its replica, before the products."""
    runs = spreading(source, result)
    return () if runs is None else tuple(slot_count - step for step in _doublings(runs.length, runs.period))


def fold_starts(source: Placement, result: Placement) -> tuple[int, ...]:
    """Return the rotation steps of the folds after the products of a gathering map."""
    runs = gathering(source, result)
    return () if runs is None else _doublings(runs.length, runs.period)


def gathered_slots(positions: Indices, places: Indices, steps: Indices, runs: Runs) -> Indices:
    """Return the slot of each product of a gathering map.

    Args:
        positions: the slot of each product's element of the input.
        places: the slot of its row.
        steps: the sum of its giant and its baby step.
        runs: those of the result.
    """
    return np.asarray(places + ((positions - places - steps) & (runs.period - 1)))


def spread_slots(
    positions: Indices, places: Indices, steps: Indices, source: Placement, period: int
) -> Indices:
    """Return the slot of each product of a spreading map to a result of `period`; the others are as before."""
    assert source.runs is not None
    first = (places + steps) % source.period
    run = positions // source.runs.period * source.runs.period
    return np.asarray((places + -(-(run - first) // period) * period) % source.period)


def run_candidates(bases: Iterable[Placement], source: Placement, slot_count: int) -> list[Placement]:
    """Return placements of the result of a map that gathers its rows, for the placements `bases` without runs."""
    if source.runs is not None or not _is_single(source) or 2 * source.period > slot_count:
        return []
    candidates = []
    for base in bases:
        count = min(slot_count // source.period, base.period)
        length = base.period // count
        if base.runs is None and _is_single(base) and length < source.period:
            runs = Runs(length, source.period)
            positions = base.positions // length * source.period + base.positions % length
            label = f"{base.label} in runs of {length} of {source.period}, mixed"
            period = count * source.period
            candidates.append(
                replace(base, positions=positions, period=period, label=label, runs=runs, mixed=True)
            )
    return candidates


def masked(placement: Placement) -> Placement:
    """Return the placement after a mask has set the slots beyond the runs to zero."""
    if not placement.mixed:
        return placement
    return replace(placement, label=placement.label.removesuffix(", mixed"), mixed=False)


def unmasked(placement: Placement) -> Placement:
    """Return the placement with runs before its mask."""
    return placement if placement.mixed else replace(placement, label=f"{placement.label}, mixed", mixed=True)


def others_in_replica(runs: Runs) -> int:
    """Return the number of slots beyond the run that the sums of a spreading map add to each element."""
    return runs.period // runs.length - 1


def _doublings(first: int, end: int) -> tuple[int, ...]:
    return tuple(first << k for k in range((end // first).bit_length() - 1))


def _is_single(placement: Placement) -> bool:
    return placement.parts == 1 and len(placement.positions) == 1 and placement.row_packing is None


def _period(result: Placement) -> int:
    return 0 if result.runs is None else result.runs.period
