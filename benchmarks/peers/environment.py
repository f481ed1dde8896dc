"""The environment of each peer, made when it is first needed and kept under build/peers."""

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
"""Seconds after which a peer that could not be installed is tried again, so that one run tries once."""


class PeerMissingError(Exception):
    """A peer cannot be run here; the message is the reason that its rows give."""


def interpreter(recipe: Recipe, home: Path = HOME) -> Path:
    """Return the Python in which the peer can be imported.

    An installation that failed with the same recipe is tried again after RETRY_SECONDS, or once build/peers/NAME is
    removed.

    Raises:
        PeerMissingError: there is none; the message is the reason.
    """
    folder = home / recipe.name
    python, stamp = folder / "bin" / "python", folder / "made"
    base = _base(recipe)
    # A Python that was missing may have been installed since.
    wanted = hashlib.sha256(repr((astuple(recipe), base is None)).encode()).hexdigest()
    recipe_hash, reason = stamp.read_text().split("\n", 1) if stamp.exists() else ("", "")
    stale = bool(reason) and time.time() - stamp.stat().st_mtime > RETRY_SECONDS
    if recipe_hash != wanted or stale or not (reason or python.exists()):
        folder.mkdir(parents=True, exist_ok=True)
        reason = _make(recipe, base, folder)
        stamp.write_text(f"{wanted}\n{reason}")
    if reason:
        raise PeerMissingError(reason)
    return python


def version_in(python: Path, distribution: str) -> str:
    """Return the installed version of a package; empty if it has none."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    done = subprocess.run([python, "-c", code, distribution], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def _make(recipe: Recipe, base: Path | None, folder: Path) -> str:
    """Make the environment; return the reason if that failed, else an empty text."""
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
    """Return the last error that a command printed, without names of folders of this machine."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()] or lines or ["no output"]
    return re.sub(r"(?:file://)?/[^\s'\"]+/", "", errors[-1])[:200]


def _base(recipe: Recipe) -> Path | None:
    """Return the first interpreter of a version that the recipe names; None if there is none."""
    for wanted in recipe.pythons:
        for candidate in _candidates(wanted):
            if _is_version(candidate, wanted):
                return candidate
    return None


def _candidates(wanted: str) -> Iterator[Path]:
    if sys.version_info[:2] == tuple(int(part) for part in wanted.split(".")):
        yield Path(sys.executable)
    command = shutil.which(f"python{wanted}")
    if command:
        yield Path(command)
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
