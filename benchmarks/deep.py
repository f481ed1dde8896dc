"""Compile deep networks with bootstraps and run them encrypted: times of every kind of step, memory, keys, classes.

Every network is compiled in a process of its own, so that its peak of memory is its own, and run by a worker with each
number of threads, as many images as ENCRYPTED with the first and one with the others. Seconds are on the wall and,
for a machine that has other work, of all processors. The classes of all test images are those of the compiled network
simulated with noise.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

import hetorch
from benchmarks.arguments import arguments
from benchmarks.deep_networks import NETWORKS, DeepNetwork
from benchmarks.ledger import Ledger
from benchmarks.networks import HOME
from benchmarks.peers.environment import ROOT
from benchmarks.peers.worker import start_ours
from benchmarks.row import Row
from hetorch.plan import Plan

ENCRYPTED = 20
"""The first test images, which are encrypted."""
SECONDS = 1800
"""Longest time to wait for keys, and for a run."""


def folder(network: DeepNetwork) -> Path:
    """Return the folder of the network's plan and samples."""
    return HOME / f"deep-{network.name}"


def compile_alone(name: str) -> dict[str, Any]:
    """Compile the network in this process, save its plan and samples, and return the figures."""
    network = next(each for each in NETWORKS if each.name == name)
    module, calibration, samples, labels = network.load()
    begun, processor = time.perf_counter(), time.process_time()
    plan = hetorch.compile(module, torch.from_numpy(calibration))
    facts: dict[str, Any] = {
        "compile_s": time.perf_counter() - begun,
        "compile_processor_s": time.process_time() - processor,
        "compile_peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
    }
    plan.save(folder(network) / "plan.hetorch")
    with torch.no_grad():
        logits = module(torch.from_numpy(samples)).numpy()
    np.savez(folder(network) / "arrays.npz", samples=samples, logits=logits, labels=labels)
    return facts | plan_facts(plan) | simulated_facts(plan, samples, logits, labels)


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return the plan's sizes and predictions."""
    return {
        "bootstraps": sum(row.kind == "bootstrap" for row in plan.report.layers),
        "key_bytes": plan.public().evaluation_key_bytes,
        "predicted_memory": plan.report.memory_bytes,
        "predicted_s": plan.report.predicted_seconds,
        "error_bound": plan.report.predicted_error,
        "approximation_error": plan.report.approximation_error,
        "calibration_agreement": plan.report.agreement,
    }


def simulated_facts(plan: Plan, samples: Any, logits: Any, labels: Any) -> dict[str, Any]:
    """Return accuracy and agreement on the test images, simulated with noise."""
    classes = hetorch.simulate(plan, samples).argmax(1)
    return {
        "accuracy_in_clear": float(np.mean(logits.argmax(1) == labels)),
        "accuracy_simulated": float(np.mean(classes == labels)),
        "agreement_simulated": float(np.mean(classes == logits.argmax(1))),
    }


def run_rows(network: DeepNetwork, threads: int, ledger: Ledger, facts: dict[str, Any], count: int) -> None:
    """Add a row with the median time of `count` encrypted images, and one for each kind of step."""
    with np.load(folder(network) / "arrays.npz") as arrays:
        logits = arrays["logits"]
    with start_ours("hetorch_deep", threads) as worker:
        options = {"plan": str(folder(network) / "plan.hetorch"), "folder": str(folder(network))}
        worker.set_up(options, seconds=SECONDS)
        runs = []
        for index in range(count):
            runs.append(worker.call("run", index, seconds=SECONDS))
            same = int(np.argmax(runs[-1]["logits"])) == int(logits[index].argmax())
            ledger.say(
                f"{network.title}, image {index}: {runs[-1]['seconds']:.1f} s, of processors "
                f"{runs[-1]['processor_seconds']:.1f} s, load {os.getloadavg()[0]:.1f}, same class: {same}"
            )
        facts = facts | worker.facts | _encrypted_facts(runs, logits)
    kinds: dict[str, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for layer, kind, seconds, processors in runs[0]["steps"]:
        kinds[kind][0] += seconds
        kinds[kind][1] += processors
        step = f"{layer}, {kind}: processor_s"
        facts[step] = round(facts.get(step, 0.0) + processors, 3)
    median = 1e3 * float(np.median([run["seconds"] for run in runs]))
    ledger.add(_row(network.title, threads, median, len(runs), facts))
    for kind, (seconds, processors) in sorted(kinds.items(), key=lambda pair: -pair[1][0]):
        title = f"{network.title}: {kind}"
        ledger.add(_row(title, threads, 1e3 * seconds, 1, {"processor_s": round(processors, 3)}))


def _encrypted_facts(runs: list[dict[str, Any]], logits: Any) -> dict[str, Any]:
    classes = np.array([int(np.argmax(run["logits"])) for run in runs])
    return {
        "encrypted": len(runs),
        "agreement_encrypted": float(np.mean(classes == logits[: len(runs)].argmax(1))),
        "fastest_s": min(run["seconds"] for run in runs),
        "processor_s": float(np.median([run["processor_seconds"] for run in runs])),
        "peak_bytes": runs[-1]["peak_bytes"],
    }


def _row(name: str, threads: int, milliseconds: float, count: int, facts: dict[str, Any]) -> Row:
    reason = "measured alone"
    return Row(name, "", "", threads, None, milliseconds, None, None, None, count, reason, {"ours": facts})


def main() -> None:
    """Print a row for each network and number of threads; see --help."""
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(compile_alone(sys.argv[2])))
        return
    options = arguments(__doc__ or "", threads=(2, 1))
    ledger = Ledger("Deep networks", options.json, options.markdown)
    for network in NETWORKS:
        if options.only not in network.title and options.only != network.name:
            continue
        folder(network).mkdir(parents=True, exist_ok=True)
        ledger.say(f"compile {network.title}")
        command = [sys.executable, "-m", "benchmarks.deep", "--alone", network.name]
        answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode:
            ledger.say(f"{network.title}: compiling ended with status {answer.returncode}")
            continue
        facts = json.loads(answer.stdout.splitlines()[-1])
        for position, threads in enumerate(options.threads):
            count = ENCRYPTED if position == 0 else 1
            ledger.guard(network.title, threads, partial(run_rows, network, threads, ledger, facts, count))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
