"""HTTP to an untrusted server: bounded answers, no redirects, and every failure as one sentence."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from hetorch.errors import InputError, RemoteError
from hetorch.wire.answers import MAX_ANSWER_BYTES, load_error

OCTETS = "application/octet-stream"
SLOWEST_BYTES_PER_SECOND = 64 << 10
"""A server that takes a request slower than this on the whole is given up; ours gives up what comes slower."""
MAX_RETRY_AFTER = 30.0
"""Seconds; a server that asks for a longer pause is not waited for."""
MIN_RETRY_AFTER = 0.1
"""Seconds; one that asks for a shorter pause would be sent the same body as often as it can be."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer, with the seconds until its headers came and until its last byte came."""

    body: bytes
    headers: httpx.Headers
    first_byte: float
    last_byte: float


@dataclass(frozen=True, slots=True)
class Body:
    """A large body of `size` bytes, which `pieces` makes while it is sent: anew for each attempt."""

    size: int
    pieces: Callable[[], Iterable[bytes]]


class Transport:
    """Requests to one base address. Busy servers (503) are asked again until `timeout` seconds have passed."""

    def __init__(self, url: str, *, timeout: float, transport: httpx.BaseTransport | None = None) -> None:
        try:
            parsed = httpx.URL(url)
        except (httpx.InvalidURL, TypeError) as error:
            raise InputError(f"{url!r} is not an address: {error}") from None
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise InputError(f"{url!r} is not an address of a server; write it as http://host:port")
        self.url = str(parsed).rstrip("/")
        self._timeout = timeout
        self._watch = _Watch(timeout)
        self._http = httpx.Client(
            base_url=self.url,
            timeout=httpx.Timeout(timeout, connect=min(timeout, 10.0)),
            transport=transport,
            trust_env=not _is_loopback(parsed.host),  # a proxy cannot reach this machine's own loopback
            headers={"Accept-Encoding": "identity"},  # a compressed answer could grow without bound
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def get(self, path: str, *, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """The body of an answer of at most `limit` bytes; RemoteError for anything else."""
        return self.send("GET", path, limit=limit).body

    def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Body | None = None,
        headers: dict[str, str] | None = None,
        limit: int = MAX_ANSWER_BYTES,
    ) -> Answer:
        """One request; RemoteError (with the HTTP status, if there is one) unless the answer is a 2xx within limit."""
        sent = dict(headers or {})
        if content is not None:
            sent["Content-Type"] = OCTETS
        if isinstance(content, Body):
            sent["Content-Length"] = str(content.size)
        deadline = time.monotonic() + self._timeout
        while True:
            try:
                return self._once(method, path, content, sent, limit)
            except _Busy as busy:
                if time.monotonic() + busy.pause > deadline:
                    raise RemoteError(busy.sentence, 503) from None
                time.sleep(busy.pause)

    def _once(
        self, method: str, path: str, content: bytes | Body | None, headers: dict[str, str], limit: int
    ) -> Answer:
        start = time.perf_counter()
        sent = content.pieces() if isinstance(content, Body) else content
        size = content.size if isinstance(content, Body) else len(content or b"")
        watch = self._watch
        try:
            with (
                watch.over_request(size),
                self._http.stream(
                    method, path, content=sent, headers=headers, extensions={"trace": watch.trace}
                ) as response,
            ):
                first_byte = time.perf_counter() - start
                ok = response.is_success
                body = self._read(response, limit if ok else MAX_ANSWER_BYTES)
        except httpx.ConnectError as error:
            raise RemoteError(
                f"no server answers at {self.url}: {error}; is `hetorch serve` running?"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if watch.expired or isinstance(error, httpx.TimeoutException):
                raise RemoteError(
                    f"the server at {self.url} did not answer {method} {path} within {self._timeout:g} s; "
                    "give a longer timeout or ask the server's owner"
                ) from error
            detail = str(error) or type(error).__name__
            raise RemoteError(
                f"the connection to {self.url} broke during {method} {path}: {detail}"
            ) from error
        if ok:
            return Answer(body, response.headers, first_byte, time.perf_counter() - start)
        raise self._refusal(response, body)

    def _read(self, response: httpx.Response, limit: int) -> bytes:
        if "content-encoding" in response.headers:
            raise RemoteError(f"the server at {self.url} sent a compressed answer, which was not asked for")
        body = bytearray()
        # httpx bounds each read, and a dripping server keeps within that for ever.
        deadline = time.monotonic() + self._timeout
        for chunk in response.iter_raw():
            if time.monotonic() > deadline:
                raise RemoteError(
                    f"the server at {self.url} did not finish its answer within {self._timeout:g} s of its beginning"
                )
            body += chunk
            if len(body) > limit:
                raise RemoteError(f"the server at {self.url} sent more than the {limit} bytes expected")
        return bytes(body)

    def _refusal(self, response: httpx.Response, body: bytes) -> Exception:
        status = response.status_code
        sentence = load_error(body)
        if sentence is None:
            message = f"{self.url} answered {status} without an explanation; is it a hetorch server?"
        else:
            message = f"the server at {self.url} says: {sentence}"
        if status == 503:
            return _Busy(message, _retry_after(response.headers.get("retry-after", "")))
        return RemoteError(message, status)


class _Watch:
    """Cuts the connection when the head of an answer is not there `timeout` seconds after the request was sent, or when
    the request itself is taken slower than SLOWEST_BYTES_PER_SECOND on the whole.

    httpx bounds each write and read, and hands out nothing before the head is complete: a server that takes or drips
    byte by byte, or sends one "Early Hints" after the other, keeps within that for ever.
    """

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._socket: socket.socket | None = None
        self._timer: threading.Timer | None = None
        self._size = 0
        self.expired = False

    @contextlib.contextmanager
    def over_request(self, size: int) -> Iterator[None]:
        """For one request with a body of `size` bytes, which is given `trace`."""
        self._size = size
        self.expired = False
        try:
            yield
        finally:
            self._stop()

    def trace(self, event: str, info: Mapping[str, object]) -> None:
        """The extension "trace" of httpx: called before and after each step of a request."""
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
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True
        self._timer.start()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _cut(self) -> None:
        self.expired = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # That of plain sockets: TLS's would take the encryption off under the thread that reads.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _Busy(Exception):
    """A 503: the server is busy; ask again after `pause` seconds."""

    def __init__(self, sentence: str, pause: float) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.pause = pause


def _retry_after(header: str) -> float:
    asked = float(header) if header.isascii() and header.isdigit() else 1.0
    return min(max(asked, MIN_RETRY_AFTER), MAX_RETRY_AFTER)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
