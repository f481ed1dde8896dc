"""Compare this checkout with another one of hetorch: operations and whole networks, ours against ours, in turns.

A change that should not cost time is held against the version before it: clone that into a folder of its own, run its
scripts/setup, and name the folder with --other. A ratio above 1 says that this checkout is faster.
"""

from __future__ import annotations

import shutil
import subprocess
from contextlib import ExitStack
from pathlib import Path

from benchmarks.arguments import arguments
from benchmarks.engine import SIZES, TITLES
from benchmarks.ledger import Ledger
from benchmarks.network_turns import compile_plan
from benchmarks.networks import NETWORKS, Prepared, prepare
from benchmarks.peers.worker import start_other_version, start_ours
from benchmarks.turns import take_turns

NETWORK_NAMES = ("cnn", "dense", "mlp", "lola", "lenet", "relu", "small")
COMPILE = """
import sys, hetorch
from benchmarks.networks import prepare
prepared = prepare(sys.argv[1])
hetorch.compile(prepared.module, prepared.calibration).save(sys.argv[2])
"""
"""The program with which another version compiles a network of a name, and saves the plan to a folder."""
ROTATIONS, MATRIX = 16, 512
"""Rotations that are hoisted together, and rows and columns of the dense matrix (at N = 2^14 with 40-bit primes)."""


def operation_rows(other: Path, threads: int, ledger: Ledger, only: str) -> None:
    """Add a row for each operation at each size."""
    for size in SIZES:
        options = {
            "log2_n": size.log2_n,
            "primes": size.primes,
            "prime_bits": size.prime_bits,
            "rotations": ROTATIONS,
            "matrix": MATRIX if (size.log2_n, size.prime_bits) == (14, 40) else 0,
        }
        names = {
            name: f"{size.label}: {title}"
            for name, title in TITLES.items()
            if name != "matrix" or options["matrix"]
        }
        names = {name: title for name, title in names.items() if only in title}
        if not names:
            continue
        with ExitStack() as stack:
            theirs = stack.enter_context(start_other_version("hetorch_operations", threads, other))
            ours = stack.enter_context(start_ours("hetorch_operations", threads))
            for worker in (theirs, ours):
                worker.set_up(options)
            for name, title in names.items():
                ledger.add(take_turns(title, theirs, ours, name, threads))


def network_rows(other: Path, threads: int, ledger: Ledger, only: str) -> None:
    """Add a row for each network, from the same weights: each version compiles its own plan, and runs it."""
    for name in NETWORK_NAMES:
        network = NETWORKS[name]
        if only not in network.title:
            continue
        prepared = prepare(name)
        plan, _ = compile_plan(prepared, ledger)
        with ExitStack() as stack:
            theirs = stack.enter_context(start_other_version("hetorch_network", threads, other))
            ours = stack.enter_context(start_ours("hetorch_network", threads))
            for worker, folder in ((theirs, _compiled_by(other, prepared)), (ours, plan)):
                worker.set_up({"plan": str(folder), "folder": str(prepared.folder)})
            ledger.add(take_turns(network.title, theirs, ours, "run", threads))


def _compiled_by(other: Path, prepared: Prepared) -> Path:
    """Return the folder of the plan that the other version compiles from the weights that this one has trained."""
    copy = other / "build" / "benchmarks" / prepared.folder.name
    copy.mkdir(parents=True, exist_ok=True)
    shutil.copy(prepared.folder / "weights.safetensors", copy)
    plan = copy / "plan.hetorch"
    shutil.rmtree(plan, ignore_errors=True)
    command = [other / ".venv" / "bin" / "python", "-c", COMPILE, prepared.network.name, plan]
    subprocess.run([str(part) for part in command], cwd=other, check=True)
    return plan


def main() -> None:
    """Print all rows as they come; see --help."""
    options = arguments(
        __doc__ or "", threads=(1,), more={"--other": "the other checkout, with its own .venv"}
    )
    ledger = Ledger("This version against another one", options.json, options.markdown)
    other = options.other.resolve()
    for threads in options.threads:
        operation_rows(other, threads, ledger, options.only)
        network_rows(other, threads, ledger, options.only)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
