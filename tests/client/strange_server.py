"""A server that answers as the test says."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Callable, Iterator

Reply = tuple[int, dict[str, str], bytes]


@contextlib.contextmanager
def strange_server(reply: Callable[[str], Reply]) -> Iterator[str]:
    """Run a server that answers every path with `reply(path)`; gives its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def answer(self) -> None:
            status, headers, body = reply(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": str(len(body))} | headers).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_PATCH = answer

        def log_message(self, format: str, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()
