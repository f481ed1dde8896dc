"""Compare a bootstrap of all real slots with Lattigo's (through orion-fhe) and OpenFHE's, and time ours stage by stage.

Each peer has the settings that it documents for bootstrapping (benchmarks.peers). All bootstrap the same inputs, and
their results are compared. A peer takes up to 21 GB at a ring of 2^16, so the processes run one after the other: ours,
the peer's, and ours again. Where less is free, all are compared at the largest ring for which it is enough, of 2^13 at
least: the same primes there, in all slots, and no security. The JSON has for each side the levels that are left, the
error of the worst slot, the bytes of keys and the peak of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.bootstrap_comparison import Side, check_worst, comparison
from benchmarks.ledger import Ledger
from benchmarks.peers.environment import PeerMissingError
from benchmarks.peers.recipes import RECIPES
from benchmarks.peers.worker import Worker, start, start_ours
from benchmarks.turns import take_turns
from hetorch.machine_memory import available_memory

PEERS = ("lattigo", "openfhe")
PEER_BYTES = 21e9
"""Bytes of memory that must be free for a peer at a ring of 2^16; half of them at half the ring."""
THEIR_CALLS, OUR_CALLS = 3, 5
"""Bootstraps of a peer, and of ours before it and after it, that are timed. One more of each is not."""
STAGES = ("bootstrap", "to_coefficients", "raise_modulus", "to_slots", "reduce")
SET_UP_SECONDS = 3600
"""Most seconds for a peer's keys and matrices."""


@dataclass(frozen=True, slots=True)
class Size:
    """A ring and the number of slots, and the levels that our standard set there leaves; 0 for the set of 2^16, or its
    sizes of primes at a smaller ring."""

    log2_n: int
    log2_slots: int
    user_levels: int = 0

    @property
    def label(self) -> str:
        """The words of a row."""
        levels = f", {self.user_levels} levels" if self.user_levels else ""
        return f"N=2^{self.log2_n}, 2^{self.log2_slots} slots{levels}"

    @property
    def options(self) -> dict[str, int]:
        """The options of the workers."""
        return {"log2_n": self.log2_n, "slots": 1 << self.log2_slots, "user_levels": self.user_levels}


OURS = (Size(16, 14), Size(16, 15), Size(15, 14, 4), Size(15, 14, 8))
COMPARED = tuple(Size(log2_n, log2_n - 1) for log2_n in (16, 15, 14, 13))
"""The sizes at which peers are compared; the first that fits."""


def measure_ours(size: Size, threads: int, ledger: Ledger, only: str) -> None:
    """Measure our bootstrap and its stages."""
    wanted = [name for name in STAGES if only in f"{name}, {size.label} hetorch"]
    if not wanted:
        return
    with start_ours("hetorch_bootstrap", threads) as ours:
        precision = set_up_ours(ours, size, ledger)
        for name in wanted:
            row = take_turns(f"{name}, {size.label}", None, ours, name, threads, seconds=10.0, least=3)
            if name == STAGES[0]:
                facts = {**ours.facts, **precision, "peak_bytes": ours.peak_bytes()}
                row = replace(row, details={"ours": facts})
            ledger.add(row)


def set_up_ours(ours: Worker, size: Size, ledger: Ledger) -> dict[str, Any]:
    """Make our keys; return the errors of a result, or raise PeerFailedError if they are too large."""
    ledger.say(f"bootstrapping keys for {size.label}")
    ours.set_up(size.options)
    precision: dict[str, Any] = ours.call("precision", None)
    check_worst(precision["worst"], size.user_levels)
    return precision


def our_side(size: Size, threads: int, ledger: Ledger) -> Side:
    """Time ours in a process of its own; PeerFailedError if the results are wrong."""
    with start_ours("hetorch_bootstrap", threads) as worker:
        precision = set_up_ours(worker, size, ledger)
        side = _measured(worker, {**worker.facts, **precision}, OUR_CALLS)
        return replace(side, inputs=np.array(worker.call("inputs", None)))


def their_side(peer: str, size: Size, threads: int, ledger: Ledger) -> Side:
    """Time a peer in a process of its own; PeerMissingError if it is not installed."""
    with start(peer, f"{peer}_bootstrap", threads) as worker:
        ledger.say(f"{worker.title}: keys and matrices for {size.label}")
        worker.set_up(size.options, seconds=SET_UP_SECONDS)
        names = {"title": worker.title, "version": worker.version}
        return _measured(worker, {**worker.facts, **names}, THEIR_CALLS)


def _measured(worker: Worker, facts: dict[str, Any], calls: int) -> Side:
    results = np.array(worker.call("outputs", None))
    times = worker.times(STAGES[0], 1 + calls, seconds=SET_UP_SECONDS)[1:]
    return Side(tuple(times), results, {**facts, "peak_bytes": worker.peak_bytes()})


def compare(peer: str, size: Size, threads: int, ledger: Ledger, only: str) -> None:
    """Add the row of one peer, with the facts of both; PeerFailedError if its results are not ours."""
    title = f"{STAGES[0]}, {size.label}"
    if only not in f"{title} {peer}":
        return
    try:
        before = our_side(size, threads, ledger)
        theirs = their_side(peer, size, threads, ledger)
        after = our_side(size, threads, ledger)
    except PeerMissingError as error:
        row = take_turns(title, None, None, STAGES[0], threads, peer=RECIPES[peer].title, reason=str(error))
        ledger.add(row)
        return
    ledger.add(comparison(title, threads, before, theirs, after))


def fitting(free: float) -> Size:
    """Return the size at which a peer is compared with so many bytes of free memory."""
    fits = (size for size in COMPARED if PEER_BYTES * 2.0 ** (size.log2_n - 16) <= free)
    return next(fits, COMPARED[-1])


def main() -> None:
    """Print all rows as soon as they are there."""
    options = arguments(__doc__ or "")
    ledger = Ledger("Bootstrapping", options.json, options.markdown)
    for threads in options.threads:
        for size in OURS:
            ledger.guard(size.label, threads, partial(measure_ours, size, threads, ledger, options.only))
        for peer in PEERS:
            size = fitting(available_memory() or 0)
            title = f"{STAGES[0]}, {size.label}, {peer}"
            ledger.guard(title, threads, partial(compare, peer, size, threads, ledger, options.only))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
