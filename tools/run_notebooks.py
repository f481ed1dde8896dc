"""Runs the notebooks: `run_notebooks.py [--short] [--out FOLDER] notebooks/*.md`. Exits 1 at the first failure.

A notebook is a MyST Markdown file, read by jupytext. Every cell runs, in order, in the folder of the notebook and with
the interpreter that runs this. With --out, the notebook with its outputs is written there as NAME.ipynb. With --short,
a cell that has the metadata `short` runs that code in place of its own:

    ```{code-cell} ipython3
    ---
    short: EPOCHS = 1
    ---
    EPOCHS = 10
    ```
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
"""Escape sequences of terminals, with which IPython colours tracebacks."""
SECONDS = 600
"""Longest time of one cell, in seconds."""


def read(path: Path, *, short: bool = False) -> Any:
    """Return the notebook of a file; with `short`, with the short code of the cells that have one."""
    notebook = jupytext.read(path)
    for cell in notebook.cells if short else ():
        cell.source = cell.metadata.get("short", cell.source)
    return notebook


def run(path: Path, *, short: bool = False, out: Path | None = None) -> int:
    """Run the cells of a notebook, and return the number of cells of code.

    A notebook that fails is written to `out` as well, as far as it came.

    Raises:
        CellExecutionError: a cell failed; the message holds its code and the traceback.
    """
    notebook = read(path, short=short)
    folder = {"metadata": {"path": str(path.parent)}}
    try:
        # By default a kernel listens on ports of this machine, where any of its users could send it code.
        with TemporaryDirectory() as private:
            sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{private}/kernel"}})
            # Of a line that is written over, the outputs have the last text.
            client = NotebookClient(
                notebook, timeout=SECONDS, resources=folder, config=sockets, coalesce_streams=True
            )
            client.execute()
    finally:
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            (out / f"{path.stem}.ipynb").write_text(nbformat.writes(notebook), encoding="utf-8")
    return sum(cell.cell_type == "code" for cell in notebook.cells)


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if every cell of every notebook ran."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--short", action="store_true", help="run the short form of the cells that have one")
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="write the notebooks with their outputs there"
    )
    parser.add_argument("notebooks", type=Path, nargs="+", metavar="NOTEBOOK")
    options = parser.parse_args(arguments)
    for path in options.notebooks:
        try:
            count = run(path.resolve(), short=options.short, out=options.out)
        except CellExecutionError as error:
            print(f"{path}: {COLOURS.sub('', str(error))}", file=sys.stderr)
            return 1
        print(f"{path}: {count} cells ran", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
