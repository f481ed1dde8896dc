"""Messages between the server and the processes that compute: a JSON head and raw bytes, each with its length.

Both ends are our own processes, but a worker parses what strangers send: the server reads its messages as those of a
process that may have been taken over. So nothing is unpickled, and lengths are checked before memory is taken.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any

from hetorch.errors import WireError

Head = dict[str, Any]

_LENGTHS = struct.Struct(">IQ")
MAX_HEAD_BYTES = 1 << 20
"""Longest head in bytes; a traceback, the longest content, is cut to less."""


def pack(head: Head, size: int = 0) -> bytes:
    """Return the beginning of a message that `size` raw bytes follow."""
    text = json.dumps(head).encode()
    return _LENGTHS.pack(len(text), size) + text


def send(connection: socket.socket, head: Head, body: bytes = b"") -> None:
    """Send one message; BrokenPipeError if the other end has closed."""
    beginning = pack(head, len(body))
    sent = connection.sendmsg([beginning, body])
    if sent < len(beginning):
        connection.sendall(beginning[sent:])
        sent = len(beginning)
    if sent - len(beginning) < len(body):
        connection.sendall(memoryview(body)[sent - len(beginning) :])


def receive(connection: socket.socket) -> tuple[Head, bytearray] | None:
    """Receive one message; None if the other end has closed, also within a message."""
    lengths = _exactly(connection, _LENGTHS.size)
    if lengths is None:
        return None
    head_size, size = _LENGTHS.unpack(lengths)
    _check(head_size)
    head = _exactly(connection, head_size)
    body = None if head is None else _exactly(connection, size)
    return None if head is None or body is None else (json.loads(head), body)


async def read(reader: asyncio.StreamReader, largest: int) -> tuple[Head, bytes] | None:
    """Read one message with at most `largest` raw bytes; None if the other end has closed, also within a message.

    Raises:
        WireError: it is longer, or no message.
    """
    try:
        head_size, size = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
        _check(head_size)
        if size > largest:
            raise WireError(f"a worker sent {size} bytes, at most {largest} were expected")
        head = json.loads(await reader.readexactly(head_size))
        body = await reader.readexactly(size) if size else b""
    except (asyncio.IncompleteReadError, ConnectionError):
        return None
    except (ValueError, RecursionError):
        raise WireError("a worker sent a head that is no JSON") from None
    if not isinstance(head, dict):
        raise WireError("a worker sent a head that is no JSON object")
    return head, body


def _check(head_size: int) -> None:
    if head_size > MAX_HEAD_BYTES:
        raise WireError(f"a message has a head of {head_size} bytes, at most {MAX_HEAD_BYTES} are read")


def _exactly(connection: socket.socket, size: int) -> bytearray | None:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        try:
            count = connection.recv_into(view[done:])
        except ConnectionError:
            return None
        if not count:
            return None
        done += count
    return data
