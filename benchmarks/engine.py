"""Compare CKKS operations with SEAL, OpenFHE and Lattigo, and whole networks with Orion, in one table.

All libraries have the same ring and the same number and size of data primes. Special primes and digits are each
library's own choice: SEAL has one special prime and one digit a prime, OpenFHE its default digits, Lattigo the special
primes of its published parameter sets; ours are chosen for the chain, within the security table. Each library runs in a
process and an environment of its own, bound to as many cores as it has threads. The two of a row take turns.
"""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.network_turns import ORION, network_rows
from benchmarks.networks import ENGINE_NETWORKS
from benchmarks.peers.environment import PeerMissingError
from benchmarks.peers.recipes import RECIPES
from benchmarks.peers.worker import PeerFailedError, Worker, start, start_ours
from benchmarks.turns import take_turns


@dataclass(frozen=True, slots=True)
class Size:
    """A ring, its data primes, and the digits and special primes that hetorch uses with them."""

    log2_n: int
    primes: int
    digit_size: int
    special_bits: tuple[int, ...]
    prime_bits: int = 40

    @property
    def label(self) -> str:
        """The words of a row; they name the size of the primes where one ring is measured with several."""
        several = len({s.prime_bits for s in SIZES if s.log2_n == self.log2_n}) > 1
        return f"N=2^{self.log2_n}, {self.primes} primes" + (f" of {self.prime_bits} bits" if several else "")


SIZES = (
    Size(13, 3, 1, (45,)),
    Size(14, 8, 2, (45, 45)),
    # Smaller primes leave room in the security table for four special ones, and so for digits of four.
    Size(14, 8, 4, (36,) * 4, prime_bits=35),
    Size(15, 15, 5, (45,) * 5),
    Size(16, 24, 12, (45,) * 12),
)

TITLES = {
    "rotate": "rotate",
    "multiply": "multiply + relinearise",
    "hoisted": "one of 16 hoisted rotations",
    "kept in QP": "one of 16 rotations kept in QP",
    "rescale": "rescale",
    "encode": "encode",
    "encrypt": "encode + encrypt (public key)",
    "decrypt": "decrypt + decode",
    "matrix": "dense 512x512 matrix-vector",
}
FRESH = ("encode", "encrypt")
PEERS: dict[int, dict[str, tuple[str, ...]]] = {
    13: {"seal": ("rotate", "multiply")},
    14: {
        "seal": ("rotate", "multiply", "rescale", *FRESH, "decrypt"),
        "openfhe": ("rotate", "multiply", "hoisted", "kept in QP", "rescale", *FRESH),
        "lattigo": ("rotate", "multiply", *FRESH, "matrix"),
    },
    15: {"seal": ("rotate",), "openfhe": ("rotate",), "lattigo": ("rotate",)},
    16: {"seal": ("rotate",), "openfhe": ("rotate", "hoisted", "kept in QP"), "lattigo": ("rotate",)},
}
"""For log2 of each ring degree, the operations that are compared with each peer."""
ROTATIONS, MATRIX = 16, 512
"""Number of hoisted rotations, and of rows of the dense matrix."""
MAX_ERROR = 1e-3
"""Largest accepted error of a rotated vector of values up to 1, at a scale of 2^35 or 2^40."""
THREADED = (15, 16)
"""log2 of the ring degrees at which our rotation on several threads is compared with one thread."""


def measure_size(size: Size, threads: int, ledger: Ledger, only: str) -> None:
    """Measure all rows of one size."""
    wanted = {
        peer: tuple(name for name in names if only in f"{TITLES[name]}, {size.label} {peer}")
        for peer, names in PEERS[size.log2_n].items()
    }
    names = {name for listed in wanted.values() for name in listed}
    if not names:
        return
    options = {
        "log2_n": size.log2_n,
        "primes": size.primes,
        "prime_bits": size.prime_bits,
        "rotations": ROTATIONS if names & {"hoisted", "kept in QP"} else 1,
        "matrix": MATRIX if "matrix" in names else 0,
    }
    with start_ours("hetorch_operations", threads) as ours:
        ledger.say(f"keys for {size.label}")
        ours.set_up(options)
        _check(ours)
        for peer, listed in wanted.items():
            if not listed:
                continue
            with ExitStack() as stack:
                theirs: Worker | None = None
                reason = ""
                try:
                    theirs = stack.enter_context(start(peer, f"{peer}_operations", threads))
                    ledger.say(f"{theirs.title}: keys for {size.label}")
                    theirs.set_up(options)
                    _check(theirs)
                except (PeerMissingError, PeerFailedError) as error:
                    theirs, reason = None, str(error)
                for name in listed:
                    title = f"{TITLES[name]}, {size.label}"
                    row = take_turns(
                        title, theirs, ours, name, threads, peer=RECIPES[peer].title, reason=reason
                    )
                    sides = {"theirs": theirs.facts if theirs else {}, "ours": ours.facts}
                    ledger.add(
                        replace(row, details={s: {"setting": f["setting"]} for s, f in sides.items() if f})
                    )


def measure_threads(size: Size, threads: int, ledger: Ledger, only: str) -> None:
    """Compare our rotation on several threads with our rotation on one."""
    title = f"{TITLES['rotate']}, {size.label}"
    if threads == 1 or only not in f"{title} hetorch":
        return
    options = {"log2_n": size.log2_n, "primes": size.primes, "prime_bits": size.prime_bits, "rotations": 1}
    with start_ours("hetorch_operations", 1) as one, start_ours("hetorch_operations", threads) as ours:
        for worker in (one, ours):
            worker.set_up(options)
            _check(worker)
        ledger.add(replace(take_turns(title, one, ours, "rotate", threads), peer="hetorch, one thread"))


def _check(worker: Worker) -> None:
    """Raise a PeerFailedError unless a rotation (and the matrix product, if any) decrypts to the right result."""
    for name in ("check", *(["check matrix"] if worker.facts.get("matrix") else [])):
        error = float(worker.call(name, None))
        if not error < MAX_ERROR:
            raise PeerFailedError(f"{name}: the result is wrong by {error:.2g}")


def main() -> None:
    """Print all rows as soon as they are there."""
    options = arguments(__doc__ or "")
    ledger = Ledger("CKKS operations, and networks against Orion", options.json, options.markdown)
    for threads in options.threads:
        for size in SIZES:
            ledger.guard(size.label, threads, partial(measure_size, size, threads, ledger, options.only))
            if size.log2_n in THREADED:
                ledger.guard(
                    size.label, threads, partial(measure_threads, size, threads, ledger, options.only)
                )
        for name in ENGINE_NETWORKS:
            # The second version of Orion needs 17 GB and a minute for LeNet, so it runs once.
            peers = ORION[:1] if name == "lenet" and threads != options.threads[0] else ORION
            ledger.guard(name, threads, partial(network_rows, name, threads, ledger, options.only, peers))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
