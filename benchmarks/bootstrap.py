"""Time a bootstrap at 128 bits of security, whole and stage by stage, with its levels, precision, keys and memory.

The peers of this comparison, Lattigo (in orion-fhe) and OpenFHE, are not among its workers yet, so the rows are ours.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.peers.worker import PeerFailedError, start_ours
from benchmarks.turns import take_turns

SLOTS = (1 << 14, 1 << 15)
"""Numbers of slots, of ring degree 2^16."""
STAGES = ("bootstrap", "to_coefficients", "raise_modulus", "to_slots", "reduce")
MAX_ERROR = 2.0**-11
"""Largest accepted error of a slot, of values up to 1. Its standard deviation is 2^-18.1."""


def measure(slots: int, threads: int, ledger: Ledger, only: str) -> None:
    """Measure all rows of one number of slots."""
    titles = {name: f"{name}, N=2^16, 2^{slots.bit_length() - 1} slots" for name in STAGES}
    wanted = [name for name in STAGES if only in titles[name]]
    if not wanted:
        return
    with start_ours("hetorch_bootstrap", threads) as ours:
        ledger.say(f"bootstrapping keys for 2^{slots.bit_length() - 1} slots")
        ours.set_up({"slots": slots})
        precision = ours.call("precision", None)
        if not precision["worst"] < MAX_ERROR:
            raise PeerFailedError(f"the result is wrong by {precision['worst']:.2g}")
        for name in wanted:
            row = take_turns(titles[name], None, ours, name, threads, seconds=10.0, least=3)
            if name == STAGES[0]:
                facts = {**ours.facts, **precision, "peak_bytes": ours.peak_bytes()}
                row = replace(row, details={"ours": facts})
            ledger.add(row)


def main() -> None:
    """Print all rows as soon as they are there."""
    options = arguments(__doc__ or "")
    ledger = Ledger("Bootstrapping", options.json, options.markdown)
    for threads in options.threads:
        for slots in SLOTS:
            label = f"2^{slots.bit_length() - 1} slots"
            ledger.guard(label, threads, partial(measure, slots, threads, ledger, options.only))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
