"""The limits of tenants, with a clock of the test's own: what is admitted follows from the limits alone."""

from __future__ import annotations

import contextlib
from collections import Counter

import numpy as np
import pytest

from hetorch.serving.errors import RateExceeded
from hetorch.serving.tenant_limits import DAY, MINUTE, TenantLimits, TenantMeter


class Counts:
    """Metrics that count by the name of the limit."""

    def __init__(self) -> None:
        self.refused: Counter[str] = Counter()

    def count(self, name: str, **labels: str) -> None:
        assert name == "rate_exceeded"
        self.refused[labels["limit"]] += 1

    def observe(self, name: str, value: float, **labels: str) -> None:
        raise AssertionError

    def gauge(self, name: str, value: float, **labels: str) -> None:
        raise AssertionError


class Clock:
    def __init__(self) -> None:
        self.now = 1e6

    def __call__(self) -> float:
        return self.now


def admitted(meter: TenantMeter, tenant: str = "a", declared: int = 0) -> bool:
    with contextlib.suppress(RateExceeded), meter.request(tenant, declared) as traffic:
        traffic.came(declared)
        return True
    return False


def test_no_minute_has_more_than_twice_its_requests_and_no_hour_many_more() -> None:
    """A bucket of n that gives n back in a minute admits at most n + n·T/60 in T seconds, from any beginning."""
    clock, counts = Clock(), Counts()
    meter = TenantMeter(lambda tenant: TenantLimits(requests_per_minute=10), counts, clock)
    numbers = np.random.default_rng(1)
    times = []
    for _ in range(4000):
        clock.now += numbers.exponential(2.0) if numbers.random() < 0.9 else numbers.uniform(0, 120)
        if admitted(meter):
            times.append(clock.now)
    assert counts.refused["requests_per_minute"] == 4000 - len(times) > 500
    begin = np.array(times)
    for window in (1.0, MINUTE, 10 * MINUTE):
        counted = np.searchsorted(begin, begin + window, side="right") - np.arange(len(begin))
        assert counted.max() <= 10 + 10 * window / MINUTE + 1e-6
        assert counted.max() >= 10 * min(1.0, window / MINUTE)  # the limit is used


def test_who_waits_as_told_is_admitted() -> None:
    clock = Clock()
    limits = TenantLimits(requests_per_minute=7, bytes_per_day=10_000)
    meter = TenantMeter(lambda tenant: limits, Counts(), clock)
    numbers = np.random.default_rng(2)
    refusals = 0
    for _ in range(200):
        size = int(numbers.integers(0, 3000))
        try:
            with meter.request("a", size) as traffic:
                traffic.came(size)
        except RateExceeded as error:
            refusals += 1
            assert error.retry_after is not None and 0 < error.retry_after <= DAY
            clock.now += error.retry_after * 0.98
            # Either limit may be the one that is left, but not before its time.
            with contextlib.suppress(RateExceeded), meter.request("a", size):
                pytest.fail("it was admitted before its time")
            clock.now += error.retry_after * 0.021
    assert refusals > 50


def test_bytes_are_reserved_given_back_and_counted_both_ways() -> None:
    clock, counts = Clock(), Counts()
    meter = TenantMeter(lambda tenant: TenantLimits(bytes_per_day=1000), counts, clock)
    with meter.request("a", 900) as first:
        first.came(100)
        assert not admitted(meter, declared=101)  # the rest is reserved
        assert admitted(meter, declared=100)
        assert admitted(meter, "b", declared=1000)  # another tenant
    assert admitted(meter, declared=700)  # 800 of the first one never came
    with meter.request("a", 0) as undeclared:
        undeclared.came(60)
        undeclared.came(40)
        with pytest.raises(RateExceeded, match="exceeds what is left"):
            undeclared.came(1)
    clock.now += DAY / 10  # gives back 100
    with meter.request("a", 0) as answered:
        answered.went(5000)  # an answer is sent, and owed
    clock.now += DAY
    assert not admitted(meter, declared=1)
    clock.now += 5 * DAY
    assert admitted(meter, declared=1000)
    assert counts.refused["bytes_per_day"] == 3


def test_requests_at_once() -> None:
    counts = Counts()
    meter = TenantMeter(lambda tenant: TenantLimits(concurrent_requests=2), counts, Clock())
    with meter.request("a", 0), meter.request("a", 0):
        with (
            pytest.raises(RateExceeded, match="the most at once") as caught,
            meter.request("a", 0),
        ):
            pass
        assert caught.value.retry_after is None
        assert admitted(meter, "b")
    with contextlib.suppress(ZeroDivisionError), meter.request("a", 0):
        raise ZeroDivisionError  # a request that fails has ended too
    with meter.request("a", 0):
        assert admitted(meter)
    assert counts.refused == {"concurrent_requests": 1}


def test_other_limits_hold_from_the_next_request() -> None:
    clock = Clock()
    limits = TenantLimits(requests_per_minute=1)
    meter = TenantMeter(lambda tenant: limits, Counts(), clock)
    assert admitted(meter) and not admitted(meter)
    limits = TenantLimits(requests_per_minute=3)
    assert admitted(meter) and admitted(meter) and not admitted(meter)
    limits = TenantLimits()
    assert all(admitted(meter, declared=10**12) for _ in range(100))
    limits = TenantLimits(requests_per_minute=1)
    assert admitted(meter)  # what was asked without a limit is not counted
