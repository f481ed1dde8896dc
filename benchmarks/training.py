"""Train networks for encryption: accuracy lost, server time won, and values outside the ranges, for five seeds each.

Each network of convolutions with batch norm, ReLU and MaxPool is trained in clear, compiled as it is, fine-tuned by
hetorch.train, and compiled again. The two plans run in turns on this machine. Concrete ML trains the same network with
quantisation for its own scheme. A stage of a seed that has ended is not run again until its source files change; its
results are kept beside the weights, under build/benchmarks.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import asdict, replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.peers.environment import ROOT, PeerMissingError
from benchmarks.peers.worker import PeerFailedError, start, start_ours
from benchmarks.real_data import DataMissing
from benchmarks.row import Row
from benchmarks.training_records import keep, kept
from benchmarks.training_stages import STAGES
from benchmarks.training_summary import summary_row
from benchmarks.training_tasks import TASKS, Prepared, Task, prepare
from benchmarks.turns import take_turns

SEEDS = range(5)
ENCRYPTED, ENCRYPTED_BEFORE = 50, 2
"""Test samples that are encrypted for the network after training and before: a run of the latter takes seconds."""
LEAST = 2
"""Turns of both sides."""
PEER = "hetorch without training"
PEER_SECONDS = 3600
"""Longest time that Concrete ML has to train, compile and make keys, and as long for an encrypted image, in seconds."""


def stage(name: str, task: Task, seed: int, ledger: Ledger) -> dict[str, Any]:
    """Return the facts of a stage, run now in a process of its own unless they are kept.

    Raises:
        PeerFailedError: the process failed.
    """
    folder = prepare(task.name, seed).folder
    facts = kept(folder, name)
    if facts is None:
        ledger.say(f"{task.title}, seed {seed}: {name}")
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.training", "--alone", name, task.name]
        ended = subprocess.run([*command, str(seed)], cwd=ROOT, check=False)
        facts = kept(folder, name)
        if ended.returncode or facts is None:
            raise PeerFailedError(f"{name} ended with status {ended.returncode}")
    return facts


def seed_row(task: Task, seed: int, threads: int, ledger: Ledger, rows: list[Row]) -> None:
    """Add the row of one seed: server time before against after training, and the facts of both plans."""
    tuned, after, before = (stage(name, task, seed, ledger) for name in STAGES)
    prepared = prepare(task.name, seed)
    name = f"turns-{threads}"
    data = kept(prepared.folder, name)
    if data is None:
        data = asdict(turns(prepared, threads, before, tuned | after))
        keep(prepared.folder, name, data)
    rows.append(Row(**data))
    ledger.add(rows[-1])


def turns(prepared: Prepared, threads: int, before: dict[str, Any], after: dict[str, Any]) -> Row:
    """Run both plans in turns, and compare encrypted samples with the labels and with the module in clear."""
    title = f"{prepared.task.title}, seed {prepared.seed}"
    options = {"folder": str(prepared.folder)}
    with start_ours("hetorch_network", threads) as ours, start_ours("hetorch_network", threads) as theirs:
        ours.set_up(options | {"plan": str(prepared.folder / "after.hetorch")})
        after = after | encrypted_facts(ours, prepared, ENCRYPTED)
        polynomial = np.load(prepared.folder / "tuned.npy")[:ENCRYPTED]
        error = np.abs(after.pop("results") - polynomial).max() / after["output_range"]
        after["error_against_torch"] = float(error)
        theirs.set_up(options | {"plan": str(prepared.folder / "before.hetorch")})
        before = before | encrypted_facts(theirs, prepared, ENCRYPTED_BEFORE)
        del before["results"]
        row = take_turns(title, theirs, ours, "run", threads, least=LEAST)
        before["peak_bytes"], after["peak_bytes"] = theirs.peak_bytes(), ours.peak_bytes()
    return replace(row, peer=PEER, details={"theirs": before, "ours": after})


def encrypted_facts(worker: Any, prepared: Prepared, count: int) -> dict[str, Any]:
    """Return accuracy and agreement on the first test samples, and `results`, their encrypted outputs."""
    results = np.array([worker.call("predict", index) for index in range(count)])
    labels, clear = prepared.labels[:count], prepared.logits[:count]
    return {
        "encrypted": count,
        "accuracy_encrypted": float(np.mean(results.argmax(1) == labels)),
        "accuracy_in_clear_of_encrypted": float(np.mean(clear.argmax(1) == labels)),
        "agreement_encrypted": float(np.mean(results.argmax(1) == clear.argmax(1))),
        "results": results,
    }


def concrete_row(task: Task, threads: int, ledger: Ledger) -> None:
    """Add the row of Concrete ML, whose quantisation-aware training begins with the network of the first seed."""
    prepared = prepare(task.name, SEEDS[0])
    name = f"concrete-{threads}"
    theirs = kept(prepared.folder, name)
    if theirs is None:
        theirs = concrete_facts(prepared, threads, ledger)
        if not theirs["missing"]:
            keep(prepared.folder, name, theirs)
    ours = kept(prepared.folder, f"turns-{threads}")
    milliseconds, ours_ms = theirs["milliseconds"], None if ours is None else ours["ours_ms"]
    ratio = None if milliseconds is None or ours_ms is None else milliseconds / ours_ms
    title = f"{task.title}, seed {SEEDS[0]}"
    row = Row(title, "Concrete ML", theirs["version"], threads, milliseconds, ours_ms, ratio, ratio, ratio, 1)
    ledger.add(replace(row, reason=theirs["reason"], details={"theirs": theirs["facts"]}))


def concrete_facts(prepared: Prepared, threads: int, ledger: Ledger) -> dict[str, Any]:
    """Return the time of one encrypted image on Concrete ML and the facts of its network, or the reason for none."""
    result: dict[str, Any] = {
        "milliseconds": None,
        "facts": {},
        "version": "",
        "reason": "",
        "missing": False,
    }
    try:
        with start("concrete", "concrete_training", threads) as worker:
            ledger.say(f"{prepared.task.title}: Concrete ML trains, compiles and makes keys")
            result["version"] = worker.version
            write_for_concrete(prepared)
            worker.set_up({"folder": str(prepared.folder)}, seconds=PEER_SECONDS)
            result["facts"] = worker.facts
            ledger.say(f"{prepared.task.title}: Concrete ML computes one encrypted image")
            (result["milliseconds"],) = worker.times("run", seconds=PEER_SECONDS)
            result["facts"] |= {"peak_bytes": worker.peak_bytes()}
    except (PeerMissingError, PeerFailedError) as error:
        result |= {"reason": str(error), "missing": isinstance(error, PeerMissingError)}
    return result


def write_for_concrete(prepared: Prepared) -> None:
    """Write the data and the weights that the worker of Concrete ML reads."""
    arrays = {f"weight.{key}": value.numpy() for key, value in prepared.module.state_dict().items()}
    arrays |= {"train": prepared.train[0], "train_labels": prepared.train[1]}
    arrays |= {"samples": prepared.samples, "labels": prepared.labels, "logits": prepared.logits}
    np.savez(prepared.folder / "concrete.npz", **arrays)


def _alone(name: str, task: str, seed: str) -> None:
    prepared = prepare(task, int(seed))
    keep(prepared.folder, name, STAGES[name](prepared))


def main() -> None:
    """Print a row for each seed and a summary of each task; see --help."""
    if sys.argv[1:2] == ["--alone"]:
        _alone(*sys.argv[2:5])
        return
    options = arguments(__doc__ or "", threads=(2,))
    ledger = Ledger("Training for encryption, five seeds", options.json, options.markdown)
    for threads in options.threads:
        for task in TASKS.values():
            rows: list[Row] = []
            try:
                for seed in SEEDS:
                    title = f"{task.title}, seed {seed}"
                    if options.only in f"{title} {PEER}" or options.only == task.name:
                        action = partial(seed_row, task, seed, threads, ledger, rows)
                        ledger.guard(title, threads, action)
                if options.only in f"{task.title} Concrete ML" or options.only == task.name:
                    ledger.guard(task.title, threads, partial(concrete_row, task, threads, ledger))
            except DataMissing as missing:
                ledger.say(str(missing))
            if rows:
                ledger.add(summary_row(task.title, threads, rows))
    print(ledger.markdown())


if __name__ == "__main__":
    main()
