"""A process that keeps a party for one round, because Flower runs each message in a process of its own.

The secrets of a round are in this process's memory alone: states of a round are used once, and a state that a node's
state or a file kept could be used twice. The processes of a node reach it by a socket in a folder that only their user
may open. It ends with the round, after a wrong message, when the process that starts the node's messages has ended, or
when nobody has asked for MOST_IDLE_SECONDS.

Frames from the mod: a word, then its bytes. Answers: `ok` and bytes, or `error`, a sentence, and `exposed` if the
update has left.
"""

from __future__ import annotations

import os
import socket
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hetorch.errors import HetorchError, RoundVoidError
from hetorch.federated.flower.local_frames import read_frame, write_frame

if TYPE_CHECKING:
    from hetorch.federated.party.update import RoundResult

SOCKET = "party"
"""The name of the socket in the folder."""
MOST_IDLE_SECONDS = 24 * 3600
"""Seconds after which an idle keeper ends. Training longer than this between two messages makes the round void."""
_LOOK_SECONDS = 5
"""Seconds between looks for the process that starts the messages. A longer time lets secrets live on longer."""
OK, ERROR = b"ok", b"error"


def main() -> None:
    """Run the keeper: the roster, the identity and the number of the round come on stdin, its answer goes to stdout."""
    if os.fork():  # whoever started it waits for this process, and not for the keeper
        os._exit(0)
    os.setsid()
    from hetorch.engine.random import wipe
    from hetorch.federated.party.identity import Identity
    from hetorch.federated.party.states import Party
    from hetorch.federated.roster_file import load_roster

    folder, starter = Path(sys.argv[1]), int(sys.argv[2])
    roster, secret, number = read_frame(sys.stdin.buffer)
    try:
        identity = Identity.from_private_bytes(secret)
        wipe(secret)
        state, message = Party(load_roster(roster.decode()), identity).begin(int(number))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(folder / SOCKET))
            listener.listen()
            listener.settimeout(_LOOK_SECONDS)
            _answer_stdout([OK, message])
            _serve(listener, folder, starter, state)
    except HetorchError as error:
        _answer_stdout([ERROR, str(error).encode(), b""])
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    """Delete the socket and its folder, if they are there."""
    (folder / SOCKET).unlink(missing_ok=True)
    with suppress(FileNotFoundError):
        folder.rmdir()


def _answer_stdout(parts: list[bytes]) -> None:
    """Write the first answer, and close the pipes of whoever started this process."""
    write_frame(sys.stdout.buffer, parts)
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(null, descriptor)


def _next_connection(listener: socket.socket, starter: int) -> socket.socket | None:
    """Return the next connection; None if the process `starter` has ended, or nobody asks any more."""
    for _ in range(MOST_IDLE_SECONDS // _LOOK_SECONDS):
        with suppress(TimeoutError):
            return listener.accept()[0]
        try:
            os.kill(starter, 0)
        except ProcessLookupError:
            return None
        except PermissionError:  # it is there, and another user's
            continue
    return None


def _serve(listener: socket.socket, folder: Path, starter: int, state: Any) -> None:
    """Answer requests until the round ends, and delete the folder before the last answer."""
    while state is not None:
        connection = _next_connection(listener, starter)
        if connection is None:
            return
        with connection, connection.makefile("rwb") as stream:
            try:
                word, *parts = read_frame(stream)
            except EOFError:  # whoever asked has died before the question was whole
                continue
            try:
                state, answer = _next(state, word, parts)
            except HetorchError as error:
                exposed = b"exposed" if isinstance(error, RoundVoidError) and error.exposed else b""
                state, answer = None, [ERROR, str(error).encode(), exposed]
            if state is None:
                _remove(folder)
            write_frame(stream, answer)


def _next(state: Any, word: bytes, parts: list[bytes]) -> tuple[Any, list[bytes]]:
    """Return the next state, None at the end, and the answer."""
    from safetensors.numpy import load

    from hetorch.federated.party.update import RoundResult

    if word == b"end":
        return None, [OK]
    if word == b"encrypt":
        update, sample_count = parts
        state, message = state.encrypt(load(update), sample_count=int(sample_count))
        return state, [OK, message]
    found = state.receive(parts[0])
    if isinstance(found, RoundResult):
        return None, [OK, _dump(found)]
    if isinstance(found, tuple):
        return found[0], [OK, found[1]]
    return found, [OK, b""]


def _dump(result: RoundResult) -> bytes:
    """Encode the means of a round; the mod needs nothing else of its result."""
    from safetensors.numpy import save

    return save(dict(result.arrays))


if __name__ == "__main__":
    main()
