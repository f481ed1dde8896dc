"""A TCP proxy that remembers every byte in both directions."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Recording:
    """The bytes that crossed the wire."""

    address: str
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    @property
    def everything(self) -> bytes:
        return bytes(self.sent) + bytes(self.received)


@contextlib.contextmanager
def recording_proxy(target: str) -> Iterator[Recording]:
    """Listen on a free port and pass everything on to `target` (http://host:port) until the block ends."""
    host, _, port = target.removeprefix("http://").rpartition(":")
    listener = socket.create_server(("127.0.0.1", 0))
    recording = Recording(f"http://127.0.0.1:{listener.getsockname()[1]}")

    def copy(source: socket.socket, sink: socket.socket, log: bytearray) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                log.extend(piece)
                sink.sendall(piece)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection((host, int(port)))
                pairs = ((near, far, recording.sent), (far, near, recording.received))
                threads = [threading.Thread(target=copy, args=pair, daemon=True) for pair in pairs]
                for thread in threads:
                    thread.start()
                threading.Thread(target=close, args=(threads, near, far), daemon=True).start()

    def close(threads: list[threading.Thread], *ends: socket.socket) -> None:
        for thread in threads:
            thread.join()
        for end in ends:
            end.close()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield recording
    finally:
        # close() alone does not wake a thread that waits in accept().
        with contextlib.suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)
