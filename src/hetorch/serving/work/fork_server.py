"""The fork server: a process that loads the models once and forks the workers, which share its memory.

A fork takes milliseconds, where a new process would load and encode for seconds, and all workers read the same encoded
weights: memory pages are copied only when a process writes to them. The fork server itself computes nothing for
clients and starts no thread, so what it forks is whole.

It is isolated like the server, ends when the server closes its connection, and ignores SIGINT and SIGTERM, which a
terminal or a service manager sends to the whole group: the server decides when its workers end.
"""

from __future__ import annotations

import contextlib
import gc
import os
import select
import signal
import socket
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from hetorch.errors import HetorchError, InsecureParametersWarning
from hetorch.serving.isolation import isolate
from hetorch.serving.models.loaded_model import LoadedModel, ModelSource, load
from hetorch.serving.work.messages import Head, pack, receive
from hetorch.serving.work.process_limits import limit_memory
from hetorch.serving.work.worker import Worker

ENCODED, READY, REFUSED, FORKED, ENDED = "encoded", "ready", "refused", "forked", "ended"
"""What a fork server tells: a fraction of a model's weights, that all are loaded, that one cannot be, a worker's
process id, and how a worker ended."""


def main(descriptor: int) -> None:
    """Load the models that the server names in its first message, and fork a worker for each further one."""
    isolate()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    warnings.simplefilter("ignore", InsecureParametersWarning)  # the server has warned
    with socket.socket(fileno=descriptor) as control:
        first = receive(control)
        if first is None:
            return
        try:
            models = dict(_load(control, first[0]))
        except HetorchError as error:
            control.sendall(pack({"is": REFUSED, "kind": type(error).__name__, "sentence": str(error)}))
            return
        gc.collect()
        gc.freeze()  # a collection in a worker would write to every object, and so copy it
        control.sendall(pack({"is": READY}))
        with contextlib.suppress(ConnectionError):  # the server is gone, and has left a message unread
            _fork_on_demand(control, models)


def _load(control: socket.socket, head: Head) -> Iterator[tuple[str, LoadedModel]]:
    for entry in head["models"]:
        source = ModelSource(**entry | {"folder": Path(entry["folder"])})

        def tell(fraction: float, name: str = source.name) -> None:
            control.sendall(pack({"is": ENCODED, "model": name, "fraction": fraction}))

        yield source.version, load(source, tell)


def _fork_on_demand(control: socket.socket, models: dict[str, LoadedModel]) -> None:
    """Fork a worker for each connection that comes, and tell which have ended, until the server is gone."""
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        readable, _, _ = select.select([control.fileno(), wake_read], [], [])
        if wake_read in readable:
            os.read(wake_read, 4096)
            with contextlib.suppress(ChildProcessError):
                while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                    control.sendall(pack({"is": ENDED, "pid": ended[0], "status": ended[1]}))
        if control.fileno() in readable:
            _, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            message = receive(control) if descriptors else None
            if message is None:
                return
            pid = os.fork()
            if pid == 0:
                _become_worker(descriptors[0], [control.fileno(), wake_read, wake_write], models, message[0])
            os.close(descriptors[0])
            control.sendall(pack({"is": FORKED, "pid": pid}))


def _become_worker(descriptor: int, foreign: list[int], models: dict[str, LoadedModel], head: Head) -> None:
    """Run a worker in this process, which was just forked, and end it."""
    code = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for other in foreign:
            os.close(other)
        limit_memory(head["memory"])
        with socket.socket(fileno=descriptor) as connection:
            Worker(connection, models, head["key_memory"]).serve()
        code = 0
    except BrokenPipeError:
        code = 0  # the server is gone
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(int(sys.argv[1]))
