"""Compile and run ordinary networks: times, memory, levels, keys, diagonals, accuracy in clear, compiled and encrypted.

Every network is analysed and compiled in a process of its own, so that its peak of memory is its own, and run by a
worker with one thread and with two. The accuracy on the whole test set is that of the compiled network simulated with
noise; the first samples are encrypted as well.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

import hetorch
from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.ordinary_networks import Trained, prepare, selected
from benchmarks.peers.environment import ROOT
from benchmarks.peers.worker import start_ours
from benchmarks.turns import take_turns
from hetorch.plan import Plan

ENCRYPTED_SAMPLES = 50
"""Samples of the test set that are encrypted, and compared with the network in clear."""


def compile_alone(name: str) -> dict[str, Any]:
    """Analyse and compile the network in this process, save its plan, and return the figures."""
    trained = prepare(name)
    begun = time.perf_counter()
    hetorch.analyze(trained.module, trained.calibration)
    analysed = time.perf_counter()
    plan = hetorch.compile(trained.module, trained.calibration)
    compiled = time.perf_counter()
    folder = plan_folder(trained)
    shutil.rmtree(folder, ignore_errors=True)
    plan.save(folder)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    facts = {"analyze_s": analysed - begun, "compile_s": compiled - analysed, "compile_peak_bytes": peak}
    return facts | plan_facts(plan) | convolution_facts(plan, trained.module) | simulated_facts(plan, trained)


def plan_folder(trained: Trained) -> Path:
    """Return the folder of the network's plan."""
    return trained.folder / "plan.hetorch"


def plan_facts(plan: Plan) -> dict[str, Any]:
    """Return the plan's sizes and predictions."""
    return {
        "ring": f"2^{plan.parameters.ring_degree.bit_length() - 1}",
        "levels": plan.input_level,
        "key_bytes": plan.public().evaluation_key_bytes,
        "predicted_memory": plan.report.memory_bytes,
        "predicted_s": plan.report.predicted_seconds,
        "error_bound": plan.report.predicted_error,
        "approximation_error": plan.report.approximation_error,
        "calibration_agreement": plan.report.agreement,
    }


def convolution_facts(plan: Plan, module: nn.Sequential) -> dict[str, Any]:
    """Return, for each convolution, "diagonals/(taps * input channels)": its largest map, fused layers too."""
    shares = []
    for name, layer in module.named_children():
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            maps = [row for row in plan.report.layers if name in row.name.split(" + ") and "Conv" in row.kind]
            shares.append(f"{max(row.diagonals for row in maps)}/{layer.weight[0].numel()}")
    return {"convolutions": " ".join(shares)}


def simulated_facts(plan: Plan, trained: Trained) -> dict[str, Any]:
    """Return accuracy and agreement on the whole test set, simulated with noise."""
    logits = hetorch.simulate(plan, trained.samples)
    exploded = np.isnan(logits).any(axis=1)  # counted as wrong
    classes = np.where(exploded, -1, logits.argmax(1))
    return {
        "test_samples": len(trained.labels),
        "accuracy_in_clear": float(np.mean(trained.logits.argmax(1) == trained.labels)),
        "accuracy_simulated": float(np.mean(classes == trained.labels)),
        "agreement_simulated": float(np.mean(classes == trained.logits.argmax(1))),
        "without_result": int(np.count_nonzero(exploded)),
    }


def run_rows(trained: Trained, threads: int, ledger: Ledger, facts: dict[str, Any], samples: int) -> None:
    """Add the row of one number of threads: server time for one sample, and results of encrypted samples."""
    with start_ours("hetorch_network", threads) as worker:
        worker.set_up({"plan": str(plan_folder(trained)), "folder": str(trained.folder)})
        results = np.array([worker.call("predict", index) for index in range(samples)])
        row = take_turns(trained.network.title, None, worker, "run", threads, reason="measured alone")
        expected, labels = trained.logits[:samples], trained.labels[:samples]
        facts = facts | {
            "encrypted": samples,
            "accuracy_encrypted": float(np.mean(results.argmax(1) == labels)),
            "agreement_encrypted": float(np.mean(results.argmax(1) == expected.argmax(1))),
            "keys_s": worker.facts["keys_s"],
            "prepare_s": worker.facts["prepare_s"],
            "peak_bytes": worker.peak_bytes(),
        }
    ledger.add(replace(row, details={"ours": facts}))


def main() -> None:
    """Print a row for each network and number of threads; see --help."""
    if sys.argv[1:2] == ["--alone"]:
        print(json.dumps(compile_alone(sys.argv[2])))
        return
    options = arguments(__doc__ or "", threads=(2, 1))
    ledger = Ledger("Ordinary networks", options.json, options.markdown)
    for name, trained in selected(options.only, ledger.say):
        network = trained.network
        ledger.say(f"compile {network.title}")
        command = [sys.executable, "-m", "benchmarks.ordinary", "--alone", name]
        answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
        if answer.returncode:
            ledger.say(f"{network.title}: compiling ended with status {answer.returncode}")
            continue
        facts = json.loads(answer.stdout.splitlines()[-1])
        for position, threads in enumerate(options.threads):
            samples = ENCRYPTED_SAMPLES if position == 0 else 1
            rows = partial(run_rows, trained, threads, ledger, facts, samples)
            ledger.guard(network.title, threads, rows)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
