"""Rosters in files come back as they were, and nothing else is taken for one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import InputError
from hetorch.federated import Identity, Roster
from hetorch.federated.roster import ArrayBounds
from hetorch.federated.roster_file import dump_roster, load_roster

IDENTITIES = tuple(Identity.generate().public for _ in range(4))


@given(
    st.floats(1e-6, 1e6),
    st.lists(st.integers(0, 9), max_size=3),
    st.none() | st.floats(1e-3, 1e3),
    st.just(0.0) | st.floats(1e-6, 1),
    st.text(max_size=20),
)
def test_a_roster_comes_back(
    bound: float, shape: list[int], most_norm: float | None, noise: float, session: str
) -> None:
    arrays = (ArrayBounds("a", tuple(shape), bound), ArrayBounds("ö", (), 0.1))
    roster = Roster(session, IDENTITIES, 3, arrays, 100, 4, most_norm, noise)
    again = load_roster(dump_roster(roster))
    assert again == roster
    assert again.digest == roster.digest


CHANGES: dict[str, Any] = {
    "no JSON": lambda data: "{",
    "a list": lambda data: json.dumps([data]),
    "too deep": lambda data: "[" * 100_000,
    "too long": lambda data: json.dumps(data | {"session": "x" * (1 << 20)}),
    "no session": lambda data: json.dumps({name: data[name] for name in data if name != "session"}),
    "a threshold that is true": lambda data: json.dumps(data | {"threshold": True}),
    "a threshold that is no number": lambda data: json.dumps(data | {"threshold": "3"}),
    "a low threshold": lambda data: json.dumps(data | {"threshold": 2}),
    "a short identity": lambda data: json.dumps(data | {"identities": ["ab"] * 4}),
    "an array without a bound": lambda data: json.dumps(data | {"arrays": [["a", [1]]]}),
    "an infinite bound": lambda data: json.dumps(data | {"arrays": [["a", [1], 1e999]]}),
    "a number beyond all": lambda data: json.dumps(data).replace("100", "1" + "0" * 400),
}


@pytest.mark.parametrize("name", CHANGES)
def test_anything_else_is_refused(name: str) -> None:
    roster = Roster("s", IDENTITIES, 3, (ArrayBounds("a", (3,), 1.0),), 100)
    with pytest.raises(InputError):
        load_roster(CHANGES[name](json.loads(dump_roster(roster))))
