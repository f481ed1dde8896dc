"""Lengths in bytes of what crosses the wire in each step, which follow from the roster."""

from __future__ import annotations

from hetorch.federated.roster import Roster
from hetorch.federated.rounds import content_bytes
from hetorch.wire.frame import FrameLimits, Kind
from hetorch.wire.rounds import message_limits


def message_bytes(roster: Roster, step: Kind) -> int:
    """Return the length of what a party sends in this step: every honest one has it."""
    length = message_limits(step, content_bytes(roster, step)).largest
    return _bundle(length, roster.party_count - 1) if step is Kind.ROUND_SHARE else length


def most_reply_bytes(roster: Roster, step: Kind) -> int:
    """Return the largest length of the aggregator's answer to this step."""
    if step is Kind.ROUND_UPDATE:
        return message_limits(Kind.ROUND_SUM, content_bytes(roster, Kind.ROUND_SUM)).largest
    return _bundle(message_limits(step, content_bytes(roster, step)).largest, roster.party_count)


def _bundle(length: int, count: int) -> int:
    return FrameLimits(count, frozenset({length})).largest
