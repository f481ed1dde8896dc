"""Compare every kernel on every vector path of this processor with the portable path, in turns, on one thread.

Runs `benchmarks/kernels.cpp`, built with the C++ tests. A row is one kernel, ring degree and path. "Theirs" is the
portable path; a time is that of one call over all n elements.
"""

from __future__ import annotations

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.programs import build, rows
from benchmarks.row import Row


def read_row(cells: list[str]) -> Row:
    """Return the row of a line that the program prints.

    Its cells are the name, the path, both times, their ratio with its least and largest, and the repetitions.
    """
    name, path, *numbers, repetitions = cells
    theirs, ours, ratio, least, most = map(float, numbers)
    title = f"{name}, {path}"
    return Row(title, "portable path", "", 1, theirs, ours, ratio, least, most, int(repetitions))


def main() -> None:
    """Measure all rows and report each as it is measured; see --help."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Kernels against the portable path", options.json, options.markdown)
    for cells in rows(build("kernels"), options.only):
        ledger.add(read_row(cells))
    ledger.write()
    print(ledger.markdown())


if __name__ == "__main__":
    main()
