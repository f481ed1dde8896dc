"""A party that a process of its own keeps for one round (`keeper`), as the mod sees it: a folder with a socket."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors.numpy import load, save

from hetorch.errors import RoundVoidError
from hetorch.federated.flower.keeper import OK, SOCKET
from hetorch.federated.flower.local_frames import read_frame, write_frame
from hetorch.federated.roster import Roster
from hetorch.federated.roster_file import dump_roster

_KEEPER = "hetorch.federated.flower.keeper"


@dataclass(frozen=True, slots=True)
class KeptParty:
    """A party in the middle of a round. Its states are used once: an answer cannot be asked for a second time."""

    folder: str

    @classmethod
    def begin(cls, roster: Roster, private_identity: bytes, number: int) -> tuple[KeptParty, bytes]:
        """Start the process, and return the party and its first message; InputError as Party and Party.begin."""
        folder = tempfile.mkdtemp(prefix="hetorch-party-")  # with mode 0700
        with subprocess.Popen(
            # Flower starts a process like this one for each message; the party ends with the one that starts them.
            [sys.executable, "-P", "-m", _KEEPER, folder, str(os.getppid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin and process.stdout
            write_frame(process.stdin, [dump_roster(roster).encode(), private_identity, b"%d" % number])
            message = _checked(read_frame(process.stdout))
        return cls(folder), message

    def receive(self, data: bytes) -> bytes:
        """Take what the aggregator sent, and return the party's next message; RoundVoidError if the round ends."""
        return self._ask(b"receive", data)

    def encrypt(self, update: dict[str, NDArray[Any]], sample_count: int) -> bytes:
        """Encrypt an update, and return the commitment; RoundVoidError if it does not fit the roster."""
        return self._ask(b"encrypt", save(update), b"%d" % sample_count)

    def finish(self, data: bytes) -> dict[str, NDArray[Any]]:
        """Take the shares of the sum, and return the means; RoundVoidError if they do not open it."""
        return load(self._ask(b"receive", data))

    def end(self) -> None:
        """Make the party forget the round, if it is in one."""
        try:
            self._ask(b"end")
        except RoundVoidError:
            return

    def _ask(self, *parts: bytes) -> bytes:
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.connect(str(Path(self.folder, SOCKET)))
                with connection.makefile("rwb") as stream:
                    write_frame(stream, parts)
                    return _checked(read_frame(stream))
        except (OSError, EOFError):
            raise RoundVoidError(
                "the round is void for this party: the process that held its secrets has ended", exposed=True
            ) from None


def _checked(answer: list[bytes]) -> bytes:
    """Return the bytes of an answer, or raise its error."""
    if answer[0] != OK:
        raise RoundVoidError(answer[1].decode(), exposed=bool(answer[2]))
    return b"".join(answer[1:])
