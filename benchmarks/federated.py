"""Training together against TenSEAL as NVFlare uses it: encrypt an update, add those of all parties, decrypt the sum.

Both sides run in turns, each in a process of its own, bound to as many cores as it has threads. TenSEAL has NVFlare's
parameters: N = 8192, [60, 40, 40], scale 2^40, one key for all parties. Our steps include the tags, hashes, signatures
and shares of the protocol. The times are of one party, and of the aggregator for all parties.
"""

from __future__ import annotations

import statistics
from contextlib import ExitStack
from functools import partial
from typing import Any

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.peers.environment import PeerMissingError
from benchmarks.peers.recipes import RECIPES
from benchmarks.peers.worker import PeerFailedError, Worker, start, start_ours
from benchmarks.row import Row

WEIGHTS = (10**5, 10**6, 10**7)
PARTIES = (4, 10)
STEPS = ("encrypt", "add", "decrypt")
TURNS = {10**5: 9, 10**6: 5, 10**7: 3}
"""Turns of each side. TenSEAL takes 20 s for a turn of 10^7 weights of ten parties."""
MAX_ERROR = {"theirs": 1e-4, "ours": 1e-9}
"""Largest accepted error of a mean of values up to 0.1. Ours is that of the fixed-point step."""
Turn = dict[str, Any]


def measure(weights: int, parties: int, threads: int, ledger: Ledger, only: str) -> None:
    """Add the rows of one number of weights and parties: each step, and all of them together."""
    label = f"10^{len(str(weights)) - 1} weights, {parties} parties"
    if only not in label:
        return
    options = {"weights": weights, "parties": parties, "threads": threads}
    with ExitStack() as stack:
        sides = {"ours": stack.enter_context(start_ours("hetorch_federated", threads))}
        sides["ours"].set_up(options)
        reason = ""
        try:
            sides["theirs"] = stack.enter_context(start("tenseal", "tenseal_federated", threads))
            sides["theirs"].set_up(options)
        except (PeerMissingError, PeerFailedError) as error:
            sides.pop("theirs", None)
            reason = str(error)
        # It comes first, in processes that have done nothing yet, and is the warm-up too.
        memory = {name: side.call("memory", None) for name, side in sides.items()}
        turns: dict[str, list[Turn]] = {name: [] for name in sides}
        for _ in range(TURNS[weights]):
            for name, side in sides.items():
                turns[name].append(_turn(name, side))
        empty = Row("", RECIPES["tenseal"].title, "", threads, None, None, None, None, None, 0, reason)
        if "theirs" in sides:
            empty = Row(
                "", sides["theirs"].title, sides["theirs"].version, threads, None, None, None, None, None, 0
            )
        for step in (*STEPS, "all three"):
            ledger.add(_row(f"{step}, {label}", step, empty, turns, memory))


def _turn(name: str, side: Worker) -> Turn:
    turn: Turn = side.call("round", None)
    if not turn["error"] < MAX_ERROR[name]:
        raise PeerFailedError(f"the mean of {name} is wrong by {turn['error']:.2g}")
    return {**turn, "all three": sum(turn[step] for step in STEPS)}


def _row(name: str, step: str, empty: Row, turns: dict[str, list[Turn]], memory: dict[str, Any]) -> Row:
    """Return the row of a step: medians, and the ratio of the medians with that of each pair of turns."""
    ours = [turn[step] for turn in turns["ours"]]
    theirs = [turn[step] for turn in turns.get("theirs", ())]
    ratios = [their / our for their, our in zip(theirs, ours, strict=False)]
    details = {}
    for side, taken in turns.items():
        if step == "encrypt":
            details[side] = {"bytes_up": taken[0]["bytes_up"], "bytes_down": taken[0]["bytes_down"]}
        if step in STEPS:
            details.setdefault(side, {})["peak_bytes"] = memory[side][step]
    return Row(
        name,
        empty.peer,
        empty.peer_version,
        empty.threads,
        statistics.median(theirs) if theirs else None,
        statistics.median(ours),
        statistics.median(theirs) / statistics.median(ours) if theirs else None,
        min(ratios, default=None),
        max(ratios, default=None),
        len(ours),
        empty.reason,
        details,
    )


def main() -> None:
    """Print all rows as they come; see --help."""
    options = arguments(__doc__ or "")
    ledger = Ledger("Training together, and TenSEAL as NVFlare uses it", options.json, options.markdown)
    for threads in options.threads:
        for weights in WEIGHTS:
            for parties in PARTIES:
                label = f"{weights} weights, {parties} parties"
                action = partial(measure, weights, parties, threads, ledger, options.only)
                ledger.guard(label, threads, action)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
