"""uvicorn's protocol with bounds: its parser in C, llhttp, takes heads of any length, and any number of requests before
the first is answered."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 64 << 10
"""Most bytes of a request's line, headers and trailers, of each counted HEADER_BYTES more. Raising it lets a connection
take more memory before any check."""
HEADER_BYTES = 32
"""Bytes that count for a header beside its name and value, as it takes them in memory."""
MAX_PIPELINED = 16
"""Requests that may wait on one connection behind the one that is answered; one more closes it. Raising it lets a
connection take more memory."""


class BoundedProtocol(HttpToolsProtocol):
    """HTTP/1 on one connection, with bounded heads, trailers and pipelines."""

    _head_bytes = 0
    _head_complete = False
    _body_came = False

    def data_received(self, data: bytes) -> None:
        before, self._body_came = self._head_bytes, False
        super().data_received(data)
        # The parser tells a header when it has all of it: until then its pieces count as they are.
        if not self._body_came and self._head_bytes == before:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes, self._head_complete = 0, False

    def on_url(self, url: bytes) -> None:
        self._count_head(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count_head(len(name) + len(value))
        # A trailer, which was not there when the headers were checked, is dropped.
        if not self._head_complete:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooMuch
        self._head_complete = True
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._body_came = True
        super().on_body(body)

    def send_400_response(self, msg: str) -> None:
        """Answer a malformed request, or close the connection where this would become part of another answer."""
        last = self.cycle
        if self.pipeline or (last is not None and last.response_started and not last.response_complete):
            self.transport.abort()
        else:
            super().send_400_response(msg)

    def _count_head(self, size: int) -> None:
        """Count bytes of a head and its trailers; the parser answers 400 to an exception."""
        self._head_bytes += size + HEADER_BYTES
        if self._head_bytes > MAX_HEAD_BYTES:
            raise _TooMuch

    def _unsupported_upgrade_warning(self) -> None:
        """Answer a request for a web socket as an ordinary one, without two lines in the log for each."""


class _TooMuch(Exception):
    """A head that is too long, or one request too many before the first is answered."""
