"""TenSEAL's interface here against TenSEAL: each operation, its tutorials' network and matrix products.

The same calls on the same values, at the parameters of TenSEAL's tutorials. Each package runs in a process of its own,
bound to as many cores as it has threads.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.peers.environment import PeerMissingError
from benchmarks.peers.recipes import RECIPES
from benchmarks.peers.tenseal_calls import CALLS
from benchmarks.peers.worker import PeerFailedError, Worker, start, start_ours
from benchmarks.turns import take_turns


@dataclass(frozen=True, slots=True)
class Parameters:
    """N = 8192 in all of them. `largest`: the calls of seconds that are timed here, beside all of the others."""

    name: str
    bits: tuple[int, ...]
    scale: float
    worst_error: float
    largest: tuple[str, ...]


PARAMETERS = (
    Parameters("[60,40,40,60]", (60, 40, 40, 60), 2.0**40, 1e-5, ("mm 256 x 64", "mm 784 x 128")),
    # With primes this small TenSEAL itself is off by up to 75 % (docs/migrating-from-tenseal.md).
    Parameters("[40,21x6,40]", (40, *[21] * 6, 40), 2.0**21, 1.0, ()),
    Parameters(
        "[31,26x6,31]",
        (31, *[26] * 6, 31),
        2.0**26,
        0.05,
        ("mm 256 x 64", "CNN of the tutorial", "784-128-10 by mm"),
    ),
)
"""`worst_error`, of a product of vectors, holds for both."""
SLOW = {name for parameters in PARAMETERS for name in parameters.largest}
SECONDS = 1.2
"""For each row, and `least` turns of each side: TenSEAL takes up to 20 s for one of the largest calls."""


def measure(parameters: Parameters, threads: int, ledger: Ledger, only: str) -> None:
    """All rows of one set of parameters."""
    names = [name for name in CALLS if name not in SLOW or name in parameters.largest]
    names = [name for name in names if only in f"{name}, {parameters.name}"]
    if not names:
        return
    options = {"bits": list(parameters.bits), "scale": parameters.scale, "threads": threads}
    with ExitStack() as stack:
        ours = stack.enter_context(start_ours("tenseal_calls", threads))
        ours.set_up({"package": "hetorch.tenseal", **options})
        _check(ours, parameters)
        theirs: Worker | None = None
        reason = ""
        try:
            theirs = stack.enter_context(start("tenseal", "tenseal_calls", threads))
            theirs.set_up({"package": "tenseal", **options})
            _check(theirs, parameters)
        except (PeerMissingError, PeerFailedError) as error:
            theirs, reason = None, str(error)
        for name in names:
            row = take_turns(
                f"{name}, {parameters.name}",
                theirs,
                ours,
                name,
                threads,
                peer=RECIPES["tenseal"].title,
                reason=reason,
                seconds=SECONDS,
                least=1 if name in SLOW else 3,
            )
            ledger.add(row)


def _check(worker: Worker, parameters: Parameters) -> None:
    error = float(worker.call("check", None))
    if not error < parameters.worst_error:
        raise PeerFailedError(f"a product is wrong by {error:.2g}")


def main() -> None:
    """All rows, told as they come; see --help."""
    options = arguments(__doc__ or "")
    ledger = Ledger("hetorch.tenseal and TenSEAL", options.json, options.markdown)
    for threads in options.threads:
        for parameters in PARAMETERS:
            action = partial(measure, parameters, threads, ledger, options.only)
            ledger.guard(parameters.name, threads, action)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
