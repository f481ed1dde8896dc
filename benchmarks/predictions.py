"""Compare the predictions of plans with measurements, on one thread: time, memory of ring elements, worst error.

Times are processor times, the least of a few runs. They can be judged only if the plans were compiled with constants of
the same machine (`hetorch tune`). Memory is that of the pool that holds keys, encoded weights and ciphertexts.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

os.environ.setdefault("HETORCH_NUM_THREADS", "1")

import numpy as np
import torch
from torch import nn

import hetorch
from benchmarks.arguments import arguments
from benchmarks.ledger import Ledger
from benchmarks.real_data import Square
from benchmarks.row import Row
from hetorch import simulate
from hetorch.engine import _native
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.model_owner.encrypt import encrypt_weights
from hetorch.plan import Plan
from hetorch.runtime import Runner

RUNS = 5


@dataclass(frozen=True, slots=True)
class Prediction:
    """The comparison of one network: times of a run of `batch` samples, bytes, errors relative to the output range."""

    name: str
    batch: int
    predicted_ms: float
    measured_ms: float
    predicted_bytes: int
    measured_bytes: int
    error_bound: float
    worst_error: float


def networks() -> dict[str, Callable[[], Plan]]:
    """Return seeded networks by name; each is compiled when it is called."""

    def compiled(shape: tuple[int, ...], *layers: nn.Module, **options: object) -> Callable[[], Plan]:
        return lambda: hetorch.compile(
            nn.Sequential(*layers).eval(),
            torch.rand(64, *shape, generator=torch.Generator().manual_seed(1)),
            **options,  # type: ignore[arg-type]
        )

    torch.manual_seed(0)
    image = (1, 28, 28)
    cnn = (
        *(nn.Conv2d(1, 4, 7, 3), Square(), nn.Flatten()),
        *(nn.Linear(256, 64), Square(), nn.Linear(64, 10)),
    )
    return {
        "784-128-128-10, squares": compiled(
            (784,), nn.Linear(784, 128), Square(), nn.Linear(128, 128), Square(), nn.Linear(128, 10)
        ),
        "Conv(1,4,7,s3)-256-64-10, squares": compiled(image, *cnn),
        "Conv(1,4,7,s3)-256-64-10, squares, encrypted weights": compiled(image, *cnn, weights="encrypted"),
        "784-64-10, SiLU of degree 7": compiled(
            (784,), nn.Linear(784, 64), nn.SiLU(), nn.Linear(64, 10), activation_degree=7
        ),
        "LeNet, squares": compiled(
            image,
            nn.Conv2d(1, 32, 5, 2, 2),
            Square(),
            nn.Conv2d(32, 64, 5, 2, 2),
            Square(),
            nn.Flatten(),
            nn.Linear(3136, 512),
            Square(),
            nn.Linear(512, 10),
        ),
        "784-128-10, 256 samples": compiled(
            (784,), nn.Linear(784, 128), Square(), nn.Linear(128, 10), objective="throughput", batch_size=256
        ),
        "20-16-1, throughput": compiled(
            (20,), nn.Linear(20, 16), Square(), nn.Linear(16, 1), objective="throughput"
        ),
        "Conv(3,32,3)-pool-Conv(32,32,3), 32 x 32": compiled(
            (3, 32, 32),
            nn.Conv2d(3, 32, 3, padding=1),
            Square(),
            nn.AvgPool2d(2),
            nn.Conv2d(32, 32, 3, padding=1),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(2048, 10),
        ),
    }


def measure(name: str, plan: Plan) -> Prediction:
    """Return the comparison for a plan that is run on random inputs."""
    public = plan.public()
    x = np.random.default_rng(0).uniform(0, 1, (plan.batch_size, *public.input_shape))
    _native.trim_pool()
    before = _native.pool_statistics().in_use
    key = SecretKey.generate(plan.parameters)
    engine = NativeEngine(plan.parameters, evaluation_keys=key.evaluation_keys(plan.key_spec))
    if plan.program.encrypted_weights:
        weights = encrypt_weights(plan, key.public_key())
        runner = Runner(plan.without_weights(), engine, encrypted_weights=weights)
    else:
        runner = Runner(plan, engine)
    runner.prepare()
    inputs = [
        key.encrypt(slots, level=plan.input_level, scale=plan.input_scale) for slots in public.pack_batch(x)
    ]
    _native.reset_pool_peak()
    results = runner.run(inputs)
    peak = _native.pool_statistics().peak
    outputs = public.unpack_batch([key.decrypt(c) for c in results])
    least = np.inf
    for _ in range(RUNS):
        start = time.process_time()
        runner.run(inputs)
        least = min(least, time.process_time() - start)
    exact = simulate(plan, x, noise=False)
    return Prediction(
        name,
        plan.batch_size,
        1e3 * plan.report.predicted_seconds,
        1e3 * least,
        plan.report.memory_bytes,
        peak - before,
        plan.report.predicted_error,
        float(np.abs(outputs - exact).max() / plan.report.output_range),
    )


def main() -> None:
    """Print a row for each network as soon as it is there."""
    options = arguments(__doc__ or "", threads=None)
    ledger = Ledger("Predicted and measured, 1 thread", options.json, options.markdown)
    for name, compiled_plan in networks().items():
        if options.only not in name:
            continue
        ledger.say(f"compile {name}")
        prediction = measure(name, compiled_plan())
        facts = asdict(prediction) | {
            "time_ratio": prediction.predicted_ms / prediction.measured_ms,
            "memory_ratio": prediction.predicted_bytes / prediction.measured_bytes,
            "error_share": prediction.worst_error / prediction.error_bound,
        }
        del facts["name"]
        reason = "compared with its own prediction"
        row = Row(
            name, "", "", 1, None, prediction.measured_ms, None, None, None, RUNS, reason, {"ours": facts}
        )
        ledger.add(row)
    print(ledger.markdown())


if __name__ == "__main__":
    main()
