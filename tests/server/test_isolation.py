"""A server process cannot load the secret key's modules."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hetorch.server.isolation import SECRET_MODULES

PROGRAM = """
import importlib, sys
from hetorch.server.isolation import isolate, loaded_secret_modules
isolate(); isolate()
import hetorch.server.app, hetorch.server.run, hetorch.server.models
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        assert "never hold a secret key" in str(error), error
    else:
        raise SystemExit(f"{{name}} was imported")
assert loaded_secret_modules() == []
assert not any(name == "torch" or name.startswith("torch.") for name in sys.modules), "torch is loaded"
print("isolated")
"""


def run(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_the_server_runs_without_them_and_refuses_them() -> None:
    result = run(PROGRAM.format(names=sorted(SECRET_MODULES)))
    assert result.stdout == "isolated\n", result.stderr


def test_a_process_that_has_them_cannot_become_a_server() -> None:
    result = run("import hetorch.engine.secret\nfrom hetorch.server.isolation import isolate\nisolate()")
    assert result.returncode == 1
    assert "start the server in a process of its own" in result.stderr


@pytest.mark.parametrize("module", ["hetorch.client", "hetorch.cli.main"])
def test_client_and_command_line_load_no_torch(module: str) -> None:
    result = run(f"import {module}, sys; print([m for m in ('torch', 'scipy') if m in sys.modules])")
    assert result.stdout == "[]\n", result.stderr
