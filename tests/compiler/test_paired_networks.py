"""A deep network whose maps multiply two diagonals at once, compiled, in clear and encrypted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import hetorch
from hetorch import run_encrypted, simulate
from hetorch.ir.he_operations import Add, AddBias, Bootstrap, DropLevel, PairedTransform, RotateAdd
from hetorch.params.map_family import map_family
from hetorch.plan import Plan
from tests.compiler.test_deep_networks import SMALL, Residual

SIZE = 64
pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")


@pytest.fixture(scope="module")
def plan() -> Plan:
    torch.manual_seed(3)
    return hetorch.compile(Residual(5, SIZE).eval(), samples(200), activation_degree=127, **SMALL)


def samples(count: int) -> torch.Tensor:
    return torch.rand(count, SIZE, generator=torch.Generator().manual_seed(2)) * 2 - 1


def test_bootstraps_follow_pairs(plan: Plan) -> None:
    program = plan.program
    pairs = [op for op in program.operations if isinstance(op, PairedTransform)]
    assert len(pairs) > 3
    waiting, harmless = [value for op in pairs for value in op.results], (Add, AddBias, DropLevel, RotateAdd)
    while waiting:
        value = waiting.pop()
        assert value not in program.outputs
        readers = [op for op in program.operations if value in op.reads]
        assert readers and all(isinstance(op, (*harmless, Bootstrap)) for op in readers)
        waiting += [made for op in readers if isinstance(op, harmless) for made in op.makes]
    for op in pairs:
        count = len(plan.weights[f"{op.weight}.values"])
        words = op.weight_bytes(program, plan.parameters, plan.weights) / 8
        period = plan.weights[f"{op.weight}.values"].shape[1]
        rows = 1 if op.coefficients else op.level(program) + 1 + 4
        # A dense map has all diagonals: half as many products.
        assert words == count / 2 * rows * max(2 * period, 16)


def test_keys_of_maps_are_of_their_family(plan: Plan) -> None:
    families = {link.family for link in plan.key_spec.links}
    levels = {op.level(plan.program) for op in plan.program.operations if isinstance(op, PairedTransform)}
    assert {map_family(plan.parameters, level).pair for level in levels} == {(4, 5)}
    assert map_family(plan.parameters, min(levels)) in families


def test_outputs_are_the_same_encrypted(plan: Plan) -> None:
    x = samples(1).numpy()
    exact = simulate(plan, x, noise=False)
    bound = plan.report.predicted_error * plan.report.output_range
    assert np.abs(run_encrypted(plan, x) - exact).max() <= bound
