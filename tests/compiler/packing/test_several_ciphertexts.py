"""Tensors that no single ciphertext holds, and several samples side by side."""

from __future__ import annotations

import functools
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.compiler.packing.baby_giant import split
from hetorch.compiler.packing.lower import lower
from hetorch.compiler.packing.placements import Grid, Placement, compact, cut, on_grid
from hetorch.errors import InputError, PlanError
from hetorch.ir.interpreter import run_he_program
from hetorch.ir.layout import Layout
from hetorch.plan import Plan
from tests.compiler.networks import Square


def placed(size: int, kind: int, slots: int) -> Placement:
    if kind == 0:
        return cut(compact(size), slots)
    # An image of 2 x 4 pixels with `size` / 8 channels, strided so that gaps hold channels.
    image = on_grid((-(-size // 8), 2, 4), Grid(8, (2, 2), 32), (2, 2) if kind == 1 else (1, 1))
    assert image is not None
    return cut(Placement(image.positions[:, :size], image.period, "image", image.grid), slots)


@given(
    st.integers(0, 2**31),
    st.integers(1, 100),
    st.integers(1, 100),
    st.integers(0, 2),
    st.integers(0, 2),
    st.integers(0, 5),
    st.floats(0, 1),
)
@settings(max_examples=150, deadline=None)
def test_maps_between_cut_placements(
    seed: int, rows: int, columns: int, kind_in: int, kind_out: int, log_slots: int, density: float
) -> None:
    generator = np.random.default_rng(seed)
    slots = 1 << log_slots
    source, result = placed(columns, kind_in, slots), placed(rows, kind_out, slots)
    dense = generator.standard_normal((rows, columns)) * (generator.random((rows, columns)) < density)
    matrix = sparse.csr_array(dense)
    before, after = source.layout((columns,), slots), result.layout((rows,), slots)
    x = generator.standard_normal(columns)
    packed = before.pack(x)
    for array, index in zip(packed, before.index_of_slot, strict=True):
        array[index < 0] = 1e6  # what lies in unused slots must not matter
    lowered = lower(matrix, source, result, slots)
    found = lowered.transform.apply(packed)
    for steps in lowered.folds:
        found = [array + np.roll(array, -steps) for array in found]
    for array, expected in zip(found, after.pack(dense @ x), strict=True):
        np.testing.assert_allclose(array, expected, atol=1e-9)
    t = lowered.transform
    # (A step by all slots is counted as one, and is none.)
    assert lowered.babies >= len({(i, b) for i, b in zip(t.inputs, t.babies, strict=True) if b})
    assert lowered.giants >= len({(o, g) for o, g in zip(t.outputs, t.giants, strict=True) if g})
    assert lowered.max_diagonals_per_output == max(np.bincount(t.outputs))


def test_no_diagonal_for_blocks_of_zeros() -> None:
    matrix = sparse.csr_array(sparse.block_diag([np.ones((16, 16)), np.ones((16, 16))]))
    lowered = lower(matrix, cut(compact(32), 16), cut(compact(32), 16), 16)
    assert lowered.diagonals == 32  # of 64: the two blocks off the diagonal are not there
    assert set(zip(lowered.transform.outputs.tolist(), lowered.transform.inputs.tolist(), strict=True)) == {
        (0, 0),
        (1, 1),
    }


def test_every_input_is_rotated_for_itself() -> None:
    k = np.tile(np.arange(16), 2)
    inputs = np.repeat([0, 1], 16)
    parts = split(k, 16, np.zeros(32, dtype=np.int64), inputs)
    assert np.array_equal(parts.representatives % 16, k)
    babies = {(int(i), int(b)) for i, b in zip(inputs, parts.babies, strict=True) if b}
    assert parts.baby_count == len(babies)


@given(st.integers(0, 2**31), st.integers(0, 3), st.integers(0, 4), st.integers(1, 20))
def test_layouts_of_batches(seed: int, log_batch: int, log_width: int, size: int) -> None:
    generator = np.random.default_rng(seed)
    batch, width = 1 << log_batch, 1 << log_width
    layout = cut(compact(size), width).layout((size,), width, batch)
    count = int(generator.integers(1, batch + 1))
    samples = generator.standard_normal((count, size))
    slots = layout.pack_batch(samples)
    assert len(slots) == -(-size // width)
    for element in range(size):
        part, position = divmod(element, width)
        for sample in range(batch):
            expected = samples[min(sample, count - 1), element]
            assert slots[part][position * batch + sample] == expected
    np.testing.assert_allclose(layout.unpack_batch(slots)[:count], samples, rtol=1e-12)


def test_layouts_refuse_what_is_no_batch() -> None:
    layout = Layout.periodic((3,), 16, [0, 1, 2, -1], 4)
    for wrong in (np.zeros((5, 3)), np.zeros((0, 3)), np.zeros(3), np.zeros((1, 2))):
        with pytest.raises(InputError, match="1 to 4 samples"):
            layout.pack_batch(wrong)
    for batch in (0, 3, 32):
        with pytest.raises(PlanError):
            Layout.periodic((3,), 16, [0, 1, 2, -1], batch)


def wide_network() -> nn.Module:
    torch.manual_seed(2)
    return nn.Sequential(
        nn.Conv2d(3, 24, 3, padding=1),
        Square(),
        nn.AvgPool2d(2),
        nn.Conv2d(24, 40, 3, stride=2, padding=1),
        nn.SiLU(),
        nn.Flatten(),
        nn.Linear(640, 10),
    ).eval()


@functools.cache
def wide_plan(objective: str, batch_size: int | None) -> Plan:
    """24 x 16 x 16 values on ciphertexts of 1024 slots."""
    generator = torch.Generator().manual_seed(1)
    inputs = torch.randn(32, 3, 16, 16, generator=generator)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return hetorch.compile(
            wide_network(),
            inputs,
            ring_degree=2048,
            security="none",
            activation_degree=3,
            objective=objective,
            batch_size=batch_size,
        )


def reference(x: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return np.asarray(wide_network()(torch.from_numpy(x).float()).double())


@pytest.mark.parametrize("batch_size", [1, 3])
def test_a_network_over_several_ciphertexts_encrypted(batch_size: int) -> None:
    plan = wide_plan("latency", batch_size)
    counts = {layout.shape: layout.ciphertext_count for layout in plan.program.layouts}
    assert counts[(24, 16, 16)] >= 6 and plan.batch_size == {1: 1, 3: 4}[batch_size]
    generator = np.random.default_rng(5)
    x = generator.standard_normal((batch_size, 3, 16, 16))
    expected = simulate(plan, x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = run_encrypted(plan, x)
    bound = plan.report.predicted_error * plan.report.output_range
    assert np.abs(found - expected).max() < 2 * bound
    # And the program is the network: only the polynomial for SiLU lies between them.
    limit = (plan.report.approximation_error + 2 * plan.report.predicted_error) * plan.report.output_range
    assert np.abs(found - reference(x)).max() < 1.5 * limit


def test_the_program_of_a_batch_keeps_samples_apart() -> None:
    plan = wide_plan("latency", 3)
    x = np.random.default_rng(6).standard_normal((4, 3, 16, 16))
    slots = run_he_program(plan.program, plan.weights, plan.input_layout.pack_batch(x))
    together = plan.output_layout.unpack_batch(slots)
    for sample, result in zip(x, together, strict=True):
        alone = run_he_program(plan.program, plan.weights, plan.input_layout.pack(sample))
        np.testing.assert_allclose(plan.output_layout.unpack(alone), result, atol=1e-9)


@pytest.mark.filterwarnings(
    "ignore::hetorch.errors.InputRangeWarning"
)  # new samples leave the range a little
def test_throughput_has_an_element_a_ciphertext_and_rotates_nothing() -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.Linear(9, 6), Square(), nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)).eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = hetorch.compile(
            network,
            torch.randn(64, 9),
            ring_degree=2048,
            security="none",
            activation_degree=3,
            objective="throughput",
        )
        assert plan.batch_size == 1024 and plan.input_layout.ciphertext_count == 9
        assert not plan.key_spec.galois
        x = np.random.default_rng(7).standard_normal((1030, 9))  # a full run and a short one
        found = run_encrypted(plan, x)
    expected = simulate(plan, x)
    bound = plan.report.predicted_error * plan.report.output_range
    assert found.shape == (1030, 2) and np.abs(found - expected).max() < 2 * bound
