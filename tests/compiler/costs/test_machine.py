"""The constants of a machine: they are measured, stored and read back, and plans and costs depend on them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from torch import nn

import hetorch
from hetorch.compiler.costs.machine import DEFAULT, Machine, default_path, load_machine, store_machine
from hetorch.compiler.costs.model import CostModel
from hetorch.errors import InputError
from hetorch.plan import Plan


def compiled() -> Plan:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(30, 20), nn.SiLU(), nn.Linear(20, 3)).eval()
    return hetorch.compile(network, torch.randn(100, 30), activation_degree=3)


def test_measured_constants_are_stored_and_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "cache" / "tuning.json"
    monkeypatch.setenv("HETORCH_TUNING", str(path))
    assert load_machine() is DEFAULT and default_path() == path
    stages: list[str] = []
    machine = hetorch.tune(ring_degrees=(1 << 10,), seconds=1e-4, progress=lambda s, f: stages.append(s))
    times = machine.times[1 << 10]
    for name in times.__slots__:
        assert 0 <= getattr(times, name) < 1e-2
    # Sums of several constants cannot vanish in a fit of times above 0.
    assert times.rotate + times.rotate_limb > 0 and times.product + times.down > 0 and times.constant > 0
    again = load_machine()
    assert again.to_bytes() == machine.to_bytes() and again.name == machine.name
    assert machine.name.startswith("tuned ") and len(stages) == 2
    plan = compiled()
    assert plan.report.machine == machine.name and plan.report.threads == machine.threads
    assert compiled().fingerprint == plan.fingerprint
    monkeypatch.setenv("HETORCH_TUNING", str(tmp_path / "none"))
    assert compiled().report.machine == "default"


def test_other_rings_are_in_proportion() -> None:
    alone = Machine("tuned", {1 << 13: DEFAULT.times[1 << 13]})
    smaller, larger = alone.at(1 << 11), alone.at(1 << 16)
    assert smaller.product < alone.at(1 << 13).product / 3 and larger.product > 8 * alone.at(1 << 13).product


def test_files_of_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "tuning.json"
    store_machine(DEFAULT, path)
    good = json.loads(path.read_bytes())
    changes: tuple[dict[str, object], ...] = (
        {"format": "other"},
        {"version": 99},
        {"threads": 0},
        {"times": {}},
        {"times": {"8192": {"product": 1.0}}},
        {"times": {"1000": good["times"]["8192"]}},
        {"times": {"8192": good["times"]["8192"] | {"add": -1.0}}},
        {"more": 1},
    )
    for change in changes:
        path.write_text(json.dumps(good | change))
        with pytest.raises(InputError, match="hetorch tune again"):
            load_machine(path)
    path.write_bytes(b"\xff" * 10)
    with pytest.raises(InputError, match="not valid JSON"):
        load_machine(path)
    with pytest.raises(InputError, match="cannot be written"):
        store_machine(DEFAULT, path / "below" / "a-file")
    for wrong in ((), (1000,), (1 << 20,)):
        with pytest.raises(InputError, match="ring_degrees"):
            hetorch.tune(path, ring_degrees=wrong)
    with pytest.raises(InputError, match="seconds"):
        hetorch.tune(path, ring_degrees=(1 << 10,), seconds=0)


def test_more_work_costs_more() -> None:
    model = CostModel(2, 2, 1 << 14)
    base = model.transform(3, 10, 4, 3, 2)
    assert model.transform(3, 11, 4, 3, 2) > base and model.transform(3, 10, 5, 3, 2) > base
    assert model.transform(3, 10, 4, 4, 2) > base and model.transform(3, 10, 4, 3, 3) > base
    assert model.transform(4, 10, 4, 3, 2) > base and model.transform(3, 10, 4, 3, 2, 2, 2) > base
    assert model.transform(3, 10, 0, 0, 0, 5, 5, constants=True) < model.transform(3, 10, 0, 0, 0, 5, 5)
