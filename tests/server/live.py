"""A server on a real socket in a thread of the test, for tests that look at single requests."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping

import uvicorn

from hetorch.server.app import insecure_app_beside_secrets
from hetorch.server.connections import ConnectionLimits, ready_protocol
from hetorch.server.run import address_of, bind
from hetorch.server.settings import CONNECTIONS, Settings
from hetorch.serving.models import ServedModel
from hetorch.serving.models.model_folder import ModelFolder


@contextlib.contextmanager
def live(
    models: Mapping[str, ServedModel], settings: Settings | None = None, folder: ModelFolder | None = None
) -> Iterator[str]:
    """Run a server with these models until the block ends; gives its address.

    The tests make keys in the same process, so the application is the one that does not isolate it.
    """
    bound = bind("127.0.0.1", 0)
    config = uvicorn.Config(
        insecure_app_beside_secrets(models, settings, folder),
        log_level="critical",
        lifespan="on",
        http=ready_protocol(ConnectionLimits(CONNECTIONS, CONNECTIONS)),  # as hetorch serve
        loop="asyncio",
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [bound]}, daemon=True)
    thread.start()
    deadline = time.monotonic() + 60
    while not server.started:
        assert thread.is_alive(), "the server ended"
        assert time.monotonic() < deadline, "the server did not start"
        time.sleep(0.01)
    try:
        yield address_of(bound)
    finally:
        server.should_exit = True
        thread.join(20)
        bound.close()
        assert not thread.is_alive()
