"""A queue that is fair to tenants: they take turns, and each waits in its own line."""

from __future__ import annotations

import itertools
from collections import OrderedDict, deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairQueue(Generic[T]):
    """Items in lanes, one lane for each tenant: `pop` takes the oldest item of the lane whose turn it is (round robin).

    With `capacity` items in all, a push into the longest lane is refused, and one into a shorter lane takes the place
    of the newest item of the longest: whoever waits with many cannot keep others out.

    Args:
        capacity: most items.
        per_lane: most items of one lane.
    """

    def __init__(self, capacity: int, per_lane: int) -> None:
        self._capacity = capacity
        self._per_lane = per_lane
        self._lanes: OrderedDict[str, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Yield the items, lane by lane."""
        for lane in self._lanes.values():
            yield from lane

    def lane_length(self, lane: str) -> int:
        """Return the number of items of one lane."""
        return len(self._lanes.get(lane, ()))

    def ahead(self, lane: str) -> Iterator[T]:
        """Yield the items that would be taken before one that is added to a lane now."""
        turns = self.lane_length(lane) + 1
        for name, items in self._lanes.items():
            yield from itertools.islice(items, turns - 1 if name == lane else turns)

    def push(self, lane: str, item: T) -> tuple[bool, T | None]:
        """Add an item at the end of its lane; return True if it was added, and the item that lost its place for it."""
        length = self.lane_length(lane)
        if length >= self._per_lane or not self._capacity:
            return False, None
        dropped = None
        if self._count >= self._capacity:
            longest = max(self._lanes, key=lambda name: len(self._lanes[name]))
            if len(self._lanes[longest]) <= length + 1:
                return False, None
            dropped = self._lanes[longest].pop()
            self._count -= 1
        self._lanes.setdefault(lane, deque()).append(item)
        self._count += 1
        return True, dropped

    def push_first(self, lane: str, item: T) -> None:
        """Put an item back that was taken already: its lane is the next one, also above the capacity."""
        self._lanes.setdefault(lane, deque()).appendleft(item)
        self._lanes.move_to_end(lane, last=False)
        self._count += 1

    def first(self) -> T | None:
        """Return the item that `pop` would take; None if there is none."""
        for items in self._lanes.values():
            return items[0]
        return None

    def pop(self) -> T:
        """Take the oldest item of the lane whose turn it is; IndexError if there is none."""
        if not self._lanes:
            raise IndexError("the queue is empty")
        lane, items = next(iter(self._lanes.items()))
        item = items.popleft()
        self._count -= 1
        if items:
            self._lanes.move_to_end(lane)
        else:
            del self._lanes[lane]
        return item

    def remove(self, lane: str, item: T) -> bool:
        """Take out one item; False if it is not there."""
        items = self._lanes.get(lane)
        if items is None or item not in items:
            return False
        items.remove(item)
        self._count -= 1
        if not items:
            del self._lanes[lane]
        return True
