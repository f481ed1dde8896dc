"""A TCP proxy that keeps what crosses it, in both directions."""

from __future__ import annotations

import contextlib
import socket
import threading


class RecordingProxy:
    """Listens on a free port of this machine and connects to another; `recorded` has all bytes, by direction."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.up, self.down = bytearray(), bytearray()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                return
            for source, sink, kept in ((client, server, self.up), (server, client, self.down)):
                threading.Thread(target=_copy, args=(source, sink, kept), daemon=True).start()


def _copy(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(1 << 16):
            kept += data
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
