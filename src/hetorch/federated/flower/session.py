"""The roster of each round of a run: of the parties that are there, and bound to the joint model that they begin with.

A history is 32 bytes that stand for a joint model without telling it: a hash of the first model, then of the history
and the id of each round that gave a sum. It is a part of the session's name in the roster of a round, so parties that
begin with different models, which a server could have sent to single one of them out, have different rosters, and no
round.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.federated.roster import Roster


def first_history(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return the history of the model that a run begins with."""
    state = hashlib.sha256(b"hetorch first model")
    for name in sorted(arrays):
        array = arrays[name]
        head = json.dumps([name, array.dtype.str, list(array.shape)]).encode()
        state.update(len(head).to_bytes(4, "little") + head + array.tobytes())
    return state.digest()


def next_history(history: bytes, round_id: bytes) -> bytes:
    """Return the history of the joint model that the round with this id gave."""
    return hashlib.sha256(b"hetorch next model" + history + round_id).digest()


def roster_of_round(roster: Roster, history: bytes, parties: Iterable[int]) -> Roster:
    """Return the roster of a round.

    Args:
        roster: the one that people agreed on.
        history: that of the model that the round begins with.
        parties: the indices of those of its parties that are there. If some are missing, the threshold and the fewest
            contributors stay what they were, but for what so few can reach.

    Raises:
        InputError: there are fewer than 3 parties, or one is not in the roster.
    """
    there = sorted(set(parties))
    if len(there) < 3 or not 0 <= there[0] <= there[-1] < roster.party_count:
        raise InputError(
            f"a round has at least 3 of the {roster.party_count} parties of the roster, got {there}"
        )
    return replace(
        roster,
        session=f"{roster.session}\n{history.hex()}",
        identities=tuple(roster.identities[party] for party in there),
        threshold=min(roster.threshold, len(there) - 1),
        fewest_contributors=min(roster.fewest_contributors, len(there)),
    )
