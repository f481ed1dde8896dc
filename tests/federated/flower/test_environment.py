"""The tests that need flwr in this process, in its environment; and what is said where it is missing or too old."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
import types
from pathlib import Path

import pytest

import hetorch.federated.flower
from hetorch.errors import MissingPackageError
from tests.federated.flower.environment import ROOT, flower_environment


@pytest.mark.slow
@pytest.mark.flower
@pytest.mark.timeout(2400)
def test_the_mod_and_the_strategy_in_the_environment_of_flwr() -> None:
    command = [str(flower_environment()), "-m", "pytest", "--noconftest", "-q", "-p", "no:cacheprovider"]
    tests = str(Path(__file__).with_name("test_in_process.py"))
    run = subprocess.run(
        [*command, tests], cwd=ROOT, capture_output=True, text=True, timeout=1800, check=False
    )
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout and "skipped" not in run.stdout


def test_an_old_flwr_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "flwr", types.ModuleType("flwr"))
    monkeypatch.setattr(importlib.metadata, "version", lambda name: "1.9.0")
    with pytest.raises(MissingPackageError, match=r"needs flwr 1.42 or newer, 1.9.0 is installed"):
        getattr(hetorch.federated.flower, "EncryptedFedAvg")  # noqa: B009
