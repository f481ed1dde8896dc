"""The Server-Timing header, both ways."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.wire.server_timing import STEPS, dump_server_timing, load_server_timing


@given(st.dictionaries(st.sampled_from(STEPS), st.floats(0, 1e6), max_size=4))
def test_round_trip_to_a_microsecond(times: dict[str, float]) -> None:
    loaded = load_server_timing(dump_server_timing(times))
    assert loaded.keys() == times.keys()
    assert all(math.isclose(loaded[k], times[k], abs_tol=5.1e-4) for k in times)


def test_the_header_reads_as_the_standard_says() -> None:
    assert dump_server_timing({"run": 1.5, "queue": 0.25}) == "queue;dur=0.250, run;dur=1.500"


@pytest.mark.parametrize(
    "header",
    ["", "run", "run;dur=", "run;dur=nan", "run;dur=inf", "run;dur=-1", "evil;dur=3", "run;dur=1e999"],
)
def test_what_makes_no_sense_is_left_out(header: str) -> None:
    assert load_server_timing(header) == {}


@given(st.text(max_size=2000))
def test_any_header_is_read(header: str) -> None:
    assert all(math.isfinite(v) and v >= 0 for v in load_server_timing(header).values())
