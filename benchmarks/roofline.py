"""Compare the kernels with the limits of the machine: their shares of the peak rate and of the memory's bandwidth.

Runs `benchmarks/roofline.cpp`, built with the C++ tests, on one thread; it needs AVX-512 IFMA. Unlike in other
benchmarks, a time is the least of its repetitions, that of the undisturbed machine. There is no peer; the details hold
the shares.
"""

from __future__ import annotations

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.programs import build, rows
from benchmarks.row import Row


def read_row(cells: list[str]) -> Row:
    """Return the row of a line that the program prints.

    Its cells are the name, the milliseconds, the repetitions, the meaning of the value, and the value.
    """
    name, milliseconds, repetitions, column, value = cells
    details: dict[str, dict[str, object]] = {"ours": {column: float(value)}}
    return Row(
        name, "", "", 1, None, float(milliseconds), None, None, None, int(repetitions), details=details
    )


def main() -> None:
    """Measure all rows and report each as it is measured; see --help."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Kernels against the machine's limits", options.json, options.markdown)
    for cells in rows(build("roofline")):
        row = read_row(cells)
        if options.only in row.name:
            ledger.add(row)
    if not ledger.rows:
        ledger.say("no AVX-512 IFMA here, or no such row")
    ledger.write()
    print(ledger.markdown())


if __name__ == "__main__":
    main()
