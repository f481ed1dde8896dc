"""The limits of tenants: requests a minute, bytes a day, and requests at once, so that none takes the service from all.

Requests and bytes are counted in buckets that fill steadily: a minute's requests may come at once, and the next ones as
fast as the bucket fills. Time is that of a clock that never jumps. The counts begin anew with the process.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hetorch.quantities import size_text
from hetorch.serving.errors import RateExceeded
from hetorch.serving.metrics import Metrics

MINUTE = 60.0
DAY = 86400.0


@dataclass(frozen=True, slots=True)
class TenantLimits:
    """The limits of one tenant; None for no limit.

    Args:
        requests_per_minute: requests of all its tokens; the health of the server is none, and what is asked about a job
            belongs to the prediction that was counted.
        bytes_per_day: bytes of the bodies of its requests and of their answers.
        concurrent_requests: requests that are answered at once.
    """

    requests_per_minute: int | None = None
    bytes_per_day: int | None = None
    concurrent_requests: int | None = None


class TenantMeter:
    """The counts of requests and bytes of each tenant. Used from one event loop.

    Args:
        limits_of: tells the limits of a tenant, which may change at any time.
        metrics: is told `rate_exceeded`, by `limit`.
        clock: tells seconds.
    """

    def __init__(
        self,
        limits_of: Callable[[str], TenantLimits],
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits_of = limits_of
        self._metrics = metrics
        self._clock = clock
        self._uses: dict[str, _Use] = {}

    @contextmanager
    def request(self, tenant: str, declared: int, *, asks: bool = True) -> Iterator[Traffic]:
        """Count one request of a tenant, which is answered until the block ends.

        Args:
            tenant: the tenant.
            declared: bytes that the body is said to have; 0 if nothing is said.
            asks: False for a request that belongs to one that was counted, and is none of those of a minute.

        Raises:
            RateExceeded: it is one too many, or has more bytes than the tenant may send now.
        """
        limits, now = self._limits_of(tenant), self._clock()
        use = self._uses.setdefault(tenant, _Use())
        most = limits.concurrent_requests
        if most is not None and use.running >= most:
            raise self._exceeded(
                "concurrent_requests",
                f"{tenant!r} has {use.running} requests that are being answered, the most at once; wait for one",
            )
        missing = use.asked.missing(1, limits.requests_per_minute, MINUTE, now)
        if asks and missing > 0:
            raise self._exceeded(
                "requests_per_minute",
                f"{tenant!r} has asked the {limits.requests_per_minute} times that it may a minute",
                missing,
            )
        traffic = Traffic(declared, use, lambda: self._check_bytes(tenant, use, 1))
        self._check_bytes(tenant, use, max(1, declared))
        use.asked.take(int(asks))
        use.sent.take(declared)
        use.running += 1
        try:
            yield traffic
        finally:
            use.running -= 1
            traffic.end()

    def _check_bytes(self, tenant: str, use: _Use, size: int) -> None:
        limit = self._limits_of(tenant).bytes_per_day
        missing = use.sent.missing(size, limit, DAY, self._clock())
        if missing > 0:
            assert limit is not None
            raise self._exceeded(
                "bytes_per_day",
                f"{tenant!r} may send and receive {size_text(limit)} a day, and this request exceeds what is left",
                missing,
            )

    def _exceeded(self, limit: str, sentence: str, retry_after: float | None = None) -> RateExceeded:
        self._metrics.count("rate_exceeded", limit=limit)
        if retry_after is not None:
            sentence += f"; ask again in {math.ceil(retry_after)} s"
        return RateExceeded(sentence, retry_after)


class _Bucket:
    """The part of a limit that was taken and has not been given back by time."""

    def __init__(self) -> None:
        self._limited = False
        self._taken = 0.0
        self._since = float("-inf")

    def missing(self, amount: int, limit: int | None, period: float, now: float) -> float:
        """Return the seconds until `amount` can be taken; 0 for now. More than the limit can be taken when nothing else
        is, and takes longer to be given back."""
        self._limited = limit is not None
        if limit is None:
            self._taken, self._since = 0.0, now
            return 0.0
        given_back = (now - self._since) * limit / period
        self._taken, self._since = max(0.0, self._taken - given_back), now
        return max(0.0, self._taken + min(amount, limit) - limit) * period / limit

    def take(self, amount: int) -> None:
        """Take an amount, or give it back if it is negative."""
        if self._limited:
            self._taken += amount


class _Use:
    """The counts of one tenant."""

    def __init__(self) -> None:
        self.asked = _Bucket()
        self.sent = _Bucket()
        self.running = 0


class Traffic:
    """The bytes of one request and of its answer. The declared ones were taken before."""

    def __init__(self, declared: int, use: _Use, check: Callable[[], None]) -> None:
        self._ahead = declared
        self._use = use
        self._check = check

    def came(self, size: int) -> None:
        """Count bytes of the request's body; RateExceeded where more come than were declared, and than are allowed."""
        beyond = max(0, size - self._ahead)
        self._ahead = max(0, self._ahead - size)
        if beyond:
            self._check()
            self._use.sent.take(beyond)

    def went(self, size: int) -> None:
        """Count bytes of the answer, which is sent whatever the limit: it stops the next requests."""
        self._use.sent.take(size)

    def end(self) -> None:
        """Give back what was declared and has not come."""
        self._use.sent.take(-self._ahead)
        self._ahead = 0
