"""Whole networks on encrypted digits, against TenSEAL, Orion and Concrete ML, and ours alone.

Both sides have the same trained weights and the same samples. Times are of the server, for one sample; encryption,
transport and decryption are not in them. Each library runs in a process and an environment of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.ledger import Ledger
from benchmarks.measure import Row
from benchmarks.network_turns import ORION, alone_row, network_rows
from benchmarks.networks import NETWORKS
from benchmarks.output import arguments
from benchmarks.peers.worker import PeerFailedError
from benchmarks.throughput import throughput_rows


@dataclass(frozen=True, slots=True)
class Line:
    """A network and its peers. `once`: with the first number of threads only, because the peer takes minutes."""

    network: str
    peers: tuple[str, ...]
    least: int = 5
    once: bool = False


LINES = (
    Line("cnn", ("tenseal",)),
    Line("dense", ("tenseal",), least=3),
    Line("mlp", ORION),
    Line("lola", ORION),
    Line("lenet", ORION, least=3, once=True),
    Line("small", ("concrete",)),
)
ALONE_SAMPLES = 500


def guarded(ledger: Ledger, title: str, threads: int, action: Callable[[], None]) -> None:
    """A row that says what went wrong on our side, in place of the end of the run."""
    try:
        action()
    except (PeerFailedError, MemoryError) as error:
        ledger.add(Row(title, "", "", threads, None, None, None, None, None, 0, f"hetorch: {error}"))


def main() -> None:
    """All rows, told as they come; see --help."""
    options = arguments(__doc__ or "")
    ledger = Ledger(
        "Networks on encrypted digits, server time for one sample", options.json, options.markdown
    )
    for turn, threads in enumerate(options.threads):
        for line in LINES:
            if line.once and turn:
                continue
            guarded(
                ledger,
                NETWORKS[line.network].title,
                threads,
                lambda line=line, threads=threads: network_rows(  # type: ignore[misc]
                    line.network, threads, ledger, options.only, line.peers, line.least
                ),
            )
        guarded(
            ledger,
            NETWORKS["relu"].title,
            threads,
            lambda threads=threads: alone_row(  # type: ignore[misc]
                "relu", threads, ledger, options.only, ALONE_SAMPLES
            ),
        )
        throughput_rows(threads, ledger, options.only)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
