"""A party's side over HTTP: one round with an aggregator that `hetorch.federated.http.service` serves."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from hetorch.client.blocking import finish
from hetorch.client.credentials import NONE, Credentials
from hetorch.client.driver import AnyTransport
from hetorch.client.transport import Transport
from hetorch.errors import HetorchError, RemoteError, RoundVoidError
from hetorch.federated.aggregator import Aggregator
from hetorch.federated.http.sizes import most_reply_bytes
from hetorch.federated.party.encrypting import ReadyToEncrypt
from hetorch.federated.party.states import Party
from hetorch.federated.party.update import RoundResult
from hetorch.wire import addresses
from hetorch.wire.frame import Kind

TIMEOUT_SECONDS = 600.0
"""Longest wait for the other parties in one step, in seconds. It should be longer than the aggregator's own."""

VOID = "the round is void: "
"""The beginning of the sentence of a RoundVoidError."""


@dataclass(slots=True)
class Traffic:
    """Bytes of the bodies that a party has sent and received in a round."""

    up: int = 0
    down: int = 0


@dataclass(frozen=True, slots=True)
class AggregatorAddress:
    """The address of an aggregator, and how to reach it.

    Args:
        url: such as http://127.0.0.1:8000.
        timeout: longest wait for the answer to one message, in seconds.
        credentials: what a proxy before the aggregator asks for.
        transport: sends the requests in place of httpx's own, for tests.
    """

    url: str
    timeout: float = TIMEOUT_SECONDS
    credentials: Credentials = NONE
    transport: AnyTransport | None = field(default=None, repr=False)

    def connect(self) -> Transport:
        """Return a new transport to it."""
        return Transport(
            self.url,
            timeout=self.timeout,
            credentials=self.credentials,
            transport=self.transport,
            server="the aggregator",
        )


def take_part(
    party: Party,
    number: int,
    update: Mapping[str, Any],
    *,
    sample_count: int,
    aggregator: AggregatorAddress,
    before: Callable[[Kind], None] = lambda step: None,
    traffic: Traffic | None = None,
) -> RoundResult:
    """Take part in round `number`, and return the mean of the updates.

    Args:
        party: the roster, and this party's identity.
        number: the number of the round, which all parties count alike.
        update: arrays by name, as the roster has them.
        sample_count: the number of records behind the update.
        aggregator: whom to send to. It is not trusted.
        before: called before the message of each step is sent.
        traffic: counts the bytes of this round.

    Raises:
        RoundVoidError: the round ended without a sum, or this party is no longer in it, or the aggregator cannot be
            reached. If it is `exposed`, the same update must not be sent in another round.
        InputError: the update does not fit the roster.
    """
    count = Traffic() if traffic is None else traffic
    index = party.roster.identities.index(party.identity.public)
    state: Any
    state, message = party.begin(number)
    transport = aggregator.connect()
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: finish(transport.close()))
        for step in Aggregator.STEPS:
            before(step)
            if step is Kind.ROUND_KEY:
                presence = addresses.round_presence(number, index)
                stack.enter_context(_attending(aggregator, presence, message))
            with _void_without_answer(exposed=state.exposed):
                path = addresses.round_step(number, step.name.lower(), index)
                limit = most_reply_bytes(party.roster, step)
                reply = finish(transport.send("POST", path, content=message, limit=limit)).body
            count.up += len(message)
            count.down += len(reply)
            state = state.receive(reply)
            if isinstance(state, ReadyToEncrypt):
                state = state.encrypt(update, sample_count=sample_count)
            if isinstance(state, tuple):
                state, message = state
        assert isinstance(state, RoundResult)
        return state


@contextlib.contextmanager
def _void_without_answer(*, exposed: bool) -> Iterator[None]:
    """Turn the refusal or silence of an aggregator into the end of the round."""
    try:
        yield
    except RemoteError as error:
        sentence = str(error).rpartition(VOID)[2]
        # Whatever the aggregator says: an update that was sent may have arrived.
        raise RoundVoidError(f"{VOID}{sentence}", exposed=exposed) from error


@contextlib.contextmanager
def _attending(aggregator: AggregatorAddress, path: str, key: bytes) -> Iterator[None]:
    """Keep a connection open in the block, by which the aggregator knows that this party is there."""
    transport = aggregator.connect()

    def attend() -> None:
        with contextlib.suppress(HetorchError, RuntimeError):  # it was closed
            finish(transport.send("POST", path, content=key, repeats=0))

    thread = threading.Thread(target=attend, name="hetorch-presence", daemon=True)
    thread.start()
    try:
        yield
    finally:
        finish(transport.close())
