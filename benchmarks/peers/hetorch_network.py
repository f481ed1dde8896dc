"""A compiled plan on hetorch, server and client in one process; without torch and the compiler."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.plan import Plan
from hetorch.runtime import Runner


def setup(options: dict[str, Any]) -> Session:
    """Load the plan in the folder `plan` and the samples in `folder`, and make keys; a plan for batches runs full."""
    plan = Plan.load(Path(options["plan"]))
    samples = np.load(Path(options["folder"]) / "arrays.npz")["samples"].astype(np.float64)
    public = plan.public()
    begun = time.perf_counter()
    key = SecretKey.generate(plan.parameters)
    engine = NativeEngine(plan.parameters, evaluation_keys=key.evaluation_keys(plan.key_spec))
    keys_at = time.perf_counter()
    runner = Runner(plan, engine)
    runner.prepare()
    prepared_at = time.perf_counter()

    batch = public.batch_size

    def encrypt(index: int) -> list[Any]:
        slots = (
            public.pack_batch(np.resize(samples, (batch, *samples.shape[1:])))
            if batch > 1
            else public.pack(samples[index])
        )
        return [key.encrypt(s, level=public.input_level, scale=public.input_scale) for s in slots]

    def decrypt(result: list[Any]) -> list[float]:
        slots = [key.decrypt(c) for c in result]
        values = public.unpack_batch(slots) if batch > 1 else public.unpack(slots)
        return [float(v) for v in values.reshape(-1)]

    first = encrypt(0)
    operations = {
        "run": Operation(lambda: runner.run(first)),
        "whole": Operation(lambda: decrypt(runner.run(encrypt(0)))),
    }
    calls = {"predict": lambda index: decrypt(runner.run(encrypt(index)))}
    facts = {
        "ring": f"2^{plan.parameters.ring_degree.bit_length() - 1}",
        "key_bytes": public.evaluation_key_bytes,
        "ciphertext_bytes": public.input_ciphertext_bytes,
        "keys_s": round(keys_at - begun, 2),
        "batch": batch,
        "prepare_s": round(prepared_at - keys_at, 2),
    }
    return Session(operations, calls, facts)


if __name__ == "__main__":
    serve(setup)
