"""A plan that bootstraps, server and client in one process, with the time of each operation; without torch."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.session import Session, peak_bytes, serve
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.plan import Plan
from hetorch.runtime import Event, Runner


def setup(options: dict[str, Any]) -> Session:
    """Load the plan in the folder `plan` and the samples in `folder`, make keys and encode the weights."""
    plan = Plan.load(Path(options["plan"]))
    samples = np.load(Path(options["folder"]) / "arrays.npz")["samples"].astype(np.float64)
    public = plan.public()
    begun, processor = time.perf_counter(), time.process_time()
    key = SecretKey.generate(plan.parameters)
    engine = NativeEngine(plan.parameters, evaluation_keys=key.evaluation_keys(plan.key_spec))
    keys_at, keys_processor = time.perf_counter(), time.process_time()
    runner = Runner(plan, engine)
    runner.prepare()
    facts = {
        "keys_s": keys_at - begun,
        "keys_processor_s": keys_processor - processor,
        "prepare_s": time.perf_counter() - keys_at,
        "prepare_processor_s": time.process_time() - keys_processor,
    }

    def run(index: int) -> dict[str, Any]:
        """Return the logits of a sample, the seconds of the run on the wall and on all processors, and its steps."""
        inputs = [
            key.encrypt(s, level=public.input_level, scale=public.input_scale)
            for s in public.pack(samples[index])
        ]
        steps: list[tuple[str, str, float, float]] = []
        wall, last = time.perf_counter(), time.process_time()
        processors = last

        def note(event: Event) -> None:
            nonlocal last
            now = time.process_time()
            steps.append((event.layer, type(event.operation).__name__, event.seconds, now - last))
            last = now

        results = runner.run(inputs, on_event=note)
        seconds, spent = time.perf_counter() - wall, time.process_time() - processors
        logits = public.unpack([key.decrypt(c) for c in results]).reshape(-1)
        return {
            "logits": [float(v) for v in logits],
            "seconds": seconds,
            "processor_seconds": spent,
            "steps": steps,
            "peak_bytes": peak_bytes(),
        }

    return Session({}, {"run": run}, facts)


if __name__ == "__main__":
    serve(setup)
