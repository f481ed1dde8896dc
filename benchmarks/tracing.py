"""Compare runs on ciphertexts that are traced with such that are not, in turns on this machine.

"theirs" is a loop over the plan's operations without any code for events. Against it stand a hetorch.runtime.Runner
that nobody listens to, one that tells its events to what hetorch.inspect.trace(..., values=False) listens with, and one
that decrypts every layer, as trace does for values. All pack the sample into slots. Ratios are those of processor time,
which other work disturbs least.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

import hetorch
from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.row import Row
from hetorch.engine import _native
from hetorch.engine.backend import NATIVE
from hetorch.engine.native import Ciphertext
from hetorch.engine.secret import SecretKey
from hetorch.inspect.layers import layers_of
from hetorch.inspect.record import record_encrypted, record_times
from hetorch.runtime import Runner

TURNS = 15
"""Turns of each side, after one that is not counted."""
MOST = 1.10
"""Largest ratio of processor times with which tracing without values may be announced."""


def networks() -> dict[str, tuple[nn.Module, torch.Tensor]]:
    """Return networks with random weights and their calibration inputs: what they compute does not change the cost."""
    torch.manual_seed(0)
    images, rows = torch.rand(128, 1, 16, 16), torch.rand(256, 32)
    return {
        "dense, many short operations": (
            nn.Sequential(
                nn.Linear(32, 24), nn.SiLU(), nn.Linear(24, 16), nn.Tanh(), nn.Linear(16, 4)
            ).eval(),
            rows,
        ),
        "convolutions": (
            nn.Sequential(
                *(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.AvgPool2d(2)),
                *(
                    nn.Conv2d(4, 8, 3, padding=1),
                    nn.ReLU(),
                    nn.AvgPool2d(2),
                    nn.Flatten(),
                    nn.Linear(128, 10),
                ),
            ).eval(),
            images,
        ),
    }


def sides(plan: hetorch.Plan, sample: np.ndarray) -> dict[str, Callable[[], object]]:
    """Return a run of one sample for each side."""
    secret = SecretKey.generate(plan.parameters)
    engine = NATIVE.make(plan.parameters, secret.evaluation_keys(plan.key_spec))
    runner, layers, program = Runner(plan, engine), layers_of(plan), plan.program
    runner.prepare()
    weights = [op.prepare(engine, program, plan.weights) for op in program.operations]
    last = {
        value: position for position, op in enumerate(program.operations) for value in (*op.reads, *op.makes)
    }
    (packed,) = [plan.input_layout.pack_batch(sample[None])]

    def encrypt(slots: np.ndarray) -> Ciphertext:
        return secret.encrypt(slots, level=plan.input_level, scale=plan.input_scale)

    inputs = [encrypt(slots) for slots in packed]

    def pack() -> None:
        plan.input_layout.pack_batch(sample[None])

    def off() -> None:
        pack()
        runner.run(inputs)

    def bare() -> None:
        pack()
        values: dict[int, Any] = dict(zip(program.inputs, inputs, strict=True))
        for position, op in enumerate(program.operations):
            results = op.run(engine, program, [values[number] for number in op.reads], weights[position])
            values.update(zip(op.makes, results, strict=True))
            for number in {*op.reads, *op.makes}:
                if last[number] == position and number not in program.outputs:
                    del values[number]

    def listened(ciphertexts: Sequence[Ciphertext], listener: Any) -> object:
        return runner.run(ciphertexts, on_event=listener)

    fresh = iter(lambda: inputs[0], None)
    return {
        "bare": bare,
        "off": off,
        "without values": lambda: record_times(
            plan, layers, sample[None], lambda _: next(fresh), listened, lambda: None
        ),
        "with values": lambda: record_encrypted(
            plan, layers, sample[None], lambda _: next(fresh), secret.decrypt, listened, lambda: None
        ),
    }


def measure(runs: dict[str, Callable[[], object]]) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Return the milliseconds of all turns of each side, on the clock and of the processor."""
    clock: dict[str, list[float]] = {side: [] for side in runs}
    processor: dict[str, list[float]] = {side: [] for side in runs}
    for turn in range(TURNS + 1):
        for side, run in runs.items():
            start, used = time.perf_counter(), time.process_time()
            run()
            if turn:
                clock[side].append(1e3 * (time.perf_counter() - start))
                processor[side].append(1e3 * (time.process_time() - used))
    return clock, processor


def main() -> None:
    """Print a row for each network and kind of run; end with 1 if tracing without values costs more than MOST."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Traced runs on ciphertexts", options.json, options.markdown)
    threads, dear = _native.thread_count(), False
    for name, (module, inputs) in networks().items():
        if options.only not in name:
            continue
        plan = hetorch.compile(module, inputs, progress=False)
        clock, processor = measure(sides(plan, inputs[0].numpy().astype(np.float64)))
        for side in ("off", "without values", "with values"):
            ratios = [a / b for a, b in zip(processor["bare"], processor[side], strict=True)]
            times = statistics.median(clock["bare"]), statistics.median(clock[side])
            cost = statistics.median(processor[side]) / statistics.median(processor["bare"])
            facts: dict[str, object] = {
                "processor_time_of_bare": cost,
                "operations": len(plan.program.operations),
            }
            ledger.add(
                Row(
                    f"{name}, {side}",
                    *("bare loop", "", threads, *times),
                    *(statistics.median(ratios), min(ratios), max(ratios), TURNS),
                    details={"ours": facts},
                )
            )
            dear = dear or (side == "without values" and cost > MOST)
    print(ledger.markdown())
    raise SystemExit(int(dear))


if __name__ == "__main__":
    main()
