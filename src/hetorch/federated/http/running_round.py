"""One round at an aggregator with a clock: a step ends when all have sent something, or at the end of its time."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from contextlib import suppress

from hetorch.errors import RoundVoidError, WireError
from hetorch.federated.aggregator import Aggregator, Outgoing
from hetorch.federated.roster import Roster
from hetorch.wire.frame import Kind
from hetorch.wire.round_answers import RoundCode

log = logging.getLogger("hetorch.aggregator")


class RoundRefusal(Exception):
    """A message that the round does not take, for a reason that is no fault of its form."""

    def __init__(self, code: RoundCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class RunningRound:
    """One round, in one event loop.

    Args:
        roster: the parties.
        number: the number of the round.
        step_seconds: longest time of a step, in seconds. A step ends before if nothing more can come: each party has
            sent something, or was silent in an earlier step, or its connections are closed.
    """

    def __init__(self, roster: Roster, number: int, step_seconds: float) -> None:
        self.number = number
        self.ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        self._state: Aggregator | None = Aggregator.begin(roster, number)
        self._step_seconds = step_seconds
        self._gone: set[int] = set()
        self._present: dict[int, asyncio.Event] = {}
        self._sent: dict[tuple[Kind, int], bytes] = {}
        self._replies: dict[Kind, asyncio.Future[Outgoing | RoundVoidError]] = {
            step: loop.create_future() for step in Aggregator.STEPS
        }
        self._timer = loop.call_later(step_seconds, self._close, Kind.ROUND_KEY)

    def abandon(self) -> None:
        """Stop the clock of a round that nobody began."""
        self._timer.cancel()

    def receive(self, step: Kind, party: int, data: bytes) -> None:
        """Take a message for `step`, which may have ended; the same bytes may come twice, if a connection broke.

        Raises:
            WireError: as Aggregator.receive.
            RoundRefusal: the round has not come to this step.
        """
        digest = hashlib.sha256(data).digest()
        if self._state is None or step is not self._state.step:
            if not self._replies[step].done():
                raise RoundRefusal(
                    RoundCode.NOT_BEGUN, f"round {self.number} has not come to the step {step.name.lower()}"
                )
            return
        if self._sent.get((step, party)) != digest:
            before, self._state = self._state.missing, self._state.receive(data)
            (sender,) = before - self._state.missing
            self._sent[step, sender] = digest
            self._gone.discard(sender)
            self._close_if_complete()
            if sender != party:
                raise WireError(f"the address names party {party}, the message is of party {sender}")
        else:
            self._gone.discard(party)

    def has(self, step: Kind, party: int, data: bytes) -> bool:
        """Return True if this is what the party sent in this step, in time."""
        return self._sent.get((step, party)) == hashlib.sha256(data).digest()

    async def attend(self, party: int) -> None:
        """Wait for the end of the round, for a party that is there as long as this waits."""
        self._present.setdefault(party, asyncio.Event()).set()
        await self.ended.wait()

    async def reply(self, step: Kind, party: int) -> bytes:
        """Wait for the end of `step`, and return the aggregator's answer.

        The first answer waits for the party's presence too: from then on its end is noticed.

        Raises:
            RoundRefusal: the round is void, or went on without this party.
        """
        if step is Kind.ROUND_KEY:
            with suppress(TimeoutError):
                await asyncio.wait_for(
                    self._present.setdefault(party, asyncio.Event()).wait(), self._step_seconds
                )
        outgoing = await asyncio.shield(self._replies[step])
        if isinstance(outgoing, RoundVoidError):
            raise RoundRefusal(RoundCode.VOID, str(outgoing))
        if party not in outgoing:
            raise RoundRefusal(RoundCode.PASSED, f"round {self.number} went on without party {party}")
        return outgoing[party]

    def lose(self, party: int) -> None:
        """Wait no longer for a party whose connections are closed; it counts again when it sends something."""
        if not self.ended.is_set():
            log.info("round %d: the connection of party %d is closed", self.number, party)
            self._gone.add(party)
            self._close_if_complete()

    def _close_if_complete(self) -> None:
        if self._state is not None and not self._state.missing - self._gone:
            self._close(self._state.step)

    def _close(self, step: Kind) -> None:
        state = self._state
        if state is None or state.step is not step:
            return
        self._timer.cancel()
        self._gone |= state.missing
        try:
            self._state, outgoing = state.close()
        except RoundVoidError as error:
            log.info("round %d: %s", self.number, error)
            self._state = None
            for reply in self._replies.values():
                if not reply.done():
                    reply.set_result(error)
            self.ended.set()
            return
        self._replies[step].set_result(outgoing)
        if self._state is None:
            self.ended.set()
            return
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._step_seconds, self._close, self._state.step)
