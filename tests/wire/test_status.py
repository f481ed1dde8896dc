"""The state of a server on the wire, and its numbers in words."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import WireError
from hetorch.wire.limits import MAX_STATUS_BYTES
from hetorch.wire.status import LogLine, ModelStatus, Status, WorkerStatus, dump_status, load_status
from hetorch.wire.status_numbers import grouped, number_text

STATUS = Status(
    time="2026-11-29T10:00:00+00:00",
    version="0.1.0",
    not_ready=("the queue is full",),
    models=(ModelStatus("small", "ab" * 32, 3, 0.25),),
    workers=(WorkerStatus(17, "small", 1.5), WorkerStatus(18, None, None)),
    numbers={"pending": 2, "key_disk_bytes": 1.5e9, "new_thing": 7},
    answers={"ok": 5, "busy": 1},
    errors=(LogLine("2026-11-29T09:00:00+00:00", "warning", "full", "abc"), LogLine("t", "error", "m", None)),
)


def test_a_status_survives_the_wire() -> None:
    assert load_status(dump_status(STATUS)) == STATUS


def test_texts_are_made_fit_for_a_terminal() -> None:
    body = asdict(STATUS) | {"version": "\x1b[31m1\n2" + "x" * 1000}
    version = load_status(json.dumps(body).encode()).version
    assert version.startswith("[31m1 2") and len(version) == 600


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": {"x": "1"}},
        {"numbers": {"x": True}},
        {"numbers": []},
        {"models": {}},
        {"models": [{"name": 1}]},
        {"models": [[]]},
        {"workers": [{"pid": None, "model": None, "seconds": None}]},
        {"errors": [None]},
        {"errors": [{}] * 2000},
        {"time": None},
        {"answers": {"ok": 1e999}},
    ],
)
def test_anything_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(WireError, match="no status"):
        load_status(json.dumps(asdict(STATUS) | change).encode())


@pytest.mark.fuzz
@given(st.binary(max_size=200) | st.recursive(st.none() | st.text(max_size=3) | st.integers(), st.lists))
def test_strangers_bytes_are_refused(value: object) -> None:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    with pytest.raises(WireError):
        load_status(data)


def test_a_status_that_is_too_long_is_not_parsed() -> None:
    with pytest.raises(WireError, match="more than"):
        load_status(b" " * (MAX_STATUS_BYTES + 1))


def test_numbers_are_in_groups_and_unknown_ones_come_last() -> None:
    groups = grouped(STATUS.numbers)
    assert groups == {
        "Work": {"running or waiting": "2"},
        "Keys": {"disk in use": "1.5 GB"},
        "Other": {"new thing": "7"},
    }
    assert list(groups)[-1] == "Other"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("up_seconds", 59.5, "59.5 s"),
        ("up_seconds", 61, "1 min"),
        ("up_seconds", 3660, "1 h 1 min"),
        ("up_seconds", 90000, "1 d 1 h"),
        ("x_bytes", 2048, "2.05 kB"),
        ("requests", 1234567, "1,234,567"),
        ("share", 0.123456, "0.123"),
    ],
)
def test_numbers_have_their_units(name: str, value: float, text: str) -> None:
    assert number_text(name, value) == text
