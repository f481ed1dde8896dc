"""HTTP to an untrusted server: bounded answers, no redirects, and every failure as one sentence."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from hetorch.client.credentials import NONE, Credentials
from hetorch.client.foreign_answers import is_web_page, tell_refusal, tell_web_page
from hetorch.client.server_address import ServerAddress
from hetorch.client.watch import Watch
from hetorch.errors import InputError, RemoteError
from hetorch.quantities import size_text
from hetorch.user_information import without_user_information
from hetorch.wire.addresses import OCTETS
from hetorch.wire.answers import load_error
from hetorch.wire.codes import Code
from hetorch.wire.limits import MAX_ANSWER_BYTES, MAX_RETRY_AFTER_SECONDS, MIN_RETRY_AFTER_SECONDS

MAX_CONNECT_SECONDS = 10.0
"""Longest time for making a connection, in seconds, also where one request may take longer."""

FIRST_ANSWER_SECONDS = 60.0
"""Longest time for an answer before the server's own limit is known, in seconds: for the list of models and the public
plan, which a server has at hand."""
PIECE_BYTES = 1 << 20
"""Bytes of a large body that are read and sent at a time."""
ANSWER_ROOM_SECONDS = 30.0
"""Time that a client waits beyond the server's limit for one request, in seconds, so that it sees the server's own
refusal and not a broken connection; a higher value only delays the report of a dead server."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. `first_byte` and `last_byte`: seconds from the start of the request until the answer's
    headers and its last byte had come."""

    body: bytes
    headers: httpx.Headers
    first_byte: float
    last_byte: float


@dataclass(frozen=True, slots=True)
class Body:
    """A large request body of `size` bytes. `pieces` is called at each attempt and makes the bytes as they are sent."""

    size: int
    pieces: Callable[[], Iterable[bytes]]


def bytes_body(data: bytes, report: Callable[[int, int], None]) -> Body:
    """Return a body with these bytes; `report` is called with the bytes sent and all bytes as they are sent."""

    def pieces() -> Iterable[bytes]:
        for begin in range(0, len(data), PIECE_BYTES):
            report(begin, len(data))
            yield data[begin : begin + PIECE_BYTES]
        report(len(data), len(data))

    return Body(len(data), pieces)


class Transport:
    """Requests to one base address; a busy server (503) is asked again until `timeout` seconds have passed.

    Args:
        url: base address, such as "http://127.0.0.1:8000" or "https://name:password@host"; InputError if it is none.
        timeout: seconds for making a request and for the head and the body of its answer, each. None for
            FIRST_ANSWER_SECONDS, and for as long as the server allows itself once that is known (follow_time_limit).
        credentials: token, headers and certificates; InputError if they cannot be used for this address.
        transport: sends the requests in place of httpx's own, for tests and recordings.

    Attributes:
        url: the base address for messages, without name and password.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None,
        credentials: Credentials = NONE,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if timeout is not None and not timeout > 0:
            raise InputError(f"timeout must be a positive number of seconds, got {timeout!r}")
        address = ServerAddress.parse(url)
        self.url = address.url
        self._signed = address.auth is not None
        self._follows = timeout is None
        self._timeout = FIRST_ANSWER_SECONDS if timeout is None else timeout
        self._watch = Watch()
        headers = credentials.headers_for(address)
        self._token = headers.get("Authorization", "").removeprefix("Bearer ")
        tls = credentials.tls()
        try:
            self._http = httpx.Client(
                base_url=address.url,
                auth=address.auth,
                transport=transport,
                verify=tls,
                trust_env=not address.is_loopback,  # a proxy cannot reach this machine's own loopback
                # A compressed answer could grow without bound.
                headers=headers | {"Accept-Encoding": "identity"},
            )
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise InputError(
                "the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY) cannot be used: "
                f"{without_user_information(str(error))}"
            ) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def follow_time_limit(self, seconds: float) -> None:
        """Wait from now on as long as a server that allows itself `seconds` for one request, and some room.

        A timeout that the user chose stays.
        """
        if self._follows:
            self._timeout = seconds + ANSWER_ROOM_SECONDS

    def get(self, path: str, *, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the body of an answer of at most `limit` bytes; RemoteError for anything else."""
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
        """Send one request and return its answer.

        Raises:
            RemoteError: the server cannot be reached, is too slow or refuses, or its answer has more than `limit`
                bytes. The error has the HTTP status and the code of a refusal, where the answer has them.
        """
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
                    raise RemoteError(busy.sentence, Code.BUSY.status, busy.code) from None
                time.sleep(busy.pause)

    def _once(
        self, method: str, path: str, content: bytes | Body | None, headers: dict[str, str], limit: int
    ) -> Answer:
        """Make one attempt; _Busy if the server is busy, RemoteError for any other failure."""
        start = time.perf_counter()
        sent = content.pieces() if isinstance(content, Body) else content
        size = content.size if isinstance(content, Body) else len(content or b"")
        watch = self._watch
        try:
            with (
                watch.over_request(size, self._timeout),
                self._http.stream(
                    method,
                    path,
                    content=sent,
                    headers=headers,
                    timeout=httpx.Timeout(self._timeout, connect=min(self._timeout, MAX_CONNECT_SECONDS)),
                    extensions={"trace": watch.trace},
                ) as response,
            ):
                first_byte = time.perf_counter() - start
                ok = response.is_success and not is_web_page(response)
                body = self._read(response, limit) if ok else self._beginning(response)
        except httpx.ProxyError as error:
            raise RemoteError(
                f"the proxy before {self.url} (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY) makes no connection: "
                f"{without_user_information(str(error))}"
            ) from error
        except httpx.ConnectError as error:
            if "[SSL" in str(error):
                raise RemoteError(
                    f"the server at {self.url} has no TLS that can be trusted: {error}; give the file of its root with "
                    "verify= (hetorch predict --ca), and your own with cert= if it asks for one"
                ) from error
            raise RemoteError(
                f"no server answers at {self.url}: {without_user_information(str(error))}; is `hetorch serve` running?"
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            if watch.expired or isinstance(error, httpx.TimeoutException):
                raise RemoteError(
                    f"the server at {self.url} did not answer {method} {path} within {self._timeout:g} s; "
                    "give a longer timeout or ask the server's owner"
                ) from error
            detail = without_user_information(str(error)) or type(error).__name__
            raise RemoteError(
                f"the connection to {self.url} broke during {method} {path}: {detail}"
            ) from error
        if response.is_success and is_web_page(response, body):
            raise RemoteError(self._without_token(tell_web_page(self.url, body)), response.status_code)
        if ok:
            return Answer(body, response.headers, first_byte, time.perf_counter() - start)
        raise self._refusal(response, body, size)

    def _without_token(self, message: str) -> str:
        """Return a message without the token, which the other side may have repeated."""
        return message.replace(self._token, "…") if self._token else message

    def _read(self, response: httpx.Response, limit: int) -> bytes:
        if "content-encoding" in response.headers:
            raise RemoteError(f"the server at {self.url} sent a compressed answer, which was not asked for")
        body = bytearray()
        # httpx bounds each read; a server that sends byte by byte keeps within that bound for ever.
        deadline = time.monotonic() + self._timeout
        for chunk in response.iter_raw():
            if time.monotonic() > deadline:
                raise RemoteError(
                    f"the server at {self.url} did not finish its answer within {self._timeout:g} s of its beginning"
                )
            body += chunk
            if len(body) > limit:
                raise RemoteError(f"the server at {self.url} sent more than the {size_text(limit)} expected")
        return bytes(body)

    def _beginning(self, response: httpx.Response) -> bytes:
        """Read at most MAX_ANSWER_BYTES of a refusal or a web page; nothing of one that is compressed."""
        body = bytearray()
        if "content-encoding" in response.headers:
            return b""
        deadline = time.monotonic() + self._timeout
        for chunk in response.iter_raw():
            body += chunk
            if len(body) >= MAX_ANSWER_BYTES or time.monotonic() > deadline:
                break
        return bytes(body[:MAX_ANSWER_BYTES])

    def _refusal(self, response: httpx.Response, body: bytes, sent: int) -> Exception:
        status = response.status_code
        error = load_error(body)
        if error is None:
            message = tell_refusal(self.url, response, body, sent, signed=self._signed)
        else:
            message = f"the server at {self.url} says: {error.sentence}"
        message = self._without_token(message)
        code = None if error is None else error.code
        if (
            status == Code.BUSY.status
        ):  # by the status: a proxy before the server, which has no codes, may be busy too
            return _Busy(message, code, _retry_after(response.headers.get("retry-after", "")))
        return RemoteError(message, status, code)


class _Busy(Exception):
    """A 503: the server is busy; ask again after `pause` seconds."""

    def __init__(self, sentence: str, code: str | None, pause: float) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code
        self.pause = pause


def _retry_after(header: str) -> float:
    """Return the pause in seconds that a Retry-After header asks for, within our limits; 1 s if it is not a number."""
    asked = float(header) if header.isascii() and header.isdigit() else 1.0
    return min(max(asked, MIN_RETRY_AFTER_SECONDS), MAX_RETRY_AFTER_SECONDS)
