"""The aggregator as an ASGI application: a party sends the message of a step, and the answer comes when the step ends.

It is not trusted, and knows nobody but by their signatures. Whoever reaches it can see sizes and times, and take its
connections: put it behind a proxy with TLS and access control where strangers can.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from hetorch.errors import WireError
from hetorch.federated.aggregator import Aggregator
from hetorch.federated.http.running_round import RoundRefusal, RunningRound
from hetorch.federated.http.sizes import message_bytes
from hetorch.federated.roster import Roster
from hetorch.server.body import BodyBudget, check_content_type, read_body
from hetorch.server.disconnection import while_connected
from hetorch.server.guard import Guard
from hetorch.server.refusal import Refusal
from hetorch.serving.isolation import isolate
from hetorch.wire import addresses
from hetorch.wire.addresses import JSON, OCTETS
from hetorch.wire.codes import Code
from hetorch.wire.frame import Kind
from hetorch.wire.round_answers import RoundCode, dump_round_error

log = logging.getLogger("hetorch.aggregator")
T = TypeVar("T")

STEPS = {step.name.lower(): step for step in Aggregator.STEPS}
"""The steps by their names in addresses."""
IDLE_SECONDS = 30.0
"""Time between two pieces of a body, in seconds. Raised, a sender that hangs keeps its connection longer."""
CONFLICT = 409
MOST_DIGITS = 19
"""Digits of a round's number in an address; 2^63 has 19."""


def create_aggregator(roster: Roster, step_seconds: float) -> Starlette:
    """Make the application that runs the rounds of this roster, one at a time, for any ASGI server.

    From here on this process cannot import a module that knows secrets (`hetorch.serving.isolation`).

    Args:
        roster: the parties.
        step_seconds: longest time of a step, in seconds, within which each party must send something.

    Raises:
        SecretImportError: the process has loaded such a module already.
    """
    isolate()
    return insecure_aggregator_beside_secrets(roster, step_seconds)


def insecure_aggregator_beside_secrets(roster: Roster, step_seconds: float) -> Starlette:
    """Make the application without isolating its process, for tests that run parties beside it."""
    rounds = Rounds(roster, step_seconds)
    app = Starlette(
        routes=[
            Route(addresses.round_presence("{number}", "{party}"), rounds.attend, methods=["POST"]),
            Route(addresses.round_step("{number}", "{step}", "{party}"), rounds.take, methods=["POST"]),
        ],
        middleware=[Middleware(Guard, idle_timeout=IDLE_SECONDS)],
        exception_handlers={
            Refusal: _answer_refusal,
            RoundRefusal: _answer_round,
            WireError: _answer_malformed,
            HTTPException: _answer_router,
        },
    )
    app.router.redirect_slashes = False
    return app


class Rounds:
    """The rounds of one roster: the newest, and the one before it, whose last answer a party may still fetch."""

    def __init__(self, roster: Roster, step_seconds: float) -> None:
        self._roster = roster
        self._step_seconds = step_seconds
        self._rounds: dict[int, RunningRound] = {}
        # Each party may have one message under way, and send it again when a connection breaks.
        largest = max(message_bytes(roster, step) for step in Aggregator.STEPS)
        self._bodies = BodyBudget(2 * roster.party_count * largest)

    async def take(self, request: Request) -> Response:
        """Take what a party sends in a step, and answer when the step has ended."""
        number, party = self._number(request), self._party(request)
        step = STEPS.get(request.path_params["step"])
        if step is None:
            raise Refusal(Code.NO_SUCH_ADDRESS, f"a round has the steps {', '.join(STEPS)}")

        def use(data: bytes) -> tuple[RunningRound, bool]:
            running = self._receive(number, step, party, data)
            return running, running.has(step, party, data)

        running, is_party = await self._read(request, step, use)
        try:
            reply = await while_connected(request, running.reply(step, party))
        except ClientDisconnect:
            if is_party:  # anyone may ask for the answer of a step that is over
                running.lose(party)
            raise
        return Response(reply, media_type=OCTETS)

    async def attend(self, request: Request) -> Response:
        """Let a party wait for the end of a round, and know by its closed connection that it is gone.

        It sends its key, as in the first step: nobody else can come and go in its place.
        """
        number, party, step = self._number(request), self._party(request), Kind.ROUND_KEY

        def begin(key: bytes) -> RunningRound:
            running = self._receive(number, step, party, key)
            if not running.has(step, party, key):
                raise WireError(f"party {party} began round {number} with another key")
            return running

        running = await self._read(request, step, begin)
        try:
            await while_connected(request, running.attend(party))
        except ClientDisconnect:
            running.lose(party)
            raise
        return Response(b"", media_type=OCTETS)

    def _receive(self, number: int, step: Kind, party: int, data: bytes) -> RunningRound:
        running = self._rounds.get(number)
        if running is not None:
            running.receive(step, party, data)
            return running
        newest = max(self._rounds, default=-1)
        if number < newest:
            raise RoundRefusal(RoundCode.PASSED, f"round {number} is over; the newest one is {newest}")
        if step is not Kind.ROUND_KEY:
            raise RoundRefusal(RoundCode.NOT_BEGUN, f"round {number} has not begun")
        if newest >= 0 and not self._rounds[newest].ended.is_set():
            raise Refusal(Code.BUSY, f"round {newest} is still under way")
        running = RunningRound(self._roster, number, self._step_seconds)
        try:
            running.receive(step, party, data)
        except BaseException:
            running.abandon()  # only a party begins a round
            raise
        log.info("round %d begins", number)
        self._rounds = {n: r for n, r in self._rounds.items() if n == newest} | {number: running}
        return running

    async def _read(self, request: Request, step: Kind, use: Callable[[bytes], T]) -> T:
        """Read the body of a request as a message of `step`, and return what `use` makes of it."""
        check_content_type(request)
        length = message_bytes(self._roster, step)
        what = f"a message of the step {step.name.lower()}"
        with self._bodies.hold() as held:
            data = await read_body(
                request, held, smallest=length, largest=length, what=what, idle_timeout=IDLE_SECONDS
            )
            return use(bytes(data))

    def _number(self, request: Request) -> int:
        return _whole(request.path_params["number"], MOST_DIGITS, 1 << 63)

    def _party(self, request: Request) -> int:
        return _whole(request.path_params["party"], 5, self._roster.party_count)


def _whole(text: str, digits: int, end: int) -> int:
    """Return a number of an address; Refusal unless it is below `end`."""
    if not (text.isascii() and text.isdigit()) or len(text) > digits or int(text) >= end:
        raise Refusal(Code.NO_SUCH_ADDRESS, "the address names a round or a party that cannot be")
    return int(text)


async def _answer_refusal(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()


async def _answer_round(request: Request, error: Exception) -> Response:
    assert isinstance(error, RoundRefusal)
    return Response(dump_round_error(error.code, str(error)), CONFLICT, media_type=JSON)


async def _answer_malformed(request: Request, error: Exception) -> Response:
    log.warning("a message was refused: %s", error)
    return Refusal(Code.MESSAGE_MALFORMED, str(error)).response()


async def _answer_router(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    wrong_method = error.status_code == Code.METHOD_NOT_ALLOWED.status
    code = Code.METHOD_NOT_ALLOWED if wrong_method else Code.NO_SUCH_ADDRESS
    return Refusal(code, f"rounds take POST below {addresses.ROUNDS!r}, and nothing else").response()
