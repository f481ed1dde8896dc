"""Lanes beside a column of boxes: an edge that passes by other boxes runs in a lane of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lane:
    """The way of one box's result to the boxes that read it, other than the next one.

    source   position of the box
    targets  positions of the boxes that read it there, in order
    lane     number of the lane, 0 beside the boxes
    """

    source: int
    targets: tuple[int, ...]
    lane: int


def lanes_of(sources: Sequence[Sequence[int]]) -> tuple[Lane, ...]:
    """Return the lanes of boxes with operands `sources`; none overlap, and shorter ones lie nearer to the boxes."""
    ways: dict[int, list[int]] = {}
    for target, operands in enumerate(sources):
        for source in operands:
            if source < target - 1:
                ways.setdefault(source, []).append(target)
    occupied: list[list[tuple[int, int]]] = []
    lanes = []
    for source, targets in sorted(ways.items(), key=lambda way: (way[1][-1] - way[0], way[0])):
        end = targets[-1]
        number = next(
            (n for n, spans in enumerate(occupied) if all(end < low or high < source for low, high in spans)),
            len(occupied),
        )
        if number == len(occupied):
            occupied.append([])
        occupied[number].append((source, end))
        lanes.append(Lane(source, tuple(targets), number))
    return tuple(lanes)
