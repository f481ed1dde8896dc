"""The results that `scripts/bench training` keeps: a JSON file for each stage and seed, valid until its sources change.

An interruption so costs the stage that was running, and nothing that ended before it.
"""

from __future__ import annotations

import functools
import hashlib
import json
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import ROOT

SOURCES = ROOT / "src" / "hetorch"
NOT_IN_TRAINING = ("__init__.py", "report.py", "training_report.py")
"""Files of hetorch.train, beside those of its search, that fine_tune does not use."""


def kept(folder: Path, stage: str) -> dict[str, Any] | None:
    """Return what a stage has kept in the folder; None if it has not, or its sources have changed since."""
    path = folder / f"{stage}.json"
    if not path.exists():
        return None
    data = json.loads(path.read_text())
    facts: dict[str, Any] = data["facts"]
    return facts if data["sources"] == sources(stage) else None


def keep(folder: Path, stage: str, facts: dict[str, Any]) -> None:
    """Keep the facts of a stage that has ended, in one step: a reader never sees half of the file."""
    part = folder / f"{stage}.json.part"
    part.write_text(json.dumps({"sources": sources(stage), "facts": facts}, indent=1))
    part.replace(folder / f"{stage}.json")


@functools.cache
def sources(stage: str) -> str:
    """Return a hash of the files that decide a stage's results: those of fine_tune for "tune", all for others.

    Concrete ML's stage has a name for each number of threads, "concrete-1", and depends on its own worker alone.
    """
    benchmarks = ROOT / "benchmarks"
    paths = [benchmarks / "training_tasks.py", benchmarks / "training_tuning.py"]
    if stage == "tune":
        training = (SOURCES / "train").glob("*.py")
        paths += [p for p in training if p.name not in NOT_IN_TRAINING and not p.name.startswith("search")]
    elif stage.startswith("concrete"):
        paths = [benchmarks / "training_tasks.py", benchmarks / "peers" / "concrete_training.py"]
    else:
        paths += [
            *SOURCES.rglob("*.py"),
            *SOURCES.rglob("*.so"),
            *(benchmarks / name for name in ("ranges.py", "training_stages.py")),
        ]
    digest = hashlib.sha256()
    for path in sorted(paths):
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()
