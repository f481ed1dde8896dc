"""A server for the notebooks: `hetorch serve` on this machine, in a process of its own."""

from __future__ import annotations

import atexit
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from hetorch import Plan
from hetorch.demo.child import python_child, wait_for_file

START_SECONDS = 60.0
"""Longest time that the server may take to start, in seconds."""


class LocalServer:
    """A server of one plan, from when the object is made until `stop` or the end of the notebook's kernel.

    Attributes:
        url: its address on this machine.
        command: the command that started it.
        server_folder: the folder of the server's files.
        client_folder: an empty folder, as on the client's machine.
    """

    def __init__(self, plan: Plan) -> None:
        self._exit = ExitStack()
        atexit.register(self.stop)
        folder = Path(self._exit.enter_context(TemporaryDirectory(prefix="hetorch-")))
        self.server_folder, self.client_folder = folder / "server", folder / "client"
        for one in (self.server_folder, self.client_folder):
            one.mkdir()
        saved = self.server_folder / f"{plan.name}.hetorch"
        plan.save(saved)
        ready, log = folder / "ready", folder / "log"
        arguments = ["serve", str(saved), "--port", "0", "--ready-file", str(ready)]
        self.command = f"hetorch serve {saved.name} --port 0"
        process = self._exit.enter_context(python_child("hetorch", arguments, log))
        self.url = wait_for_file(ready, process, log, START_SECONDS)

    def stop(self) -> None:
        """End the server and remove both folders."""
        self._exit.close()
