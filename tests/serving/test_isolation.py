"""A server process cannot load the modules through which a secret key could come in, however it is started."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hetorch.errors import SecretImportError
from hetorch.server.app import create_app
from hetorch.serving.isolation import SECRET_MODULES, loaded_secret_modules
from hetorch.serving.models import ServedModel
from tests.server.small_plan import small_plan

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "service.md"
SERVER_PACKAGES = ("hetorch.server", "hetorch.serving", "hetorch.runtime", "hetorch.wire", "hetorch.plan")


def run(program: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False, cwd=folder
    )


def server_modules() -> list[str]:
    """Return the names of all modules that a server may run."""
    names = list(SERVER_PACKAGES)
    for package in map(importlib.import_module, SERVER_PACKAGES):
        names += [found.name for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    return names


ISOLATED = """
import importlib, sys
{start}
for name in {names!r}:
    try:
        importlib.import_module(name)
    except ImportError as error:
        assert "never hold a secret key" in str(error), error
    else:
        raise SystemExit(f"{{name}} was imported")
from hetorch.serving.isolation import loaded_secret_modules
assert loaded_secret_modules() == []
assert not any(name == "torch" or name.startswith("torch.") for name in sys.modules), "torch is loaded"
print("isolated")
"""

IMPORTERS = (
    "hetorch.client.vault",
    "hetorch.model_owner.encrypt",
    "hetorch.inspect.run_encrypted",
    "hetorch.tenseal",
)
"""Modules in or above the refused ones."""


@pytest.mark.parametrize(
    "start",
    [
        "from hetorch.serving.isolation import isolate; isolate(); isolate()",
        "from hetorch.server.app import create_app; create_app({})",
    ],
    ids=["isolate", "create_app"],
)
def test_the_server_runs_without_them_and_refuses_them(start: str) -> None:
    program = ISOLATED.format(start=start, names=sorted({*SECRET_MODULES, *IMPORTERS}))
    result = run(f"{program}\nimport hetorch.server.run, hetorch.server.app")
    assert result.stdout == "isolated\n", result.stderr


@pytest.mark.parametrize("module", ["hetorch.engine.secret", "hetorch.client.vault", "hetorch.tenseal"])
@pytest.mark.parametrize(
    "start",
    [
        "from hetorch.serving.isolation import isolate; isolate()",
        "import hetorch.server.app as s; s.create_app({})",
    ],
    ids=["isolate", "create_app"],
)
def test_a_process_that_has_them_cannot_become_a_server(module: str, start: str) -> None:
    result = run(f"import {module}\n{start}")
    assert result.returncode == 1
    assert "SecretImportError" in result.stderr
    assert module in result.stderr
    assert "start the server in a process of its own" in result.stderr


def test_an_application_beside_a_client_must_be_asked_for(served: ServedModel) -> None:
    """This process makes keys; tests.server.live therefore takes insecure_app_beside_secrets."""
    assert "hetorch.engine.secret" in loaded_secret_modules()
    with pytest.raises(SecretImportError, match=r"hetorch\.engine\.secret.*a process of its own"):
        create_app({"small": served})


def test_the_example_of_embedding_runs(tmp_path: Path) -> None:
    """It isolates its process, so it cannot run among the other examples of the documentation."""
    blocks = re.findall(r"^```python\n(.*?)^```$", DOCUMENTATION.read_text(), re.MULTILINE | re.DOTALL)
    (example,) = (block for block in blocks if "create_app" in block)
    small_plan().save(tmp_path / "digits.hetorch")
    result = run(f"{example}\nimport sys; print(type(app).__name__)\nimport hetorch.client", tmp_path)
    assert result.stdout == "Starlette\n", result.stderr
    assert "SecretImportError: the server process may not import hetorch.client" in result.stderr


def test_secret_modules_exist() -> None:
    """A module that moves must not leave the list behind."""
    for name in SECRET_MODULES:
        assert importlib.util.find_spec(name) is not None, name


FRESH = """
import importlib, json, os, sys
import numpy, starlette.applications, uvicorn  # loaded once for all; they load nothing of ours
problems = []
for name in {names!r}:
    read, write = os.pipe()
    if os.fork() == 0:  # nothing of hetorch is loaded here: as good as a new interpreter, and much faster
        try:
            importlib.import_module(name)
            from hetorch.serving.isolation import loaded_secret_modules
            outside = ("torch", "scipy", "sklearn", "onnx", "hetorch.compiler", "hetorch.model_owner")
            loaded = [m for m in sys.modules if any(m == o or m.startswith(o + ".") for o in outside)]
            problem = loaded_secret_modules() + loaded[:3]
        except BaseException as error:
            problem = [repr(error)]
        os.write(write, json.dumps(problem).encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        problem = json.loads(pipe.read() or '["the process died"]')
    os.wait()
    if problem:
        problems.append((name, problem))
assert not any(m.startswith("hetorch") for m in sys.modules)
print(json.dumps(problems))
"""


def test_each_server_module_by_itself_loads_no_secret_no_torch_and_no_compiler() -> None:
    """Each runs in a process of its own, where nothing else loads anything, so imports by name are seen too."""
    names = server_modules()
    assert len(names) > 30
    result = run(FRESH.format(names=names))
    assert result.stdout == "[]\n", result.stdout + result.stderr


@pytest.mark.parametrize("module", ["hetorch.client", "hetorch.cli.main"])
def test_client_and_command_line_load_no_torch(module: str) -> None:
    result = run(f"import {module}, sys; print([m for m in ('torch', 'scipy') if m in sys.modules])")
    assert result.stdout == "[]\n", result.stderr


def test_an_application_needs_no_uvicorn() -> None:
    """An embedder may have another ASGI server."""
    program = "import sys; from hetorch.server import create_app; print({'uvicorn', 'httptools'} & sys.modules.keys())"
    result = run(program)
    assert (result.returncode, result.stdout) == (0, "set()\n"), result.stderr
