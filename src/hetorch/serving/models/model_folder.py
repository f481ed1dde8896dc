"""A folder with the models of a server, which may change while the server runs.

Each model is a folder with its name, and each version in it the folder of a plan, `000002-0f3a5b…`: a number that grows
with each version, and the beginning of the plan's fingerprint. The highest number is the newest version. A version
appears and goes whole, by being renamed; names that begin with a dot are not looked at.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from hetorch.engine.backend import NATIVE
from hetorch.errors import HetorchError, InputError, PlanUseError, StorageError
from hetorch.plan.plan import Plan
from hetorch.serving.models.registry import Registry
from hetorch.serving.models.served_model import ServedModel, model_name, serve_plan
from hetorch.wire.answers import MODEL_NAME

DIGITS = 12
"""Digits of a fingerprint in the name of a version's folder."""
_VERSION = re.compile(rf"([0-9]{{6}})-([0-9a-f]{{{DIGITS}}})")


@dataclass(frozen=True, slots=True, order=True)
class Version:
    """A version of a model: its name, its number, the beginning of its plan's fingerprint, and its folder."""

    name: str
    number: int
    fingerprint: str
    path: Path


class ModelFolder:
    """A folder of models, for a server that runs them on `engine` within `memory_limit` (serve_plan)."""

    def __init__(self, path: Path, engine: str = NATIVE.name, memory_limit: int | None = None) -> None:
        self.path = path
        self._engine = engine
        self._memory_limit = memory_limit

    def versions(self) -> tuple[Version, ...]:
        """Return all versions, those of one model from the oldest to the newest; StorageError without the folder."""
        try:
            models = [entry.name for entry in os.scandir(self.path) if MODEL_NAME.fullmatch(entry.name)]
        except OSError as error:
            raise StorageError(f"cannot read the models in {self.path}: {error.strerror or error}") from None
        return tuple(version for name in sorted(models) for version in self._versions(name))

    def load(self, version: Version) -> ServedModel:
        """Return a version ready to be served; the errors are those of Plan.load and serve_plan."""
        plan = Plan.load(version.path)
        return serve_plan(version.name, plan, self._memory_limit, engine=self._engine, folder=version.path)

    def add(self, plan: Path, name: str | None = None) -> Version:
        """Copy a plan into the folder as the newest version of a model.

        Args:
            plan: the plan's folder.
            name: the model's name; that of the plan's folder without .hetorch if left out.

        Raises:
            InputError: the name cannot be a model's, or this version is the newest already.
            StorageError, PlanFormatError: the plan cannot be read, or the copy cannot be written.
        """
        name = model_name(plan) if name is None else name
        if not MODEL_NAME.fullmatch(name):
            raise InputError(
                f"{name!r} is not the name of a model; names have letters, digits, '.', '_', '-'"
            )
        fingerprint = Plan.load(plan).public().fingerprint[:DIGITS]
        there = self._versions(name)
        if there and there[-1].fingerprint == fingerprint:
            raise InputError(f"{name!r} has this plan, {fingerprint}…, as its newest version already")
        number = there[-1].number + 1 if there else 1
        target = self.path / name / f"{number:06}-{fingerprint}"
        with _told(f"cannot write {target}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            older = [version for version in there if version.fingerprint == fingerprint]
            if older:  # an old version becomes the newest again
                older[0].path.rename(target)
            else:
                copy = target.with_name(f".new-{os.urandom(8).hex()}")
                try:
                    shutil.copytree(plan, copy)
                    copy.rename(target)
                except BaseException:
                    shutil.rmtree(copy, ignore_errors=True)
                    raise
        return Version(name, number, fingerprint, target)

    def retire(self, name: str, fingerprint: str) -> Version:
        """Take away the version of a model whose fingerprint begins so.

        Raises:
            InputError: there is no such version, or several.
            StorageError: it cannot be deleted.
        """
        there = self._versions(name) if MODEL_NAME.fullmatch(name) else ()
        matching = [
            v for v in there if v.fingerprint.startswith(fingerprint[:DIGITS]) and len(fingerprint) >= 4
        ]
        if len(matching) != 1:
            known = ", ".join(v.fingerprint for v in there) or "none"
            raise InputError(
                f"{fingerprint!r} names {len(matching)} versions of {name!r}; it has {known}. Give at least 4 digits"
            )
        (version,) = matching
        gone = version.path.with_name(f".retired-{os.urandom(8).hex()}")
        with _told(f"cannot delete {version.path}"):
            version.path.rename(gone)
            shutil.rmtree(gone, ignore_errors=True)
            with contextlib.suppress(OSError):  # other versions are there
                version.path.parent.rmdir()
        return version

    def _versions(self, name: str) -> tuple[Version, ...]:
        found = []
        with contextlib.suppress(OSError):
            for entry in os.scandir(self.path / name):
                match = _VERSION.fullmatch(entry.name)
                if match is not None and entry.is_dir():
                    found.append(Version(name, int(match[1]), match[2], Path(entry.path)))
        return tuple(sorted(found))


def load_registry(models: Mapping[str, ServedModel], folder: ModelFolder) -> Registry:
    """Return these models and those of a folder; what cannot be served is left for the watch over the folder to tell.

    StorageError if the folder cannot be read.
    """
    registry = Registry(models)
    for version in folder.versions():
        with contextlib.suppress(HetorchError):
            model = folder.load(version)
            check_version(version, model)
            registry.add(model)
    return registry


def check_version(version: Version, model: ServedModel) -> None:
    """Raise PlanUseError unless a folder has the plan that its name tells."""
    if not model.fingerprint.startswith(version.fingerprint):
        raise PlanUseError(
            f"{version.path} has the plan {model.fingerprint[:DIGITS]}…, not the one that its name tells; "
            "`hetorch models add` writes such folders"
        )


@contextlib.contextmanager
def _told(sentence: str) -> Iterator[None]:
    """Raise an OSError of the block as StorageError with this sentence."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{sentence}: {error.strerror or error}") from None
