"""The file of the limits of tenants (TOML): those of all, and those of single tenants in a table of each."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from types import MappingProxyType
from typing import Any

from hetorch.errors import InputError, StorageError
from hetorch.server.configuration.kinds import Integer, Kind, Size
from hetorch.server.tokens import NAME
from hetorch.serving.quiet_log import QuietLog
from hetorch.serving.tenant_limits import TenantLimits

log = logging.getLogger("hetorch.server")

MAX_FILE_BYTES = 4 << 20
"""Most bytes of the file; a larger one is refused before it is read."""
KINDS: Mapping[str, Kind] = MappingProxyType(
    {"requests_per_minute": Integer(1), "bytes_per_day": Size(), "concurrent_requests": Integer(1)}
)
"""The limits by their names, and how they are written."""


class TenantsFile:
    """A file of limits, which is read again when it changes. While it is damaged or missing, those read last hold.

    StorageError or InputError if it cannot be used at the start.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._state()
        self._all, self._single = load_tenants(path)
        self._quiet = QuietLog(log)

    def limits(self, tenant: str) -> TenantLimits:
        """Return the limits of a tenant: its own, and those of all for what its table leaves out."""
        state = self._state()
        if state != self._seen:
            self._seen = state
            try:
                self._all, self._single = load_tenants(self._path)
            except (StorageError, InputError) as error:
                self._quiet.warn(f"the limits of tenants stay as they were: {error}")
        return self._single.get(tenant, self._all)

    def _state(self) -> tuple[int, int, int] | None:
        try:
            status = os.stat(self._path)
        except OSError:
            return None
        return status.st_ino, status.st_mtime_ns, status.st_size


def load_tenants(path: Path) -> tuple[TenantLimits, dict[str, TenantLimits]]:
    """Return the limits of all tenants, and those of single ones.

    Raises:
        StorageError: the file cannot be read.
        InputError: it is not TOML, has an unknown name or a value out of range.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError(
            f"cannot read the limits of tenants in {path}: {error.strerror or error}"
        ) from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path} has more than {MAX_FILE_BYTES} bytes; it is no file of limits of tenants")
    try:
        document = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None
    everyone = _limits(
        {k: v for k, v in document.items() if not isinstance(v, dict)}, TenantLimits(), f"{path}"
    )
    tables = {name: table for name, table in document.items() if isinstance(table, dict)}
    for name in tables:
        if not NAME.fullmatch(name):
            raise InputError(f"{path}: {name!r} is not the name of a tenant")
    return everyone, {name: _limits(table, everyone, f"{path}: {name!r}") for name, table in tables.items()}


def _limits(values: Mapping[str, object], default: TenantLimits, where: str) -> TenantLimits:
    limits: dict[str, Any] = asdict(default)
    for name, value in values.items():
        if name not in KINDS:
            raise InputError(f"{where} has the unknown limit {name!r}; there are {', '.join(KINDS)}")
        try:
            limits[name] = KINDS[name].read(value)
        except InputError as error:
            raise InputError(f"{where}: {name!r} {error}") from None
    return TenantLimits(**limits)
