"""The aggregator's process on this machine: `python -m hetorch.federated.http.serve_rounds ROSTER READY SECONDS`.

It reads the roster (JSON), listens on a free port of the loopback interface, writes its address to the file READY, and
serves rounds until its standard input closes or it gets SIGINT or SIGTERM. A step lasts at most SECONDS.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from pathlib import Path

from hetorch.serving.isolation import isolate


def main(arguments: list[str]) -> int:
    """Return the exit code: 0, or 1 after an error, which is printed to standard error in one line."""
    isolate()  # before anything else is imported
    import logging

    from hetorch.errors import HetorchError
    from hetorch.federated.http.service import create_aggregator
    from hetorch.federated.roster_file import load_roster
    from hetorch.server.run import bind, ready_file, run, stopped_by_signals
    from hetorch.server.settings import Settings

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    roster_path, ready, seconds = arguments
    try:
        app = create_aggregator(load_roster(Path(roster_path).read_text()), float(seconds))
        threading.Thread(target=_end_with_the_parent, daemon=True).start()
        with stopped_by_signals(), bind("127.0.0.1", 0) as bound, ready_file(Path(ready)) as tell_ready:
            run(app, bound, Settings(shutdown_timeout=1.0), tell_ready)
    except (HetorchError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _end_with_the_parent() -> None:
    """Stop this process when nobody holds the other end of its standard input any more."""
    sys.stdin.read()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
