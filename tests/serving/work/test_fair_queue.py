"""The fair queue: turns, places, and what gives way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from hetorch.serving.work.fair_queue import FairQueue


def filled(lanes: str, capacity: int = 100, per_lane: int = 100) -> FairQueue[str]:
    """Push one item for each letter, which names its lane; items are the letter and a number."""
    queue: FairQueue[str] = FairQueue(capacity, per_lane)
    for number, lane in enumerate(lanes):
        queue.push(lane, f"{lane}{number}")
    return queue


def emptied(queue: FairQueue[str]) -> list[str]:
    return [queue.pop() for _ in range(len(queue))]


def test_lanes_take_turns_and_each_keeps_its_order() -> None:
    assert emptied(filled("aaaabbc")) == ["a0", "b4", "c6", "a1", "b5", "a2", "a3"]


@given(st.text("abcd", max_size=40))
def test_nobody_waits_for_more_than_one_turn_of_each_other_lane(lanes: str) -> None:
    """Between two items of one lane comes at most one of each other."""
    order = [item[0] for item in emptied(filled(lanes))]
    assert sorted(order) == sorted(lanes)
    for lane in set(lanes):
        places = [place for place, other in enumerate(order) if other == lane]
        for begin, end in zip([-1, *places], places, strict=False):
            between = order[begin + 1 : end]
            assert len(set(between)) == len(between)


@given(st.text("abcd", max_size=40), st.sampled_from("abcde"))
def test_what_is_ahead_is_what_is_taken_before(lanes: str, lane: str) -> None:
    queue = filled(lanes)
    ahead = sorted(queue.ahead(lane))
    queue.push(lane, "new")
    order = emptied(queue)
    taken = order[: order.index("new")]
    assert set(taken) <= set(ahead) and len(taken) >= len([i for i in lanes if i == lane])


def test_in_a_full_queue_the_newest_of_the_longest_lane_gives_way() -> None:
    queue = filled("aaaab", capacity=5)
    assert queue.push("a", "more") == (False, None)
    assert queue.push("c", "new") == (True, "a3")
    assert queue.push("b", "newer") == (True, "a2")
    assert queue.push("c", "last") == (False, None)  # no lane has more than it would have then
    assert emptied(queue) == ["a0", "b4", "new", "a1", "newer"]


def test_a_lane_has_its_own_limit() -> None:
    queue = filled("aaa", per_lane=2)
    assert len(queue) == 2 and queue.push("b", "b")[0]


def test_a_queue_without_places_takes_nothing() -> None:
    assert FairQueue[str](0, 5).push("a", "a") == (False, None)


def test_items_are_put_back_and_taken_out() -> None:
    queue = filled("aab")
    first = queue.pop()
    queue.push_first("a", first)
    assert queue.first() == first == "a0"
    assert queue.remove("a", "a1") and not queue.remove("a", "a1") and not queue.remove("z", "a0")
    assert emptied(queue) == ["a0", "b2"]
