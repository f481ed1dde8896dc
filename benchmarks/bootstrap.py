"""Compare a bootstrap of all real slots with Lattigo's (through orion-fhe) and OpenFHE's, and time ours stage by stage.

Each peer has the settings that it documents for bootstrapping (benchmarks.peers). All bootstrap the same inputs, and
their results are compared. A peer takes more than 12 GB at a ring of 2^16, so they run one after the other; where less
is free, all are compared at the largest ring for which it is enough, of 2^13 at least: the same primes there, in all
slots, and no security. The JSON has for each side the levels that are left, the error of the worst slot, the bytes of
keys and the peak of memory.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.peers.environment import PeerMissingError
from benchmarks.peers.recipes import RECIPES
from benchmarks.peers.worker import PeerFailedError, Worker, start, start_ours
from benchmarks.turns import take_turns
from hetorch.machine_memory import available_memory

PEERS = ("lattigo", "openfhe")
PEER_BYTES = 18e9
"""Bytes of memory that must be free for a peer and ours at a ring of 2^16; half of them at half the ring."""
STAGES = ("bootstrap", "to_coefficients", "raise_modulus", "to_slots", "reduce")
MAX_ERROR = 2.0**-11
"""Largest accepted error of a slot, of values up to 1, and largest difference of two libraries' results. The standard
deviation of ours is 2^-18.1, and the sine is off by 2^-13.3 at 1."""
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


OURS = (Size(16, 14), Size(16, 15), Size(15, 14, 4), Size(15, 14, 6))
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
    if not precision["worst"] < MAX_ERROR:
        raise PeerFailedError(f"the result is wrong by {precision['worst']:.2g}")
    return precision


def compare(peer: str, size: Size, threads: int, ledger: Ledger, only: str) -> None:
    """Add the row of one peer, with the facts of both; PeerFailedError if its results are not ours."""
    title = f"{STAGES[0]}, {size.label}"
    if only not in f"{title} {peer}":
        return
    try:
        with start_ours("hetorch_bootstrap", threads) as ours:
            our_facts = ours.facts | set_up_ours(ours, size, ledger)
            with start(peer, f"{peer}_bootstrap", threads) as theirs:
                ledger.say(f"{theirs.title}: keys and matrices for {size.label}")
                theirs.set_up(size.options, seconds=SET_UP_SECONDS)
                facts = {**theirs.facts, **_agreement(theirs, ours)}
                row = take_turns(title, theirs, ours, STAGES[0], threads, seconds=0.0, least=2)
                sides = {"theirs": (theirs, facts), "ours": (ours, our_facts | ours.facts)}
                details = {s: {**f, "peak_bytes": w.peak_bytes()} for s, (w, f) in sides.items()}
                ledger.add(replace(row, details=details))
    except PeerMissingError as error:
        row = take_turns(title, None, None, STAGES[0], threads, peer=RECIPES[peer].title, reason=str(error))
        ledger.add(row)


def fitting(free: float) -> Size:
    """Return the size at which a peer is compared with so many bytes of free memory."""
    fits = (size for size in COMPARED if PEER_BYTES * 2.0 ** (size.log2_n - 16) <= free)
    return next(fits, COMPARED[-1])


def _agreement(theirs: Worker, ours: Worker) -> dict[str, Any]:
    """Return the errors of a peer's results, and their largest difference from ours."""
    inputs, our_results = (np.array(ours.call(name, None)) for name in ("inputs", "outputs"))
    results = np.array(theirs.call("outputs", None))
    worst, difference = (float(np.abs(results - other).max()) for other in (inputs, our_results))
    if not max(worst, difference) < MAX_ERROR:
        raise PeerFailedError(f"the results are wrong by {worst:.2g}, and {difference:.2g} from ours")
    return {
        "worst": worst,
        "deviation": float(np.std(results - inputs)),
        "difference_from_ours": difference,
    }


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
