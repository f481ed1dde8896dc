"""HTTP to an untrusted server: bounded answers, no redirects, and every failure as one sentence."""

from __future__ import annotations

import time
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import httpx

from hetorch.client.attempt import Attempt, Body, Reply
from hetorch.client.blocking import BlockingDriver
from hetorch.client.credentials import NONE, Credentials
from hetorch.client.driver import AnyTransport, Driver, HttpOptions
from hetorch.client.foreign_answers import is_web_page, tell_refusal, tell_web_page
from hetorch.client.retries import REPEATS, in_a_hurry, pause_after_break, pause_when_busy, time_left
from hetorch.client.server_address import ServerAddress
from hetorch.errors import InputError, RemoteError
from hetorch.user_information import without_user_information
from hetorch.wire.addresses import OCTETS
from hetorch.wire.answers import load_error
from hetorch.wire.codes import Code
from hetorch.wire.limits import MAX_ANSWER_BYTES

FIRST_ANSWER_SECONDS = 60.0
"""Longest time for an answer before the server's own limit is known, in seconds: for the list of models and the public
plan, which a server has at hand."""
ANSWER_ROOM_SECONDS = 30.0
"""Time that a client waits beyond the server's limit for one request, in seconds, so that it sees the server's own
refusal and not a broken connection; a higher value only delays the report of a dead server."""
BUSY_STATUSES = (Code.BUSY.status, 429)
"""Statuses that ask for patience: busy, and too many requests. By the status: a proxy before the server, which has no
codes, may be busy too."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer. `first_byte` and `last_byte`: seconds from the start of the request until the answer's
    headers and its last byte had come."""

    body: bytes
    headers: httpx.Headers
    first_byte: float
    last_byte: float


class Transport:
    """Requests to one base address; a busy server (503, 429) is asked again until `timeout` seconds have passed.

    Many threads, or the tasks of one event loop, may use one transport.

    Args:
        url: base address, such as "http://127.0.0.1:8000" or "https://name:password@host"; InputError if it is none.
        timeout: seconds for making a request and for the head and the body of its answer, each. None for
            FIRST_ANSWER_SECONDS, and for as long as the server allows itself once that is known (follow_time_limit).
        credentials: token, headers and certificates; InputError if they cannot be used for this address.
        transport: sends the requests in place of httpx's own, for tests and recordings.
        driver: the way of waiting; in the caller's thread if left out.
        server: the name of what should run there, for messages.

    Attributes:
        url: the base address for messages, without name and password.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float | None,
        credentials: Credentials = NONE,
        transport: AnyTransport | None = None,
        driver: Driver | None = None,
        server: str = "`hetorch serve`",
    ) -> None:
        if timeout is not None and not timeout > 0:
            raise InputError(f"timeout must be a positive number of seconds, got {timeout!r}")
        address = ServerAddress.parse(url)
        self.url = address.url
        self._signed = address.auth is not None
        self._follows, self._knows_limit = timeout is None, False
        self._timeout = FIRST_ANSWER_SECONDS if timeout is None else timeout
        self._driver = driver or BlockingDriver()
        self._reached = False
        self._server = server
        headers = credentials.headers_for(address)
        self._token = headers.get("Authorization", "").removeprefix("Bearer ")
        options = HttpOptions(
            base_url=address.url,
            auth=address.auth,
            verify=credentials.tls(),
            trust_env=not address.is_loopback,  # a proxy cannot reach this machine's own loopback
            # A compressed answer could grow without bound.
            headers=headers | {"Accept-Encoding": "identity"},
            transport=transport,
        )
        try:
            self._http = self._driver.exchange(options)
        except InputError:
            raise
        except (ValueError, ImportError, httpx.InvalidURL) as error:
            raise InputError(
                "the proxy that the environment names (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY) cannot be used: "
                f"{without_user_information(str(error))}"
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the connections."""
        await self._http.close()

    async def pause(self, seconds: float) -> None:
        """Wait."""
        await self._driver.pause(seconds)

    def follow_time_limit(self, seconds: float) -> None:
        """Wait from now on as long as a server that allows itself `seconds` for one request, and some room.

        A timeout that the user chose stays.
        """
        if self._follows:
            self._timeout, self._knows_limit = seconds + ANSWER_ROOM_SECONDS, True

    @property
    def timeout(self) -> float:
        """The seconds that one request may take."""
        return self._timeout

    def late(self, asked: str, seconds: float, advice: str = "") -> RemoteError:
        """Return the error for an answer that did not come within so many seconds. `asked`: the request; `advice`: what
        to do, if not to let one request take longer."""
        if not advice:
            advice = "wait longer with timeout="
            if self._knows_limit:
                advice = f"the server allows itself less for a request: ask its owner, or {advice}"
        return RemoteError(f"the server at {self.url} did not answer {asked} within {seconds:g} s; {advice}")

    async def get(self, path: str, *, limit: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the body of an answer of at most `limit` bytes; RemoteError for anything else."""
        return (await self.send("GET", path, limit=limit)).body

    async def send(
        self,
        method: str,
        path: str,
        *,
        content: bytes | Body | None = None,
        headers: dict[str, str] | None = None,
        limit: int = MAX_ANSWER_BYTES,
        repeats: int = REPEATS,
    ) -> Answer:
        """Send one request and return its answer; in a block of `hurried`, only once.

        Args:
            method: the HTTP method.
            path: the path below the base address.
            content: the body.
            headers: more headers.
            limit: most bytes of the answer's body.
            repeats: times that the request is sent again if its connection breaks: 0 for one that does something each
                time that it comes. Without a connection it is sent again as often as REPEATS says, if this server was
                reached before.

        Raises:
            RemoteError: the server cannot be reached, is too slow or refuses, or its answer has more than `limit`
                bytes. The error has the HTTP status and the code of a refusal, where the answer has them.
        """
        sent = dict(headers or {})
        if content is not None:
            sent.setdefault("Content-Type", OCTETS)
        if isinstance(content, Body):
            sent["Content-Length"] = str(content.size)
        end = time.monotonic() + self._timeout
        broken = 0
        while True:
            left = time_left(self.url)
            seconds = self._timeout if left is None else min(self._timeout, left)
            attempt = Attempt(self.url, method, path, content, sent, limit, seconds, left)
            try:
                return await self._once(attempt)
            except _Unanswered as failure:
                again = repeats if failure.sent else REPEATS * self._reached
                if broken >= again or in_a_hurry():
                    raise failure.error from failure.error.__cause__
                pause, broken, error = pause_after_break(broken), broken + 1, failure.error
            except _Busy as busy:
                pause, error = busy.pause, busy.error
                if time.monotonic() + pause > end or in_a_hurry():
                    raise error from None
            left = time_left(self.url)
            if left is not None and pause > left:
                raise error from error.__cause__
            await self._driver.pause(pause)

    async def _once(self, attempt: Attempt) -> Answer:
        """Make one attempt; _Busy if the server is busy, _Unanswered without a connection or if it broke, RemoteError
        for any other failure."""
        try:
            reply = await self._http.once(attempt)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise self._failure(attempt, error) from error
        self._reached = True
        response, body = reply.response, reply.body
        if response.is_success and is_web_page(response, body):
            raise RemoteError(self._without_token(tell_web_page(self.url, body)), response.status_code)
        if reply.complete:
            return Answer(body, response.headers, reply.first_byte, reply.last_byte)
        raise self._refusal(reply, attempt.size)

    def _failure(self, attempt: Attempt, error: Exception) -> Exception:
        """Return the error for a request without an answer, made from one of httpx."""
        detail = without_user_information(str(error))
        asked = f"{attempt.method} {attempt.path}"
        told: Exception
        if isinstance(error, httpx.ProxyError):
            told = RemoteError(
                f"the proxy before {self.url} (HTTP_PROXY, HTTPS_PROXY or ALL_PROXY) makes no connection: {detail}"
            )
        elif isinstance(error, httpx.ConnectError) and "[SSL: WRONG_VERSION_NUMBER]" in str(error):
            told = RemoteError(
                f"the server at {self.url} does not speak TLS: is the port right? A server without TLS has an address "
                "with http://, over which everyone on the way reads what is not encrypted, such as the token"
            )
        elif isinstance(error, httpx.ConnectError) and "[SSL" in str(error):
            told = RemoteError(
                f"the server at {self.url} has no TLS that can be trusted: {error}; give the file of its root with "
                "verify= (hetorch predict --ca), and your own with cert= if it asks for one"
            )
        elif isinstance(error, httpx.ConnectError):
            refused = f"no server answers at {self.url}: {detail}; is {self._server} running?"
            told = _Unanswered(_caused(RemoteError(refused), error), sent=False)
        elif isinstance(error, httpx.TimeoutException):
            ends = attempt.left is not None and attempt.left <= attempt.seconds
            told = self.late(asked, attempt.seconds, "give the call a longer deadline=" if ends else "")
        else:
            broke = f"the connection to {self.url} broke during {asked}: {detail or type(error).__name__}"
            if self.url.startswith("http://") and not self._reached:
                broke += "; if the server speaks TLS, write https:// in the address"
            told = RemoteError(broke)
            if isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError):
                told = _Unanswered(_caused(told, error), sent=True)
        return told

    def _without_token(self, message: str) -> str:
        """Return a message without the token, which the other side may have repeated."""
        return message.replace(self._token, "…") if self._token else message

    def _refusal(self, reply: Reply, sent: int) -> Exception:
        status = reply.response.status_code
        stated = load_error(reply.body)
        if stated is None:
            message = tell_refusal(self.url, reply.response, reply.body, sent, signed=self._signed)
        else:
            message = f"the server at {self.url} says: {stated.sentence}"
        error = RemoteError(self._without_token(message), status, None if stated is None else stated.code)
        retry_after = reply.response.headers.get("retry-after", "")
        if status == Code.BUSY.status or (status in BUSY_STATUSES and retry_after):
            return _Busy(error, pause_when_busy(retry_after))
        return error


class _Busy(Exception):
    """The server is busy; ask again after `pause` seconds, or raise `error`."""

    def __init__(self, error: RemoteError, pause: float) -> None:
        super().__init__(str(error))
        self.error = error
        self.pause = pause


class _Unanswered(Exception):
    """There was no connection, or it broke when something was `sent`; `error` tells it."""

    def __init__(self, error: RemoteError, *, sent: bool) -> None:
        super().__init__(str(error))
        self.error = error
        self.sent = sent


def _caused(error: RemoteError, cause: Exception) -> RemoteError:
    error.__cause__ = cause
    return error
