"""The watch over a folder of models: what appears is served, and what goes is retired, without a restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from hetorch.errors import HetorchError
from hetorch.serving.models import ServedModel
from hetorch.serving.models.model_folder import ModelFolder, Version, check_version
from hetorch.serving.quiet_log import QuietLog
from hetorch.serving.service import Service

log = logging.getLogger("hetorch.server")

WATCH_SECONDS = 1.0
"""Time between two looks into the folder in seconds; a lower value serves new versions sooner."""


class ModelWatch:
    """The watch over one folder for one service.

    Args:
        folder: the folder.
        service: serves its models.
        check: raises PlanUseError for a model that the server's limits do not suffice for.
    """

    def __init__(self, folder: ModelFolder, service: Service, check: Callable[[ServedModel], None]) -> None:
        self._folder = folder
        self._service = service
        self._check = check
        self._served: dict[Version, ServedModel | None] = {}  # None: it cannot be served
        self._quiet = QuietLog(log)
        known = {(model.name, model.source.folder): model for model in service.models.all()}
        for version in folder.versions():
            model = known.get((version.name, version.path.absolute()))
            if model is not None:
                self._served[version] = model

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            await asyncio.sleep(WATCH_SECONDS)
            try:
                await self.look()
            except (HetorchError, OSError) as error:
                self._quiet.warn(f"the models in {self._folder.path} stay as they are: {error}")

    async def look(self) -> None:
        """Serve what has come since the last look, and retire what has gone.

        Raises:
            StorageError: the folder cannot be read.
            PlanUseError: the processes that compute cannot load a model.
        """
        there = await asyncio.to_thread(self._folder.versions)
        gone = {version: model for version, model in self._served.items() if version not in there}
        added = {}
        for version in there:
            if version not in self._served:
                added[version] = await self._load(version)
        if not added and not gone:
            return
        self._served = {v: m for v, m in self._served.items() if v not in gone} | added
        still = {model.version for model in self._served.values() if model is not None}
        new = [model for model in added.values() if model is not None]
        old = [model for model in gone.values() if model is not None and model.version not in still]
        try:
            await self._service.change_models(new, old)
        except BaseException:
            self._served |= {version: None for version in added} | gone
            raise
        for model in new:
            log.info("%s is served in the version %s", model.name, model.fingerprint[:12])
        for model in old:
            log.info("%s is no longer served in the version %s", model.name, model.fingerprint[:12])

    async def _load(self, version: Version) -> ServedModel | None:
        """Load a version; None, and a line in the log, if it cannot be served."""
        try:
            model = await asyncio.to_thread(self._folder.load, version)
            check_version(version, model)
            self._check(model)
        except HetorchError as error:
            log.error("%s is not served: %s", version.path, error)
            return None
        return model
