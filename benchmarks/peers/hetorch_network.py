"""A compiled plan run by hetorch, as a server and a client would in one process; no torch, no compiler."""

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
    """`plan`: its folder; `folder`: that of the network."""
    plan = Plan.load(Path(options["plan"]))
    samples = np.load(Path(options["folder"]) / "arrays.npz")["samples"].astype(np.float64)
    public = plan.public()
    begun = time.perf_counter()
    key = SecretKey.generate(plan.parameters)
    engine = NativeEngine(plan.parameters, evaluation_keys=key.evaluation_keys(plan.key_spec))
    made_keys = time.perf_counter()
    runner = Runner(plan, engine)
    runner.prepare()
    prepared = time.perf_counter()

    def encrypt(index: int) -> list[Any]:
        slots = public.pack(samples[index])
        return [key.encrypt(s, level=public.input_level, scale=public.input_scale) for s in slots]

    def decrypt(result: list[Any]) -> list[float]:
        return [float(v) for v in public.unpack([key.decrypt(c) for c in result]).reshape(-1)]

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
        "keys_s": round(made_keys - begun, 2),
        "prepare_s": round(prepared - made_keys, 2),
    }
    return Session(operations, calls, facts)


if __name__ == "__main__":
    serve(setup)
