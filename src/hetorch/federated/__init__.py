"""Training together: several data owners obtain the sum of their updates, and nobody sees one of them.

`Party` is a data owner's side; `Aggregator` relays and adds, and knows no secret. Both take bytes and return bytes: no
sockets and no clock. The names below are loaded when they are first used, so that a process with an aggregator loads no
code that knows secrets.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in _EXPORTS, for type checkers
    from hetorch.federated.aggregator import Aggregator as Aggregator
    from hetorch.federated.party.identity import Identity as Identity
    from hetorch.federated.party.states import Party as Party
    from hetorch.federated.party.update import RoundResult as RoundResult
    from hetorch.federated.roster import ArrayBounds as ArrayBounds
    from hetorch.federated.roster import Roster as Roster

_EXPORTS = {
    "Aggregator": "hetorch.federated.aggregator",
    "ArrayBounds": "hetorch.federated.roster",
    "Identity": "hetorch.federated.party.identity",
    "Party": "hetorch.federated.party.states",
    "Roster": "hetorch.federated.roster",
    "RoundResult": "hetorch.federated.party.update",
}
"""The module that defines each public name."""

__all__ = list(_EXPORTS)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it."""
        if name not in _EXPORTS:
            raise AttributeError(f"module 'hetorch.federated' has no attribute {name!r}")
        return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
