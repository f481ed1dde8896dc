"""The aggregator: relays messages, adds encrypted updates, and knows no secret. It is not trusted with anything.

It has no clock: whoever runs it calls `receive` for what comes, and `close` when it has waited long enough for a step.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from hetorch.engine import _native
from hetorch.errors import RoundVoidError, WireError
from hetorch.federated.once import Once
from hetorch.federated.residues import Residues, add, new_sum, pack_sum
from hetorch.federated.roster import Roster
from hetorch.federated.rounds import (
    DIGEST_BYTES,
    agreement,
    beginning_id,
    dump_list,
    list_bytes,
    load_signed,
    load_signed_bundle,
    round_id,
)
from hetorch.quantities import count_text
from hetorch.wire.frame import Kind
from hetorch.wire.rounds import EVERYONE, RoundMessage, dump_bundle

Outgoing = Mapping[int, bytes]
"""A message for each of these parties, by index."""


@dataclass(frozen=True, slots=True)
class Aggregator:
    """One state of the aggregator: it waits for the messages of one step, from each party of `awaited`.

    A state is used once: `receive` and `close` return the next one. An error leaves the state as it was, so that bad
    messages can be ignored.
    """

    STEPS: ClassVar[tuple[Kind, ...]] = (
        Kind.ROUND_KEY,
        Kind.ROUND_SHARE,
        Kind.ROUND_COMMITMENT,
        Kind.ROUND_UPDATE,
        Kind.ROUND_AGREEMENT,
        Kind.ROUND_OPENING,
    )

    roster: Roster
    identifier: bytes
    step: Kind
    awaited: frozenset[int]
    received: Mapping[int, tuple[bytes, ...]] = field(default_factory=dict, repr=False)
    commitments: Mapping[int, bytes] = field(default_factory=dict, repr=False)
    total: Residues | None = field(default=None, repr=False, compare=False)
    agreement: bytes = b""
    _once: Once = field(default_factory=Once, init=False, repr=False, compare=False)

    @classmethod
    def begin(cls, roster: Roster, number: int) -> Aggregator:
        """Return the first state of round `number`: it awaits the keys of all parties."""
        everyone = frozenset(range(roster.party_count))
        return cls(roster, beginning_id(roster, number), Kind.ROUND_KEY, everyone)

    @property
    def missing(self) -> frozenset[int]:
        """The parties from which nothing has come in this step."""
        return self.awaited - self.received.keys()

    @property
    def needed(self) -> int:
        """The number of parties without which this step makes the round void."""
        if self.step in (Kind.ROUND_KEY, Kind.ROUND_SHARE):
            return self.roster.party_count
        if self.step in (Kind.ROUND_COMMITMENT, Kind.ROUND_UPDATE):
            return self.roster.fewest_contributors
        return self.roster.threshold

    def receive(self, data: bytes) -> Aggregator:
        """Take a party's message of this step, and return the next state.

        Raises:
            WireError: it is malformed, of another step or round, not signed by its sender, the second of this party,
                or an update other than the one that the party committed to. This state can still be used.
        """
        messages = self._parse(data)
        sender = messages[0].sender
        if sender not in self.awaited:
            raise WireError(f"party {sender} is no longer in this round: it sent nothing in an earlier step")
        if sender in self.received:
            raise WireError(f"party {sender} sent a second {self.step.name.lower()}; the first counts")
        self._check(messages[0])
        self._once.take()
        total = self.total
        if self.step is Kind.ROUND_UPDATE:
            total = new_sum(self.roster.block_count) if total is None else total
            try:
                add(total, messages[0].content)
            except WireError:
                self._once.give_back()
                raise
        kept = () if self.step is Kind.ROUND_UPDATE else tuple(message.dump() for message in messages)
        return replace(self, received={**self.received, sender: kept}, total=total)

    def close(self) -> tuple[Aggregator | None, Outgoing]:
        """End the step with what came, and return the next state, None at the end, and the messages to the parties.

        Raises:
            RoundVoidError: fewer parties than `needed` sent something. Its `exposed` is True once updates were awaited.
        """
        self._once.take()
        if len(self.received) < self.needed:
            count = count_text(len(self.received), "party", "parties")
            raise RoundVoidError(
                f"the round is void: in the step {self.step.name.lower()} {count} of {len(self.awaited)} sent "
                f"something, {self.needed} must; missing: {sorted(self.missing)}",
                exposed=self.STEPS.index(self.step) >= self.STEPS.index(Kind.ROUND_UPDATE),
            )
        place = self.STEPS.index(self.step) + 1
        if place == len(self.STEPS):
            return None, self._outgoing()
        following = replace(self, step=self.STEPS[place], received={})
        if self.step is Kind.ROUND_UPDATE:
            message, agreed = self._sum_message()
            return replace(following, agreement=agreed, total=None), dict.fromkeys(self.awaited, message)
        if self.step is Kind.ROUND_KEY:
            keys = {party: self._content(party) for party in self.received}
            following = replace(following, identifier=round_id(self.identifier, keys))
        if self.step is Kind.ROUND_COMMITMENT:
            commitments = {party: self._content(party) for party in self.received}
            following = replace(following, commitments=commitments, awaited=frozenset(commitments))
        return following, self._outgoing()

    def _parse(self, data: bytes) -> list[RoundMessage]:
        if self.step is not Kind.ROUND_SHARE:
            return [load_signed(self.roster, self.step, self.identifier, data)]
        count = self.roster.party_count - 1
        shares = load_signed_bundle(self.roster, self.step, self.identifier, data, range(count, count + 1))
        if len({share.sender for share in shares}) != 1:
            raise WireError("the message holds shares of several parties; each sends its own")
        return sorted(shares, key=lambda share: share.recipient)

    def _check(self, message: RoundMessage) -> None:
        """Raise WireError if an update is not what its party committed to, or if a party signed anything but the sum
        and the list that it was sent."""
        sender = message.sender
        if self.step is Kind.ROUND_UPDATE and message.digest != self.commitments[sender][:DIGEST_BYTES]:
            raise WireError(f"the update of party {sender} is not the one that it committed to")
        if self.step is Kind.ROUND_AGREEMENT and message.content != self.agreement:
            raise WireError(f"party {sender} signed another list of contributors, or another sum")

    def _content(self, party: int) -> bytes:
        (data,) = self.received[party]
        return bytes(load_signed(self.roster, self.step, self.identifier, data).content)

    def _sum_message(self) -> tuple[bytes, bytes]:
        """Return the message with the contributors and the sum, and what a party signs of it."""
        content = _native.pool_memory(list_bytes(self.roster) + self.roster.update_bytes).data
        names, packed = (
            content[: list_bytes(self.roster)],
            content[list_bytes(self.roster) :],
        )
        names[:] = dump_list(self.roster, self.received)
        assert self.total is not None  # an update came from at least one party
        pack_sum(packed, self.total)
        commitments = {party: self.commitments[party] for party in self.received}
        agreed = agreement(bytes(names), commitments, hashlib.sha256(packed).digest())
        message = RoundMessage(
            Kind.ROUND_SUM, self.roster.digest, self.identifier, EVERYONE, EVERYONE, content
        )
        return message.dump(), agreed

    def _outgoing(self) -> Outgoing:
        recipients = self.awaited if self.step is not Kind.ROUND_COMMITMENT else frozenset(self.received)
        if self.step is Kind.ROUND_SHARE:
            # A party's shares are in the order of their recipients, without itself.
            return {
                party: self._bundle(
                    [
                        shares[party - (party > sender)]
                        for sender, shares in self.received.items()
                        if sender != party
                    ]
                )
                for party in recipients
            }
        bundle = self._bundle(
            [message for party in sorted(self.received) for message in self.received[party]]
        )
        return dict.fromkeys(recipients, bundle)

    def _bundle(self, messages: list[bytes]) -> bytes:
        return dump_bundle(self.roster.digest, self.identifier, messages)
