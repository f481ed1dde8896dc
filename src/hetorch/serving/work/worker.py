"""A worker process: it computes one request at a time, and stops at the next operation when it is told to."""

from __future__ import annotations

import contextlib
import select
import socket
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path

from hetorch.errors import MixupError, WireError
from hetorch.runtime.events import Event
from hetorch.serving.models.loaded_model import LoadedModel
from hetorch.serving.work.messages import Head, receive, send
from hetorch.serving.work.stored_files import StoredFiles
from hetorch.wire.codes import Code
from hetorch.wire.predict import dump_response, load_request

PROGRESS_SECONDS = 0.1
"""Time between two messages on the progress of a computation, in seconds. A lower value costs the server time for what
nobody sees."""
IDLE_SECONDS = 5.0
"""Time after which an idle worker closes deleted keys, in seconds. Raised, they stay mapped longer."""
CHECK_SECONDS = 1e-3
"""Time between two looks for a message of the server, in seconds, at operations that are shorter; a lower value asks
the system more often than a computation of microseconds can bear."""
MAX_TRACEBACK = 8000
"""Characters of a traceback that the server's log gets, the last ones."""
COMPUTE, CANCEL = "compute", "cancel"
"""Messages to a worker: compute, or stop at the next operation."""
PROGRESS, DONE, REFUSED, STOPPED, NO_MEMORY, FAILED = (
    "progress",
    "done",
    "refused",
    "stopped",
    "no_memory",
    "failed",
)
"""What a worker tells: the operations so far, and how a computation ended."""


MIXUP = "mixup"
"""The code of a refusal of bytes that were made for something else."""


class _Stop(Exception):
    """The server wants the computation no longer, or has gone."""


class Worker:
    """The worker at the other end of a connection to the server."""

    def __init__(self, connection: socket.socket, models: Mapping[str, LoadedModel], key_memory: int) -> None:
        self._connection = connection
        self._models = models
        self._files = StoredFiles(key_memory)
        self._poll = select.poll()
        self._poll.register(connection, select.POLLIN)

    def serve(self) -> None:
        """Compute what the server asks until it closes the connection, or memory runs out: a process whose memory is
        in pieces is better replaced."""
        while True:
            while not self._poll.poll(IDLE_SECONDS * 1000):
                self._files.close_deleted()
            message = receive(self._connection)
            if message is None:
                return
            head, body = message
            if head["do"] != COMPUTE:
                continue  # a cancellation that came when its computation had ended
            answer, content = self._answer(head, body)
            del message, body
            send(self._connection, answer, content)
            if answer["is"] == NO_MEMORY:
                return
            del answer, content

    def _answer(self, head: Head, body: bytearray) -> tuple[Head, bytes]:
        """Compute; return how it ended and the response."""
        run = _Run(self._connection, self._poll, tell=head["tell"])
        try:
            content, milliseconds = self._compute(head, body, run)
        except _Stop:
            return {"is": STOPPED, "at": run.done}, b""
        except MixupError as error:
            return {"is": REFUSED, "code": MIXUP, "what": error.what, "sentence": str(error)}, b""
        except WireError as error:
            return {"is": REFUSED, "code": Code.MESSAGE_MALFORMED, "sentence": str(error)}, b""
        except _Missing as missing:
            return {"is": REFUSED, "code": missing.code, "sentence": missing.reason}, b""
        except MemoryError:
            return {"is": NO_MEMORY, "at": run.done}, b""
        except Exception:
            return {"is": FAILED, "at": run.done, "traceback": traceback.format_exc()[-MAX_TRACEBACK:]}, b""
        return {"is": DONE, "milliseconds": milliseconds}, content

    def _compute(self, head: Head, body: bytearray, run: _Run) -> tuple[bytes, dict[str, float]]:
        start = time.perf_counter()
        model, key_id = self._models[head["model"]], head["key_id"]
        request = load_request(model.public, body)
        if request.key_id != key_id:
            raise WireError("the message changed since it was checked")
        weights = None
        with _told_as(Code.KEYS_MISSING):
            keys = self._files.load(model.key_kind, Path(head["keys"]), key_id)
        if model.weight_kind is not None:
            with _told_as(Code.WEIGHTS_MISSING):
                weights = self._files.load(model.weight_kind, Path(head["weights"]), key_id)
        parsed = time.perf_counter()
        run.check()
        result = model.run(keys, request.ciphertexts, weights, on_event=run.on_event)
        ran = time.perf_counter()
        content = dump_response(model.public, key_id, result, body)
        seconds = {"parse": parsed - start, "run": ran - parsed, "dump": time.perf_counter() - ran}
        return content, {step: value * 1e3 for step, value in seconds.items()}


class _Run:
    """One run, told to the server as it goes on, and stopped when the server writes or is gone."""

    def __init__(self, connection: socket.socket, poll: select.poll, *, tell: bool) -> None:
        self.done = 0
        self._connection = connection
        self._poll = poll
        self._next_check = 0.0
        self._next = time.monotonic() if tell else float("inf")

    def check(self) -> None:
        """Raise _Stop if there is a message: until a computation has ended, the server sends cancellations only."""
        if self._poll.poll(0):
            raise _Stop

    def on_event(self, event: Event) -> None:
        """Count an operation that has run."""
        self.done += 1
        now = time.monotonic()
        if now >= self._next_check:
            self._next_check = now + CHECK_SECONDS
            self.check()
        if now >= self._next:
            self._next = now + PROGRESS_SECONDS
            send(self._connection, {"is": PROGRESS, "done": self.done, "layer": event.place})


class _Missing(Exception):
    """Keys or weights that are not in their file, or not whole."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@contextlib.contextmanager
def _told_as(code: Code) -> Iterator[None]:
    """Tell a missing or damaged file of the block with this code."""
    try:
        yield
    except (OSError, WireError) as error:
        raise _Missing(code, str(error)) from None
