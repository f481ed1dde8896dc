"""A roster as JSON, for people to exchange and compare. Nothing in it is secret."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hetorch.errors import InputError
from hetorch.federated.roster import ArrayBounds, Roster

MOST_BYTES = 1 << 20
"""Most bytes of a roster that are read; one of a thousand parties and as many arrays has less."""


def dump_roster(roster: Roster) -> str:
    """Return the roster as JSON in one line; its numbers come back bit by bit."""
    return json.dumps(
        {
            "session": roster.session,
            "identities": [identity.hex() for identity in roster.identities],
            "threshold": roster.threshold,
            "arrays": [[array.name, list(array.shape), array.bound] for array in roster.arrays],
            "most_samples": roster.most_samples,
            "fewest_contributors": roster.fewest_contributors,
            "most_norm": roster.most_norm,
            "noise": roster.noise,
        }
    )


def load_roster(text: str) -> Roster:
    """Return the roster that dump_roster wrote; InputError for anything else, and for one that no Roster may be.

    Compare its `digest` with the others': who sent it may have changed it.
    """
    if len(text) > MOST_BYTES:
        raise InputError(f"a roster has at most {MOST_BYTES} bytes, this one has {len(text)}")
    try:
        return _roster(json.loads(text))
    except InputError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, OverflowError) as error:
        raise InputError(f"this is no roster as hetorch writes it: {type(error).__name__}: {error}") from None


def _roster(data: Mapping[str, Any]) -> Roster:
    most_norm = data["most_norm"]
    return Roster(
        session=_text(data["session"]),
        identities=tuple(bytes.fromhex(_text(identity)) for identity in data["identities"]),
        threshold=_whole(data["threshold"]),
        arrays=tuple(
            ArrayBounds(_text(name), tuple(map(_whole, shape)), float(bound))
            for name, shape, bound in data["arrays"]
        ),
        most_samples=_whole(data["most_samples"]),
        fewest_contributors=_whole(data["fewest_contributors"]),
        most_norm=None if most_norm is None else float(most_norm),
        noise=float(data["noise"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{value!r} is no whole number")
    return value
