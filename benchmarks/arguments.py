"""The command-line options that every benchmark takes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path


def arguments(description: str, *, threads: Sequence[int] | None = (1, 2)) -> argparse.Namespace:
    """Parse the options of a benchmark; `threads` are the defaults of --threads, None where it has no such option."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows as JSON")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables as Markdown")
    if threads is not None:
        parser.add_argument(
            "--threads",
            type=int,
            nargs="+",
            default=list(threads),
            metavar="N",
            help=f"numbers of threads; {' and '.join(map(str, threads))} unless given",
        )
    parser.add_argument(
        "--only", default="", metavar="TEXT", help="only rows whose name or peer holds this text"
    )
    return parser.parse_args()
