"""A suite of about 1,900 small calls, as a test suite makes them, under TenSEAL and under hetorch.tenseal.

Set-up of contexts and keys counts as a test suite pays it. Each package runs in a process of its own, in turns by
group; TenSEAL is the one of the development environment.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from benchmarks.arguments import arguments
from benchmarks.machine import machine
from benchmarks.peers.tenseal_suite import GROUPS
from benchmarks.peers.worker import start_ours


@dataclass(frozen=True, slots=True)
class Row:
    """One group: its calls, and the seconds that either package takes for them all."""

    group: str
    threads: int
    calls: int
    tenseal: float
    hetorch: float

    def markdown(self) -> str:
        ratio = self.tenseal / self.hetorch
        return f"| {self.group} | {self.calls} | {self.tenseal:.2f} | {self.hetorch:.2f} | {ratio:.1f} |"


def measure(threads: int, only: str) -> list[Row]:
    """Return a row for each group, and one for all of them."""
    rows = []
    with start_ours("tenseal_suite", threads) as theirs, start_ours("tenseal_suite", threads) as ours:
        theirs.set_up({"package": "tenseal", "threads": threads})
        ours.set_up({"package": "hetorch.tenseal", "threads": threads})
        for group in GROUPS:
            if only not in group:
                continue
            there, here = (worker.call("run", group, seconds=3600) for worker in (theirs, ours))
            if there["calls"] != here["calls"]:
                raise RuntimeError(f"{group}: {there['calls']} calls and {here['calls']} are compared")
            rows.append(Row(group, threads, here["calls"], there["seconds"], here["seconds"]))
            print(rows[-1].markdown(), flush=True)
    totals = (
        sum(row.calls for row in rows),
        sum(row.tenseal for row in rows),
        sum(row.hetorch for row in rows),
    )
    rows.append(Row("all", threads, *totals))
    print(rows[-1].markdown(), flush=True)
    return rows


def main() -> None:
    """All groups, told as they come; see --help."""
    options = arguments(__doc__ or "", threads=(1,))
    head = "| group | calls | TenSEAL, s | hetorch.tenseal, s | ratio |\n|---|---|---|---|---|"
    print(head)
    rows = [row for threads in options.threads for row in measure(threads, options.only)]
    if options.json:
        options.json.write_text(
            json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=1)
        )
    if options.markdown:
        options.markdown.write_text("\n".join([head, *(row.markdown() for row in rows)]) + "\n")


if __name__ == "__main__":
    main()
