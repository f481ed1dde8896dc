"""The benchmark of training together: its rounds finish, and its table has a row for each step."""

from __future__ import annotations

from benchmarks import federated
from benchmarks.peers import hetorch_federated
from benchmarks.row import Row


def test_a_round_is_timed_and_its_memory_measured() -> None:
    session = hetorch_federated.setup({"weights": 3000, "parties": 3, "threads": 1})
    turn = session.calls["round"](None)
    assert turn["error"] < federated.MAX_ERROR["ours"]
    assert all(turn[step] > 0 for step in federated.STEPS)
    assert turn["bytes_up"] > 2 * 11520 and turn["bytes_down"] > turn["bytes_up"]
    assert set(session.calls["memory"](None)) == set(federated.STEPS)


def test_a_row_has_the_ratio_of_the_medians() -> None:
    turns = {
        "theirs": [
            {"add": 8.0, "bytes_up": 1, "bytes_down": 1},
            {"add": 12.0, "bytes_up": 1, "bytes_down": 1},
        ],
        "ours": [{"add": 1.0, "bytes_up": 1, "bytes_down": 1}, {"add": 3.0, "bytes_up": 1, "bytes_down": 1}],
    }
    empty = Row("", "Peer", "1", 1, None, None, None, None, None, 0)
    memory = {side: {"add": 5} for side in turns}
    row = federated._row("sum", "add", empty, turns, memory)
    assert (row.theirs_ms, row.ours_ms, row.ratio) == (10, 2, 5)
    assert (row.ratio_min, row.ratio_max) == (4, 8)
    assert row.details["ours"] == {"peak_bytes": 5}
