"""The models that a service has now, each with the versions that it serves: the newest, and those before it.

Whoever asks for a model by its name alone gets the newest version. Whoever names a plan by its fingerprint goes on with
that version until it is retired.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from hetorch.serving.errors import ModelUnknown, OtherModel, OtherVersion
from hetorch.serving.models.served_model import ServedModel

SHOWN = 12
"""Digits of a fingerprint that a sentence repeats."""


class Registry(Mapping[str, ServedModel]):
    """The newest version of each model, by name; safe to use from many threads."""

    def __init__(self, models: Mapping[str, ServedModel]) -> None:
        self._lock = threading.Lock()
        # The newest first.
        self._versions: dict[str, tuple[ServedModel, ...]] = {
            name: (model,) for name, model in models.items()
        }

    def __getitem__(self, name: str) -> ServedModel:
        return self._versions[name][0]

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._versions))

    def __len__(self) -> int:
        return len(self._versions)

    def versions(self, name: str) -> tuple[ServedModel, ...]:
        """Return the versions of a model, the newest first; none if there is no such model."""
        return self._versions.get(name, ())

    def all(self) -> tuple[ServedModel, ...]:
        """Return all versions of all models."""
        return tuple(model for versions in tuple(self._versions.values()) for model in versions)

    def add(self, model: ServedModel) -> None:
        """Make a model the newest version of its name."""
        with self._lock:
            others = [v for v in self.versions(model.name) if v.fingerprint != model.fingerprint]
            self._versions = {**self._versions, model.name: (model, *others)}

    def retire(self, name: str, fingerprint: str) -> None:
        """Take away a version of a model; nothing happens if there is none."""
        with self._lock:
            left = tuple(v for v in self.versions(name) if v.fingerprint != fingerprint)
            others = {other: versions for other, versions in self._versions.items() if other != name}
            self._versions = {**others, name: left} if left else others

    def find(
        self, name: str, fingerprint: str | None = None, *, may_use: Callable[[str], bool] = lambda name: True
    ) -> ServedModel:
        """Return a version of a model.

        Args:
            name: the model's name.
            fingerprint: that of the version's public plan; None for the newest.
            may_use: tells which other models may be named in an error.

        Raises:
            ModelUnknown: there is no such model.
            OtherModel: the fingerprint is that of another model that may be named.
            OtherVersion: there is no such version here, or no longer.
        """
        versions = self.versions(name)
        if not versions:
            raise ModelUnknown(name)
        if fingerprint is None:
            return versions[0]
        for version in versions:
            if version.fingerprint == fingerprint:
                return version
        for other in self.all():
            if other.fingerprint == fingerprint and may_use(other.name):
                raise OtherModel(name, other.name)
        raise OtherVersion(name, fingerprint[:SHOWN], [version.fingerprint[:SHOWN] for version in versions])
