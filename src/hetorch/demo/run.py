"""The demonstration from training to measurements, with server and client in processes of their own."""

from __future__ import annotations

import json
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from numpy.typing import NDArray

from hetorch import simulate
from hetorch.demo.child import python_child, stop, tail, wait_for_file
from hetorch.demo.digits import Digits, read_digits, split
from hetorch.demo.ending import ending_on_signal
from hetorch.demo.result import STEPS, Costs, DemoResult, SecurityRow, compare, relative_error
from hetorch.errors import HetorchError, InputError
from hetorch.params import ParameterSet
from hetorch.params.security import max_log2_qp
from hetorch.plan.plan import Plan
from hetorch.progress import Progress, counted
from hetorch.wire.addresses import STATUS

CALIBRATION_COUNT = 512
"""Number of training digits on which the plan is calibrated."""
SERVER_START_SECONDS = 120.0
"""Time that the server has to start before the demo fails."""
MODEL = "digits"


@dataclass(frozen=True, slots=True)
class Demonstration:
    """The measurements, and the data that a report shows beside them: the test digits, their logits in clear and
    decrypted, and `seen`, bytes of the first request as they were sent."""

    result: DemoResult
    plan: Plan
    test: Digits
    cleartext: NDArray[np.float64]
    encrypted: NDArray[np.float64]
    seen: NDArray[np.uint8]


def run_demo(samples: int, seed: int, progress: Progress) -> Demonstration:
    """Train, compile, serve, query `samples` test digits, and compare; child processes end in any case.

    Raises:
        InputError: there are not that many test digits.
        HetorchError: a part fails.
    """
    train_set, test_set = split(read_digits(), seed)
    if not 1 <= samples <= len(test_set.labels):
        raise InputError(
            f"samples must be 1..{len(test_set.labels)} (the test digits there are), got {samples}"
        )
    test = test_set.first(samples)
    clock = _Clock()
    plan, cleartext = _train_and_compile(train_set, test, seed, progress, clock)
    with ending_on_signal(), tempfile.TemporaryDirectory(prefix="hetorch-demo-") as folder:
        answers, peak = _serve_and_query(plan, test, Path(folder), progress, clock)
    encrypted = answers["logits"]
    polynomial = simulate(plan, test.images, noise=False)
    clock.lap("compare")
    sizes = [int(size) for size in answers["sizes"]]
    milliseconds = {step: 1e3 * answers[step] for step in STEPS}
    milliseconds["decrypt"] = milliseconds["decrypt"] + 1e3 * answers["download"]
    result = DemoResult(
        accuracy=compare(cleartext, encrypted, test.labels),
        polynomial_error=relative_error(polynomial, encrypted),
        costs=Costs(milliseconds, sizes[0], sizes[1], sizes[2], peak),
        security=_security_row(plan.parameters),
        seconds=clock.laps,
    )
    return Demonstration(result, plan, test, cleartext, encrypted, answers["seen"])


def _train_and_compile(
    train_set: Digits, test: Digits, seed: int, progress: Progress, clock: _Clock
) -> tuple[Plan, NDArray[np.float64]]:
    # torch takes seconds to import, and only this part of the demo needs it.
    from hetorch import compile as compile_model
    from hetorch.demo.training import logits_of, tensor_of, train

    model = train(train_set, seed, counted(progress, "training"))
    cleartext = logits_of(model, test.images)
    clock.lap("train")
    progress("compiling", 0.0)
    plan = compile_model(model, tensor_of(train_set.first(CALIBRATION_COUNT).images))
    progress("compiling", 1.0)
    clock.lap("compile")
    return plan, cleartext


def _serve_and_query(
    plan: Plan, test: Digits, folder: Path, progress: Progress, clock: _Clock
) -> tuple[dict[str, NDArray[Any]], int]:
    plan_folder, images, outputs = folder / f"{MODEL}.hetorch", folder / "images.npy", folder / "outputs.npz"
    ready, server_log, client_log = folder / "ready", folder / "server.log", folder / "client.log"
    plan.save(plan_folder)
    np.save(images, test.images)
    serve = ["serve", str(plan_folder), "--port", "0", "--ready-file", str(ready), "--json"]
    with python_child("hetorch.cli.main", serve, server_log) as server:
        progress("starting the server process", 0.0)
        url = wait_for_file(ready, server, server_log, SERVER_START_SECONDS)
        progress("starting the server process", 1.0)
        clock.lap("start server")
        arguments = [url, str(folder / "vault"), str(images), str(outputs)]
        with python_child("hetorch.demo.querier", arguments, client_log) as client:
            assert client.stdout is not None
            for line in client.stdout:
                stage, fraction = json.loads(line)
                progress(stage, fraction)
            if client.wait() != 0:
                raise HetorchError(
                    f"the client process failed: {tail(client_log)}; the server says: {tail(server_log)}"
                )
        numbers = httpx.get(f"{url}{STATUS}", trust_env=False).json()["numbers"]
        peak = int(
            numbers["peak_memory_bytes"] + numbers["worker_memory_bytes"]
        )  # workers keep what they took
        stop(server)
    clock.lap("query")
    with np.load(outputs, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}, peak


def _security_row(parameters: ParameterSet) -> SecurityRow:
    return SecurityRow(
        ring_degree=parameters.ring_degree,
        log2_qp=parameters.log2_qp,
        max_log2_qp=max_log2_qp(parameters.ring_degree, parameters.security),
        bits=parameters.security.bits,
        source=parameters.security.source,
    )


class _Clock:
    """A clock of parts that follow one another; `laps` has the seconds of each."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.perf_counter()

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self._last
        self._last = now
