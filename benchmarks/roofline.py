"""What the machine does at best, and how near the kernels come: shares of the peak rate and of the bandwidth.

`benchmarks/roofline.cpp`, built with the C++ tests; it needs AVX-512 IFMA. One thread. Other than elsewhere, a time is
the least of its repetitions: what the machine can do undisturbed. There is no peer; the shares stand in the details.
"""

from __future__ import annotations

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.programs import build, rows
from benchmarks.row import Row


def read_row(cells: list[str]) -> Row:
    """A line of the program: name, milliseconds, repetitions, what the value is, the value."""
    name, milliseconds, repetitions, column, value = cells
    details: dict[str, dict[str, object]] = {"ours": {column: float(value)}}
    return Row(
        name, "", "", 1, None, float(milliseconds), None, None, None, int(repetitions), details=details
    )


def main() -> None:
    """All rows, told as they come; see --help."""
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
