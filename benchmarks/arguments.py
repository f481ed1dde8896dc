"""The command-line options that every benchmark takes."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path


def arguments(
    description: str, *, threads: Sequence[int] | None = (1, 2), more: Mapping[str, str] | None = None
) -> argparse.Namespace:
    """Parse the options of a benchmark.

    Args:
        description: the text of --help.
        threads: the defaults of --threads; None where there is no such option.
        more: options of this benchmark alone that name a folder and must be given, each with its help.
    """
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
    for flag, description in (more or {}).items():
        parser.add_argument(flag, type=Path, required=True, metavar="FOLDER", help=description)
    return parser.parse_args()
