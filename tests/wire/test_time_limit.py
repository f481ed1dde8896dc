"""The header with a server's limit for one request."""

from __future__ import annotations

import pytest

from hetorch.wire.limits import MAX_REQUEST_SECONDS, REQUEST_SECONDS
from hetorch.wire.time_limit import dump_time_limit, load_time_limit


@pytest.mark.parametrize("seconds", [0.5, 1.0, 300.0, 1234.567, MAX_REQUEST_SECONDS])
def test_limits_come_back(seconds: float) -> None:
    assert load_time_limit(dump_time_limit(seconds)) == seconds


@pytest.mark.parametrize("seconds", [1e7, 1e300, float("inf")])
def test_endless_limits_are_cut(seconds: float) -> None:
    assert load_time_limit(dump_time_limit(seconds)) == MAX_REQUEST_SECONDS
    assert load_time_limit("999999999") == MAX_REQUEST_SECONDS


@pytest.mark.parametrize(
    "header", ["", "nan", "inf", "-1", "+1", "1e9", "1_0", " 5", "5 s", "٣", "9" * 10, "1.2345", "5\n"]
)
def test_what_is_no_limit_counts_as_the_default(header: str) -> None:
    assert load_time_limit(header) == REQUEST_SECONDS
