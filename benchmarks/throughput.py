"""Batches of samples in the slots of one run: the time of one sample, ours alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from benchmarks.ledger import Ledger
from benchmarks.network_turns import compile_plan
from benchmarks.networks import NETWORKS, prepare
from benchmarks.peers.worker import start_ours
from benchmarks.turns import take_turns


@dataclass(frozen=True, slots=True)
class Batch:
    """A network and the number of samples of a run; None for as many as the slots hold."""

    network: str
    samples: int | None


BATCHES = (Batch("credit", None), Batch("cnn", 64), Batch("dense", 256))


def throughput_rows(threads: int, ledger: Ledger, only: str) -> None:
    """Add a row for each batch: milliseconds a sample, and samples a second and core."""
    for batch in BATCHES:
        title = f"{NETWORKS[batch.network].title}, a sample of a batch"
        if only not in title:
            continue
        ledger.guard(title, threads, partial(_row, batch, title, threads, ledger))


def _row(batch: Batch, title: str, threads: int, ledger: Ledger) -> None:
    prepared = prepare(batch.network)
    options = {} if batch.samples is None else {"batch_size": batch.samples}
    plan, compile_s = compile_plan(prepared, ledger, objective="throughput", **options)
    with start_ours("hetorch_network", threads) as ours:
        ours.set_up({"plan": str(plan), "folder": str(prepared.folder)})
        size = int(ours.facts["batch"])
        row = take_turns(title, None, ours, "run", threads, reason="measured alone")
        results = np.array(ours.call("predict", 0)).reshape(size, -1)
        facts = dict(ours.facts) | {"compile_s": compile_s, "peak_bytes": ours.peak_bytes()}
    expected = np.resize(prepared.logits, (size, prepared.logits.shape[1]))
    assert row.ours_ms is not None
    sample_ms = row.ours_ms / size
    facts |= {
        "batch_ms": row.ours_ms,
        "per_second_and_core": 1e3 / sample_ms / threads,
        "worst_error": float(np.abs(results - expected).max()),
        "output_range": float(np.ptp(expected)),
        "agreement": float((results.argmax(1) == expected.argmax(1)).mean()),
    }
    ledger.add(replace(row, name=f"{title} of {size}", ours_ms=sample_ms, details={"ours": facts}))
