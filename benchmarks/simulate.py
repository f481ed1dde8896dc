"""Compare hetorch.simulate with the model itself in PyTorch, on a batch of 256 samples, in turns on this machine.

Processor times are compared too: other work on the machine slows long calls more than short ones.

The networks are those of `scripts/bench ordinary`; a plan that it left is used, and otherwise one is compiled.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

import hetorch
from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.ordinary import plan_folder
from benchmarks.ordinary_networks import prepare, selected
from benchmarks.peers.environment import ROOT
from benchmarks.row import Row

SAMPLES = 256
"""Samples of a batch; a test set that is smaller is repeated."""
TURNS = 15
"""Turns of each side, after one that is not counted."""


def measure(name: str, threads: int) -> dict[str, Any]:
    """Return the times of all turns in milliseconds, of PyTorch and of both kinds of simulation."""
    torch.set_num_threads(threads)
    trained = prepare(name)
    plan = hetorch.Plan.load(plan_folder(trained))
    samples = np.resize(trained.samples, (SAMPLES, *trained.samples.shape[1:]))
    tensor = torch.from_numpy(samples)
    begun = time.perf_counter()
    plan.network()
    derive_s = time.perf_counter() - begun
    sides: dict[str, Callable[[], object]] = {
        "torch": lambda: trained.module(tensor),
        "without noise": lambda: hetorch.simulate(plan, samples, noise=False, progress=False),
        "with noise": lambda: hetorch.simulate(plan, samples, progress=False),
    }
    times: dict[str, Any] = {side: [] for side in sides}
    processor: dict[str, list[float]] = {side: [] for side in sides}
    with torch.no_grad():
        for turn in range(TURNS + 1):
            for side, run in sides.items():
                start, used = time.perf_counter(), time.process_time()
                run()
                if turn:
                    times[side].append(1e3 * (time.perf_counter() - start))
                    processor[side].append(time.process_time() - used)
    return times | {"processor": processor, "derive_s": derive_s}


def rows(title: str, threads: int, measured: dict[str, Any]) -> list[Row]:
    """Return a row for each kind of simulation."""
    made = []
    theirs = measured["torch"]
    for side in ("without noise", "with noise"):
        ratios = [a / b for a, b in zip(theirs, measured[side], strict=True)]
        medians = statistics.median(theirs), statistics.median(measured[side])
        used = {name: statistics.median(turns) for name, turns in measured["processor"].items()}
        facts: dict[str, object] = {
            "times_of_torch": medians[1] / medians[0],
            "processor_times_of_torch": used[side] / used["torch"],
            "derive_s": measured["derive_s"],
        }
        made.append(
            Row(
                f"{title}, {side}",
                *("PyTorch", torch.__version__, threads, *medians),
                *(medians[0] / medians[1], min(ratios), max(ratios), TURNS),
                details={"ours": facts},
            )
        )
    return made


def main() -> None:
    """Print two rows for each network and number of threads; each number has a process of its own."""
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(measure(sys.argv[2], int(sys.argv[3]))))
        return
    options = arguments(__doc__ or "", threads=(2, 1))
    ledger = Ledger("Simulation and PyTorch, 256 samples", options.json, options.markdown)
    for name, trained in selected(options.only, ledger.say):
        network = trained.network
        if not plan_folder(trained).is_dir():
            ledger.say(f"compile {network.title}")
            hetorch.compile(trained.module, trained.calibration).save(plan_folder(trained))
        for threads in options.threads:
            count = str(threads)
            environment = os.environ | {"HETORCH_NUM_THREADS": count, "OMP_NUM_THREADS": count}
            command = [sys.executable, "-W", "ignore", "-m", "benchmarks.simulate", "--alone", name, count]
            answer = subprocess.run(
                command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False
            )
            if answer.returncode:
                ledger.say(f"{network.title}: ended with status {answer.returncode}")
                continue
            for row in rows(network.title, threads, json.loads(answer.stdout.splitlines()[-1])):
                ledger.add(row)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
