"""Secrets of one round: kept in one place, never copied or shown, and overwritten when they are no longer needed."""

from __future__ import annotations

from hetorch.engine.random import wipe
from hetorch.federated.residues import Residues


class Secret:
    """Arrays and byte strings that belong to this object alone."""

    def __init__(self, *values: Residues | bytes) -> None:
        self._values = values

    @property
    def values(self) -> tuple[Residues | bytes, ...]:
        """The secrets; there are none after wipe()."""
        return self._values

    def array(self, index: int) -> Residues:
        """Return the array with this index."""
        value = self._values[index]
        assert not isinstance(value, bytes)
        return value

    def key(self, index: int) -> bytes:
        """Return the byte string with this index."""
        value = self._values[index]
        assert isinstance(value, bytes)
        return value

    def wipe(self) -> None:
        """Overwrite the secrets, and forget them."""
        values, self._values = self._values, ()
        for value in values:
            if isinstance(value, bytes):
                wipe(value)
            else:
                value.fill(0)

    def __del__(self) -> None:
        self.wipe()

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> str:
        raise TypeError("a secret of a round is never copied or pickled")
