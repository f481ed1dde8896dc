"""States that can be used once: what a party sends twice, about one secret, could reveal it."""

from __future__ import annotations

import os

from hetorch.errors import SpentStateError


class Once:
    """A permission that one caller gets, whatever threads do, in the process that made it. It cannot be copied or
    pickled, and so a state that has one cannot either; a forked process has a copy that permits nothing."""

    def __init__(self) -> None:
        self._left = [True]
        self._process = os.getpid()

    def take(self) -> None:
        """Use the permission; SpentStateError if it was used before, or belongs to another process."""
        if os.getpid() != self._process:
            raise SpentStateError(
                "this state of the round belongs to the process that this one was forked from, which may use it too; "
                "go on with the round there"
            )
        try:
            self._left.pop()
        except IndexError:
            raise SpentStateError(
                "this state of the round was used before; go on with the state that it returned, or begin a new round"
            ) from None

    def give_back(self) -> None:
        """Undo `take`, for its caller, who has done nothing with the permission."""
        self._left.append(True)

    def __reduce__(self) -> str:
        raise TypeError("a state of a round is used once and never copied")
