"""The predicted memory of a run, compared with the measured one, and the limit that encoding weights late keeps."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch.engine import _native
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.errors import PlanError
from hetorch.ir.he_operations import AddBias, LinearTransform
from hetorch.plan import Plan
from hetorch.plan.memory import key_memory, predict_memory
from hetorch.runtime import Runner
from hetorch.runtime.pieces import pieces_within


@functools.cache
def plan(batch_size: int = 1) -> Plan:
    """Return a plan with several ciphertexts for each tensor, so that there are pieces to cut."""
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(2, 16, 3, padding=1), nn.SiLU(), nn.Conv2d(16, 12, 3, padding=1), nn.SiLU()
    )
    network = nn.Sequential(network, nn.Flatten(), nn.Linear(12 * 144, 4)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hetorch.compile(
            network,
            torch.randn(16, 2, 12, 12),
            ring_degree=2048,
            security="none",
            activation_degree=3,
            batch_size=batch_size,
        )


@pytest.mark.parametrize("batch_size", [1, 1024])
def test_encoded_weights_take_what_was_predicted(batch_size: int) -> None:
    made = plan(batch_size)
    engine = NativeEngine(made.parameters)
    for op in made.program.operations:
        predicted = op.weight_bytes(made.program, made.parameters, made.weights)
        if isinstance(op, LinearTransform):
            source, result = made.program.values[op.inputs[0]], made.program.values[op.results[0]]
            prepared = engine.prepare_transform(
                op.diagonals(made.program, made.weights),
                level=source.level,
                input_scale=source.scale,
                output_scale=result.scale,
            )
            assert prepared.byte_count == predicted
        else:
            assert (predicted > 0) == isinstance(op, AddBias)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("batch_size", [1, pytest.param(64, marks=pytest.mark.slow), 1024])
def test_ring_elements_of_a_run_take_what_was_predicted(batch_size: int) -> None:
    made = plan(batch_size)
    public = made.public()
    packed = public.pack(np.zeros(public.input_shape))
    _native.trim_pool()
    before = _native.pool_statistics().in_use
    key = SecretKey.generate(made.parameters)
    engine = NativeEngine(made.parameters, evaluation_keys=key.evaluation_keys(made.key_spec))
    inputs = [key.encrypt(slots, level=made.input_level, scale=made.input_scale) for slots in packed]
    _native.reset_pool_peak()
    Runner(made, engine).run(inputs)
    measured = _native.pool_statistics().peak - before
    threads = _native.thread_count()
    memory = predict_memory(made.program, made.parameters, made.key_spec, made.weights, threads)
    # Numbers in place of diagonals are no ring elements: the pool does not hold them.
    numbers = sum(
        op.weight_bytes(made.program, made.parameters, made.weights)
        for op in made.program.operations
        if batch_size == 1024 and isinstance(op, LinearTransform)
    )
    assert abs((memory.total - numbers) / measured - 1) < 0.15


@pytest.mark.filterwarnings("ignore")
def test_keys_take_exactly_what_was_predicted() -> None:
    made = plan()
    key = SecretKey.generate(made.parameters)
    _native.trim_pool()
    before = _native.pool_statistics().in_use
    keys = key.evaluation_keys(made.key_spec)
    taken = _native.pool_statistics().in_use - before
    assert taken == key_memory(made.parameters, made.key_spec)
    del keys


@pytest.mark.filterwarnings("ignore")
def test_a_limit_is_kept_with_the_same_bits() -> None:
    made = plan()
    memory = predict_memory(made.program, made.parameters, made.key_spec, made.weights)
    assert made.report.memory_bytes == memory.total and memory.keys == key_memory(
        made.parameters, made.key_spec
    )
    assert pieces_within(made, memory.total) == {} == pieces_within(made, None)
    key = SecretKey.generate(made.parameters)
    engine = NativeEngine(made.parameters, evaluation_keys=key.evaluation_keys(made.key_spec))
    x = np.random.default_rng(0).standard_normal((2, 12, 12))
    inputs = [
        key.encrypt(slots, level=made.input_level, scale=made.input_scale) for slots in made.public().pack(x)
    ]
    whole = Runner(made, engine)
    expected = [key.decrypt(c) for c in whole.run(inputs)]
    with pytest.raises(PlanError, match=r"the memory limit is 1 MB \(1000000 bytes\);") as refused:
        Runner(made, engine, memory_limit=1_000_000)
    least = int(re.search(r"at least [^(]*\((\d+) bytes\)", str(refused.value))[1])  # type: ignore[index]
    assert least < memory.total - memory.weights // 10
    with pytest.raises(PlanError, match="at least"):
        pieces_within(made, least - 1)
    for limit in (memory.total - 1, (memory.total + least) // 2, least):
        assert pieces_within(made, limit)
        found = [key.decrypt(c) for c in Runner(made, engine, memory_limit=limit).run(inputs)]
        for a, b in zip(found, expected, strict=True):
            np.testing.assert_array_equal(a, b)
    assert any(len(cut) > 1 for cut in pieces_within(made, least).values())


PROGRAM = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.plan import Plan
from hetorch.plan.memory import predict_memory
from hetorch.runtime import Runner

def status(field):
    for line in open("/proc/self/status"):
        if line.startswith(field + ":"):
            return 1024 * int(line.split()[1])

plan = Plan.load(sys.argv[1])
public = plan.public()
key = SecretKey.generate(plan.parameters)
NativeEngine(plan.parameters)
packed = public.pack(np.zeros(public.input_shape))
before = status("VmRSS")
inputs = [key.encrypt(s, level=plan.input_level, scale=plan.input_scale) for s in packed]
engine = NativeEngine(plan.parameters, evaluation_keys=key.evaluation_keys(plan.key_spec))
Runner(plan, engine).run(inputs)
print(predict_memory(plan.program, plan.parameters, plan.key_spec, plan.weights).total, status("VmHWM") - before)
"""


@pytest.mark.slow
def test_the_peak_of_a_run_is_within_15_percent(tmp_path: Path) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(700, 600), nn.SiLU(), nn.Linear(600, 500)).eval()
    made = hetorch.compile(network, torch.randn(64, 700), activation_degree=3, ring_degree=1 << 14)
    made.save(tmp_path / "plan")
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path / "plan")],
        capture_output=True,
        text=True,
        check=True,
        env={"HETORCH_NUM_THREADS": "1", "PATH": ""},
    )
    predicted, measured = map(int, done.stdout.split())
    assert abs(measured / predicted - 1) < 0.15, (predicted, measured)
