"""Whole networks timed in turns: server time, and beside it sizes, set-up times, memory and accuracy."""

from __future__ import annotations

import math
import shutil
import time
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import hetorch
from benchmarks.ledger import Ledger
from benchmarks.networks import NETWORKS, Prepared, prepare
from benchmarks.peers.environment import PeerMissingError
from benchmarks.peers.recipes import RECIPES
from benchmarks.peers.worker import PeerFailedError, Worker, start, start_ours
from benchmarks.turns import take_turns

ORION = ("orion", "orion2")
OURS_SAMPLES, THEIRS_SAMPLES = 50, 3
"""Number of encrypted samples of each side that are compared with the network in clear."""
OURS_TURNS = 20
"""Number of further runs of ours, for the 95th percentile."""
MARK_MS = 20_000.0
"""Time in milliseconds after which no more samples are compared."""


def network_rows(
    name: str, threads: int, ledger: Ledger, only: str, peers: tuple[str, ...] = ORION, least: int = 3
) -> None:
    """Add a row for each peer; if a side fails, the row says why."""
    network = NETWORKS[name]
    wanted = [peer for peer in peers if only in f"{network.title} {peer}"]
    if not wanted:
        return
    prepared = prepare(name)
    plan, compile_s = compile_plan(prepared, ledger)
    with start_ours("hetorch_network", threads) as ours:
        ours.set_up({"plan": str(plan), "folder": str(prepared.folder)})
        facts = facts_of(ours, prepared, OURS_SAMPLES) | {"compile_s": compile_s}
        facts |= percentiles(ours.times("run", OURS_TURNS))
        facts["peak_bytes"] = ours.peak_bytes()
        for peer in wanted:
            _row(peer, prepared, threads, ledger, ours, facts, least)


def alone_row(
    name: str,
    threads: int,
    ledger: Ledger,
    only: str,
    samples: int,
    mark_ms: float = 5 * MARK_MS,
    key_limit: int | None = None,
) -> None:
    """Add a row without a peer, for a task that no installable peer can do. `key_limit` is compile's, in bytes."""
    network = NETWORKS[name]
    if only not in network.title:
        return
    prepared = prepare(name)
    plan, compile_s = compile_plan(prepared, ledger, key_limit=key_limit)
    with start_ours("hetorch_network", threads) as ours:
        ours.set_up({"plan": str(plan), "folder": str(prepared.folder)})
        facts = facts_of(ours, prepared, samples, mark_ms) | {"compile_s": compile_s}
        row = take_turns(network.title, None, ours, "run", threads, reason="measured alone")
        facts |= percentiles(ours.times("run", OURS_TURNS)) | {"peak_bytes": ours.peak_bytes()}
    ledger.add(replace(row, details={"ours": facts}))


def compile_plan(prepared: Prepared, ledger: Ledger, **options: Any) -> tuple[Path, float]:
    """Compile a network and save the plan for the worker; return its folder and the seconds of compiling."""
    ledger.say(f"compile {prepared.network.title}")
    begun = time.perf_counter()
    plan = hetorch.compile(prepared.module, prepared.calibration, **options)
    compile_s = time.perf_counter() - begun
    folder = prepared.folder / "plan.hetorch"
    if folder.is_dir():
        shutil.rmtree(folder)
    plan.save(folder)
    return folder, round(compile_s, 2)


def facts_of(worker: Worker, prepared: Prepared, count: int, mark_ms: float = MARK_MS) -> dict[str, Any]:
    """Return the worker's sizes, and how its results on the first samples compare with those in clear.

    At most `count` samples are compared, and no more after `mark_ms` milliseconds.
    """
    begun = time.monotonic()
    results: list[list[float]] = []
    for index in range(min(count, len(prepared.samples))):
        results.append(worker.call("predict", index))
        if 1e3 * (time.monotonic() - begun) > mark_ms:
            break
    logits, expected = np.array(results), prepared.logits[: len(results)]
    if logits.shape != expected.shape or not np.all(np.isfinite(logits)):
        raise PeerFailedError(f"results of shape {logits.shape} or not finite")
    return dict(worker.facts) | {
        "samples": len(results),
        "agreement": float((logits.argmax(1) == expected.argmax(1)).mean()),
        "accuracy": float((logits.argmax(1) == prepared.labels[: len(results)]).mean()),
        "accuracy_in_clear": float((expected.argmax(1) == prepared.labels[: len(results)]).mean()),
        "worst_error": float(np.abs(logits - expected).max()),
        "output_range": float(np.ptp(expected)),
    }


def percentiles(times: list[float]) -> dict[str, float]:
    """Return the median and the 95th percentile of times in milliseconds; of few values the latter is the largest."""
    ordered = sorted(times)
    return {
        "p50_ms": float(np.median(ordered)),
        "p95_ms": ordered[min(len(ordered), math.ceil(0.95 * len(ordered))) - 1],
    }


def _row(
    peer: str,
    prepared: Prepared,
    threads: int,
    ledger: Ledger,
    ours: Worker,
    facts: dict[str, Any],
    least: int,
) -> None:
    title = RECIPES[peer].title
    with ExitStack() as stack:
        theirs: Worker | None = None
        reason = ""
        their_facts: dict[str, Any] = {}
        try:
            theirs = stack.enter_context(start(peer, f"{peer}_network", threads))
            ledger.say(f"{title}: set up {prepared.network.title}")
            theirs.set_up({"folder": str(prepared.folder)})
            their_facts = facts_of(theirs, prepared, THEIRS_SAMPLES)
        except (PeerMissingError, PeerFailedError) as error:
            theirs, reason = None, str(error)
        turns: list[float] = []
        row = take_turns(
            prepared.network.title,
            theirs,
            ours,
            "run",
            threads,
            peer=title,
            reason=reason,
            least=least,
            their_turns=turns,
        )
        if theirs is not None and turns:
            their_facts |= percentiles(turns)
            try:
                their_facts["peak_bytes"] = theirs.peak_bytes()
            except PeerFailedError as error:
                ledger.say(f"{title}: {error}")
        ledger.add(replace(row, details={"theirs": their_facts, "ours": facts}))
