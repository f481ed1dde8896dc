"""Whoever reaches an aggregator without being a party can end nobody's part in a round."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from starlette.requests import ClientDisconnect, Request

from hetorch.federated import Identity, Party
from hetorch.federated.http.running_round import RunningRound
from hetorch.federated.http.service import Rounds
from hetorch.wire.frame import Kind
from tests.federated.rounds import roster_of


def test_a_stranger_comes_and_goes_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not a party's, for a step that is over, are answered; their end is not that of the party."""
    identities = [Identity.generate() for _ in range(4)]
    roster = roster_of(identities, {"w": np.zeros(3)}, 3)
    lost: list[int] = []

    def lose(self: RunningRound, party: int) -> None:
        lost.append(party)

    monkeypatch.setattr(RunningRound, "lose", lose)

    async def run() -> None:
        rounds = Rounds(roster, 60.0)
        begun = {index: Party(roster, identity).begin(1)[1] for index, identity in enumerate(identities)}
        for index, key in begun.items():
            running = rounds._receive(1, Kind.ROUND_KEY, index, key)
        for body in (begun[2], bytes(len(begun[2]))):
            with pytest.raises(ClientDisconnect):
                await rounds.take(leaving_request(body, 2))
        running.abandon()

    asyncio.run(run())
    assert lost == [2]


def leaving_request(body: bytes, party: int) -> Request:
    """A request of the first step, whose sender is gone once the body is sent."""
    messages: list[dict[str, Any]] = [
        {"type": "http.request", "body": body, "more_body": False},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, Any]:
        return messages.pop(0) if len(messages) > 1 else messages[0]

    headers = [(b"content-type", b"application/octet-stream"), (b"content-length", b"%d" % len(body))]
    place = {"number": "1", "step": "round_key", "party": str(party)}
    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "path_params": place}
    return Request(scope, receive)
