"""A deep network of small images: replicas share the work of its convolutions, and masks follow its bootstraps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.ir.he_operations import Bootstrap, LinearTransform, PairedTransform, Polynomial, RotateAdd
from hetorch.params.map_family import map_family
from hetorch.plan import Plan
from hetorch.plan.keys import required_keys

CHANNELS, BLOCKS = 16, 4
pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")


class Images(nn.Module):
    """Four residual blocks on images that repeat four times in the slots of a bootstrap."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, CHANNELS, 3, padding=1)
        # Seven levels, so that the polynomials of six in the blocks leave one for a mask.
        self.act = hetorch.approximate(nn.ReLU(), degree=127)
        self.maps = nn.ModuleList(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1) for _ in range(2 * BLOCKS))
        self.last = nn.Linear(CHANNELS * 16, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.act(self.first(x))
        for inner, outer in zip(self.maps[::2], self.maps[1::2], strict=True):
            x = torch.relu(x + outer(torch.relu(inner(x))))
        result: torch.Tensor = self.last(x.flatten(1))
        return result


def samples(count: int) -> torch.Tensor:
    return torch.rand(count, 1, 4, 4, generator=torch.Generator().manual_seed(2)) * 2 - 1


@pytest.fixture(scope="module")
def network() -> Images:
    torch.manual_seed(0)
    return Images().eval()


@pytest.fixture(scope="module")
def plan(network: Images) -> Plan:
    return hetorch.compile(network, samples(200), activation_degree=63, security="none", ring_degree=1 << 12)


def test_masks_stand_between_a_bootstrap_and_a_polynomial(plan: Plan) -> None:
    rows = plan.report.layers
    masks = [number for number, row in enumerate(rows) if row.kind == "mask"]
    assert len(masks) == BLOCKS
    for number in masks:
        assert rows[number - 1].kind == "bootstrap" and "relu" in rows[number + 1].kind
        assert (rows[number].diagonals, rows[number].rotations) == (1, 0)
    # A convolution of 16 channels and 9 taps takes 144 diagonals, and a quarter of them in four replicas.
    assert [row.diagonals for row in rows if row.kind == "Conv2d"][1:] == [36] * (2 * BLOCKS)


def test_maps_into_runs_and_out_of_them_have_rotations_beside_them(plan: Plan) -> None:
    operations = plan.program.operations
    kinds = [type(op) for op in operations]
    spreads = [
        number
        for number, op in enumerate(operations)
        if isinstance(op, RotateAdd)
        and 2 * op.steps > plan.program.slot_count
        and kinds[number - 1] in (Polynomial, RotateAdd, LinearTransform)
    ]
    assert len(spreads) == 2 * BLOCKS  # two for each map out of runs
    assert sum(kind is PairedTransform for kind in kinds) == 2 * BLOCKS
    assert sum(kind is Bootstrap for kind in kinds) == 2 * BLOCKS


def test_rotations_beside_maps_have_keys_of_the_maps_family(plan: Plan) -> None:
    families = set()
    for op in plan.program.operations:
        if isinstance(op, RotateAdd):
            families.add(op.rotation_family(plan.program, plan.parameters))
            assert op.rotation_family(plan.program, plan.parameters) == map_family(
                plan.parameters, op.level(plan.program)
            )
    assert {family.pair for family in families} == {(4, 5)}
    assert required_keys(plan.program, plan.weights, plan.parameters) == plan.key_spec


def test_outputs_are_those_of_torch_in_clear_and_encrypted(network: Images, plan: Plan) -> None:
    x = samples(203)[200:]
    with torch.no_grad():
        truth = network(x).numpy()
    exact, noisy = simulate(plan, x.numpy(), noise=False), simulate(plan, x.numpy())
    span, bound = plan.report.output_range, plan.report.predicted_error
    assert np.abs(exact - truth).max() <= 2 * plan.report.approximation_error * span
    assert 0 < np.abs(noisy - exact).max() <= bound * span
    assert np.abs(run_encrypted(plan, x.numpy()[:1]) - exact[:1]).max() <= bound * span
