"""An upload in pieces (`hetorch.wire.uploads`), which goes on where a connection or the server broke off."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hetorch.client.attempt import Body
from hetorch.client.remote_model import RemoteModel
from hetorch.client.retries import pause_after_break
from hetorch.errors import RemoteError, WireError
from hetorch.quantities import size_text
from hetorch.regular_files import open_regular
from hetorch.wire.codes import Code
from hetorch.wire.uploads import KEYS, UploadRequest

CHUNK_BYTES = 4 << 20
"""Bytes of one request; raised, fewer requests are made, and more is sent again after a broken connection."""
BREAKS = 6
"""Times that a request without progress is followed by another one. The pauses before them last 13 s together, in which
a server starts again; raised, a client tells later that it is gone."""
_PIECE_BYTES = 1 << 18
"""Bytes that are read, sent or hashed at a time. Raised, an upload takes more memory: the objects of HTTP requests that
are done hold their bytes until Python collects them."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file to be uploaded: `kind` is "keys" or "weights", `sha256` (hex) and `size` are those of its bytes."""

    kind: str
    path: Path
    sha256: str
    size: int

    @classmethod
    def of(cls, kind: str, path: Path) -> UploadedFile:
        """Read a file piece by piece for its hash; OSError if it cannot be read."""
        digest, size = hashlib.sha256(), 0
        with open_regular(path) as file:
            while piece := file.read(_PIECE_BYTES):
                digest.update(piece)
                size += len(piece)
        return cls(kind, path, digest.hexdigest(), size)

    def body(self, offset: int) -> Body:
        """Return the body of the next request, which is read as it is sent: WireError then if the file has become
        shorter, OSError if it cannot be read."""
        size = min(CHUNK_BYTES, self.size - offset)

        def pieces() -> Iterator[bytes]:
            left = size
            with open_regular(self.path) as file:
                file.seek(offset)
                while left:
                    piece = file.read(min(_PIECE_BYTES, left))
                    if not piece:
                        raise WireError(f"{self.path} was changed while it was uploaded; try again")
                    left -= len(piece)
                    yield piece

        return Body(size, pieces)


async def upload_in_pieces(
    remote: RemoteModel, file: UploadedFile, report: Callable[[int, int], None]
) -> str:
    """Upload a file; return the key id that the server answers. `report` is told the bytes that the server has, and
    all.

    After a broken connection the server is asked for the offset, and again while it starts; an upload that it has given
    up begins again.

    Raises:
        RemoteError: the server cannot be reached for some 13 s, or refuses.
        WireError: its answers are malformed, or the file changed.
        OSError: the file cannot be read.
    """
    request = UploadRequest(file.kind, file.sha256, file.size)
    state = await remote.begin_upload(request)
    best, breaks = -1, 0
    while True:
        if not 0 <= state.offset <= file.size:
            raise WireError(f"the server says it has {state.offset} bytes of an upload of {file.size}")
        report(state.offset, file.size)
        if state.offset > best:
            best, breaks = state.offset, 0
        try:
            answer = await remote.continue_upload(state, file.body(state.offset))
            if isinstance(answer, str):
                report(file.size, file.size)
                return answer
            state = answer
            continue
        except RemoteError as error:
            lost = error.status is None  # no answer: what was sent may have come or not
            if not lost and error.code not in (Code.UPLOAD_OFFSET, Code.UPLOAD_UNKNOWN):
                raise
            if breaks >= BREAKS:
                raise _broken_off(error, best, file.size) from error.__cause__
        await remote.pause(pause_after_break(breaks))
        breaks += 1
        try:
            if file.kind == KEYS and await remote.has_keys(
                file.sha256
            ):  # the answer to the last piece was lost
                return file.sha256
            state = await remote.begin_upload(request)
        except RemoteError as error:
            raise _broken_off(error, best, file.size) from error.__cause__


def _broken_off(error: RemoteError, sent: int, size: int) -> RemoteError:
    """Return an error of an upload of which `sent` of `size` bytes had come, which tells that it goes on there."""
    if error.status is not None or sent <= 0:
        return error
    return RemoteError(
        f"the upload broke off after {size_text(sent)} of {size_text(size)}, and the next try goes on from what the "
        f"server has kept: {error}"
    )
