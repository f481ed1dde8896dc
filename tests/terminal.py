"""A terminal as the standard error of a process."""

from __future__ import annotations

import os
import pty
import subprocess
import sys


def at_terminal(code: str) -> str:
    """Run code with a terminal as its stderr; return what it shows there."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0, shown
    return shown.decode()
