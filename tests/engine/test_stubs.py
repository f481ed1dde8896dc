"""The type stubs of the compiled modules are what their generator makes of the modules as built."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import hetorch.engine.native

FOLDER = Path(hetorch.engine.native.__file__).parent


@pytest.mark.parametrize("module", ["_native", "_secret"])
def test_stub_is_up_to_date(module: str, tmp_path: Path) -> None:
    made = tmp_path / f"{module}.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", f"hetorch.engine.{module}", "-o"]
    subprocess.run([*command, str(made)], check=True, timeout=60)
    stub = FOLDER / f"{module}.pyi"
    again = f"python -m nanobind.stubgen -m hetorch.engine.{module} -o src/hetorch/engine/{module}.pyi"
    assert stub.is_file() and stub.read_text() == made.read_text(), f"run: {again}"
