"""Compare whole networks on encrypted digits with TenSEAL, Orion and Concrete ML, and measure some of ours alone.

Both sides have the same trained weights and the same samples. Times are the server's, for one sample, without
encryption, transport and decryption. Each library runs in a process and an environment of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.network_turns import ORION, alone_row, network_rows
from benchmarks.networks import NETWORKS
from benchmarks.throughput import throughput_rows


@dataclass(frozen=True, slots=True)
class Line:
    """A network and its peers. With `once` it is measured with the first number of threads only, because the peer takes
    minutes; `least` is the smallest number of turns."""

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
KEY_LIMIT = 40_000_000
"""Largest size of the keys of the network without a peer, in bytes."""
ALONE_SAMPLES, FEWER_SAMPLES = 500, 50
"""Samples that the network without a peer is checked on, with the first number of threads and with the others. Fewer do
there, because the results have the same bits with any number of threads."""


def main() -> None:
    """Print all rows as soon as they are there."""
    options = arguments(__doc__ or "")
    ledger = Ledger(
        "Networks on encrypted digits, server time for one sample", options.json, options.markdown
    )
    for turn, threads in enumerate(options.threads):
        for line in LINES:
            if line.once and turn:
                continue
            action = partial(
                network_rows, line.network, threads, ledger, options.only, line.peers, line.least
            )
            ledger.guard(NETWORKS[line.network].title, threads, action)
        samples = FEWER_SAMPLES if turn else ALONE_SAMPLES
        alone = partial(alone_row, "relu", threads, ledger, options.only, samples, key_limit=KEY_LIMIT)
        ledger.guard(NETWORKS["relu"].title, threads, alone)
        throughput_rows(threads, ledger, options.only)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
