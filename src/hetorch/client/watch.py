"""A watchdog over one request at a time, which cuts the connection of a server that is too slow."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator, Mapping

from hetorch.wire.limits import SLOWEST_BYTES_PER_SECOND


class Watch:
    """A watchdog that cuts the connection when the head of the answer is not there some seconds after the request was
    sent, or when the server takes the request more slowly than SLOWEST_BYTES_PER_SECOND on the whole.

    httpx bounds each write and read, and returns nothing before the head is complete: a server that takes or sends
    byte by byte, or sends one "Early Hints" after the other, keeps within these bounds for ever.
    """

    def __init__(self) -> None:
        self._timeout = 0.0
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self._size = 0
        self._end: float | None = None
        self.expired = False
        """True once the connection of the latest request was cut."""

    @contextlib.contextmanager
    def over_request(self, size: int, timeout: float, left: float | None = None) -> Iterator[None]:
        """Watch one request with a body of `size` bytes, to which `trace` is given.

        `timeout`: seconds from the end of the request to the head of the answer. `left`: seconds for both together.
        """
        self._size = size
        self._end = None if left is None else time.monotonic() + left
        self._timeout = timeout
        self.expired = False
        try:
            yield
        finally:
            self._stop()

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """Follow a request: the "trace" extension of httpx calls this before and after each step."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            stream = info["return_value"]
            self._socket = stream.get_extra_info("socket")  # type: ignore[attr-defined]  # httpcore.NetworkStream
        elif event.endswith(".send_request_headers.started"):
            self._start(self._timeout + self._size / SLOWEST_BYTES_PER_SECOND)
        elif event.endswith(".receive_response_headers.started"):
            self._start(self._timeout)
        elif ".receive_response_headers." in event:
            self._stop()

    def _start(self, seconds: float) -> None:
        self._stop()
        if self._end is not None:
            seconds = min(seconds, max(self._end - time.monotonic(), 0.0))
        self._timer = threading.Timer(seconds, self._expire)
        self._timer.daemon = True
        self._timer.start()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self.expired = True
        self.cut()

    def cut(self) -> None:
        """Cut the connection of the request."""
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # The shutdown of plain sockets: that of TLS would remove the encryption under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)
