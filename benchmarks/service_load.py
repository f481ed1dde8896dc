"""The load on a server: connections that send prepared requests, one after the other, and time the answers.

A process of its own, on sockets alone, so that its processor time, which it tells too, stays small beside the server's.
`python -m benchmarks.service_load OPTIONS` reads its options as JSON and prints a JSON line.
"""

from __future__ import annotations

import json
import resource
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

RECEIVE_BYTES = 256 << 10
"""Bytes read from a socket at once; more would not fit the kernel's buffer."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is asked of a server.

    Args:
        host, port: its address.
        head: the request line and headers without Content-Length, lines ended by CRLF.
        bodies: files with the bodies, sent in turn.
        connections: open connections; each has one request at a time.
        seconds: time after which no request is begun.
        requests: number of requests after which none is begun; None for no such limit.
    """

    host: str
    port: int
    head: str
    bodies: list[str]
    connections: int
    seconds: float
    requests: int | None = None

    def messages(self) -> list[bytes]:
        """Return the whole requests."""
        bodies = [Path(name).read_bytes() for name in self.bodies]
        return [f"{self.head}Content-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]


@dataclass(slots=True)
class _Connection:
    """One connection: what is left to send, and what has come of the answer."""

    socket: socket.socket
    left: memoryview
    begun: float
    head: bytearray = field(default_factory=bytearray)
    status: int = 0
    missing: int | None = None

    def send(self) -> None:
        """Send as much as the socket takes."""
        try:
            self.left = self.left[self.socket.send(self.left) :]
        except BlockingIOError:
            return

    def take(self, data: memoryview) -> bool:
        """Take a piece of the answer; True if it is complete."""
        if self.missing is None:
            self.head += data
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            lines = bytes(self.head[:end]).lower().split(b"\r\n")
            self.status = int(lines[0].split()[1])
            length = next(line for line in lines if line.startswith(b"content-length:"))
            self.missing = int(length.split(b":")[1]) - (len(self.head) - end - 4)
        else:
            self.missing -= len(data)
        return self.missing == 0


def run(load: Load) -> dict[str, object]:
    """Ask until the time or the number of requests is reached; return times in milliseconds and statuses."""
    messages = load.messages()
    selector = selectors.DefaultSelector()
    times: list[float] = []
    statuses: dict[int, int] = {}
    begun = 0
    buffer = memoryview(bytearray(RECEIVE_BYTES))
    start = time.perf_counter()
    cpu = time.process_time()
    last = start

    def begin(connected: socket.socket) -> None:
        """Send the next request on a connection, or close it if there is none."""
        nonlocal begun
        now = time.perf_counter()
        if now - start > load.seconds or (load.requests is not None and begun >= load.requests):
            selector.unregister(connected)
            connected.close()
            return
        connection = _Connection(connected, memoryview(messages[begun % len(messages)]), now)
        begun += 1
        connection.send()
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if connection.left else 0)
        selector.modify(connected, events, connection)

    for _ in range(load.connections):
        connected = socket.create_connection((load.host, load.port), 30)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setblocking(False)
        selector.register(connected, selectors.EVENT_READ)
        begin(connected)
    while selector.get_map():
        for key, events in selector.select():
            connection: _Connection = key.data
            if events & selectors.EVENT_WRITE:
                connection.send()
                if not connection.left:
                    selector.modify(connection.socket, selectors.EVENT_READ, connection)
            if not events & selectors.EVENT_READ:
                continue
            size = connection.socket.recv_into(buffer)
            if size == 0:
                raise ConnectionError("the server closed a connection with a request in progress")
            if connection.take(buffer[:size]):
                last = time.perf_counter()
                statuses[connection.status] = statuses.get(connection.status, 0) + 1
                if connection.status == 200:
                    times.append(1e3 * (last - connection.begun))
                begin(connection.socket)
    return {
        "times_ms": times,
        "statuses": statuses,
        "seconds": last - start,
        "cpu_seconds": time.process_time() - cpu,
        "peak_kilobytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }


if __name__ == "__main__":
    print(json.dumps(run(Load(**json.loads(sys.argv[1])))))
