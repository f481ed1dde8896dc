"""An environment of its own for each peer, made when it is first asked for and kept under build/peers."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

from benchmarks.peers.recipes import Recipe

ROOT = Path(__file__).parents[2]
HOME = ROOT / "build" / "peers"
INSTALL_SECONDS = 900
RETRY_SECONDS = 3600
"""A peer that could not be installed is not tried again before, so that one run asks once."""


class PeerMissingError(Exception):
    """A peer cannot be run here; the message is the reason that its rows give."""


def interpreter(recipe: Recipe, home: Path = HOME) -> Path:
    """The Python in which the peer imports; PeerMissingError with the reason if there is none.

    What failed with the same recipe is tried again after an hour, or once build/peers/NAME is removed.
    """
    folder = home / recipe.name
    python, stamp = folder / "bin" / "python", folder / "made"
    base = _base(recipe)
    # A Python that was missing may have come since.
    wanted = hashlib.sha256(repr((astuple(recipe), base is None)).encode()).hexdigest()
    made = stamp.read_text().split("\n", 1) if stamp.exists() else ["", ""]
    stale = bool(made[1]) and time.time() - stamp.stat().st_mtime > RETRY_SECONDS
    if made[0] != wanted or stale or not (made[1] or python.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        reason = _make(recipe, base, folder)
        stamp.write_text(f"{wanted}\n{reason}")
        made = [wanted, reason]
    if made[1]:
        raise PeerMissingError(made[1])
    return python


def version_in(python: Path, distribution: str) -> str:
    """The installed version of a package; empty if it says none."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, distribution], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _make(recipe: Recipe, base: Path | None, folder: Path) -> str:
    """Empty, or why the environment could not be made."""
    if base is None:
        return f"not installed: needs Python {' or '.join(recipe.pythons)}, which was not found"
    print(f"peers: installing {recipe.title} into an environment of its own", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    folder.mkdir(parents=True)
    python = folder / "bin" / "python"
    commands: list[list[str | Path]] = [
        [base, "-m", "venv", *([] if recipe.steps else ["--without-pip"]), folder]
    ]
    pip: list[str | Path] = [python, "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    commands += [[*pip, *step] for step in recipe.steps]
    commands.append([python, "-W", "ignore", "-c", recipe.check])
    with (folder / "install.log").open("w") as log:
        for command in commands:
            try:
                done = subprocess.run(
                    command, stdout=log, stderr=subprocess.STDOUT, check=False, timeout=INSTALL_SECONDS
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                return f"not installed: {type(error).__name__}"
            if done.returncode:
                log.flush()
                return f"not installed: {_last_line(folder / 'install.log')}"
    return ""


def _last_line(log: Path) -> str:
    """What a failed command said last, without names of folders of this machine."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines or ["no output"]
    return re.sub(r"(?:file://)?/[^\s'\"]+/", "", errors[-1])[:200]


def _base(recipe: Recipe) -> Path | None:
    """The first interpreter of one of the versions that the recipe names."""
    for wanted in recipe.pythons:
        for candidate in _candidates(wanted):
            if _is_version(candidate, wanted):
                return candidate
    return None


def _candidates(wanted: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(int(part) for part in wanted.split(".")):
        yield Path(sys.executable)
    found = shutil.which(f"python{wanted}")
    if found:
        yield Path(found)
    roots = [os.environ.get("PYENV_ROOT", ""), os.path.expanduser("~/.pyenv")]
    for root in filter(None, roots):
        yield from sorted((Path(root) / "versions").glob(f"{wanted}.*/bin/python"), reverse=True)


def _is_version(python: Path, wanted: str) -> bool:
    code = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"
    try:
        done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and done.stdout.strip() == wanted
