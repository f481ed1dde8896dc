"""An environment with flwr, whose pins the project's own packages do not fit: build/flower in the checkout."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "build" / "flower"
PYTHON = FOLDER / "bin" / "python"


def requirements() -> list[str]:
    """What `pip install 'hetorch[flower]'` would install beside hetorch, and what runs tests."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [
        *project["dependencies"],
        *project["optional-dependencies"]["flower"],
        "pytest>=8.3",
        "pytest-timeout>=2.3",
    ]


def flower_environment() -> Path:
    """Return the interpreter of the environment, which is made when it is first needed, with hetorch as it is here."""
    stamp = FOLDER / "requirements.txt"
    wanted = "\n".join([sys.version, *requirements()])
    if not (stamp.exists() and stamp.read_text() == wanted):
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(FOLDER)], check=True)
        command = [str(PYTHON), "-m", "pip", "install", "-q", "--disable-pip-version-check", *requirements()]
        subprocess.run(command, check=True, timeout=1800)
        stamp.write_text(wanted)
    _copy_package()
    return PYTHON


def _copy_package() -> None:
    """Copy the package with its extension modules, which an editable installation keeps somewhere else."""
    from hetorch.engine import _native

    (packages,) = FOLDER.glob("lib/python*/site-packages")
    target = packages / "hetorch"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "hetorch", target, ignore=shutil.ignore_patterns("__pycache__"))
    for library in Path(_native.__file__).parent.glob("*.so*"):
        shutil.copy2(library, target / "engine" / library.name)
