"""The sources of a configuration, the first that has a value wins: flags, environment variables, the file, defaults."""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hetorch.errors import InputError, StorageError
from hetorch.server.configuration.fields import Field, fields_of
from hetorch.server.deployment import Deployment
from hetorch.server.settings import Settings

VARIABLES = "HETORCH_SERVE_"
"""The beginning of the names of environment variables; the rest is that of a field in capitals."""
FILE_VARIABLE = f"{VARIABLES}CONFIG"
"""The environment variable that names the configuration file where no flag does."""
MAX_FILE_BYTES = 1 << 20
"""Most bytes of a configuration file; a larger one is refused before it is read."""
DEFAULT = "default"
"""The origin of a value that no source gives."""

FIELDS: tuple[Field, ...] = (*fields_of(Deployment), *fields_of(Settings))
"""All fields of a configuration."""


@dataclass(frozen=True, slots=True)
class Configuration:
    """All that `hetorch serve` is told, and where it was said.

    Args:
        deployment: the models, the socket and the log.
        settings: the limits.
        origins: the source of each field: a flag, an environment variable, the path of the file, or DEFAULT.
    """

    deployment: Deployment
    settings: Settings
    origins: Mapping[str, str]

    def value(self, field: Field) -> object:
        """Return the value of a field."""
        owner = self.settings if field in fields_of(Settings) else self.deployment
        return getattr(owner, field.name)

    def report(self) -> dict[str, object]:
        """Return the values as text of TOML, None for those that are left out, and their sources, for JSON."""
        values = {field: self.value(field) for field in FIELDS}
        return {
            field.name: {
                "value": None if value is None else field.kind.show(value),
                "source": self.origins[field.name],
            }
            for field, value in values.items()
        }

    def as_toml(self) -> str:
        """Return a configuration file with these values, with their sources as comments. It holds no secrets: names
        and passwords are taken out of addresses."""
        lines = []
        for field in FIELDS:
            value = self.value(field)
            text = f"# {field.name} =" if value is None else f"{field.name} = {field.kind.show(value)}"
            lines.append((text, self.origins[field.name]))
        width = min(60, max(len(text) for text, _ in lines))
        return "".join(f"{text:{width}}  # {origin}\n" for text, origin in lines)


def configure(
    flags: Mapping[str, object], environment: Mapping[str, str], file: Path | None = None
) -> Configuration:
    """Return the configuration that these sources give together.

    Args:
        flags: the values of flags, as text or as values of TOML, by the name of the field.
        environment: all environment variables. An empty one counts as none.
        file: the configuration file (TOML); that of FILE_VARIABLE if left out.

    Raises:
        InputError: a source has an unknown name, or a value out of range; the file is not TOML. The mistakes of the
            file and the environment are told together.
        StorageError: the file cannot be read.
    """
    if file is None and environment.get(FILE_VARIABLE):
        file = Path(environment[FILE_VARIABLE])
    mistakes: list[str] = []
    values = {} if file is None else _from_file(file, mistakes)
    values |= _from_environment(environment, mistakes)
    if len(mistakes) == 1:
        raise InputError(mistakes[0])
    if mistakes:
        numbered = " ".join(f"({number}) {mistake}" for number, mistake in enumerate(mistakes, 1))
        raise InputError(f"the configuration has {len(mistakes)} mistakes: {numbered}")
    for field in FIELDS:
        if field.name in flags:
            origin = "the argument" if field.name == "plans" else field.flag
            values[field.name] = _read(field, flags[field.name], origin), origin
    own = {field.name for field in fields_of(Settings)}
    deployment: dict[str, Any] = {name: value for name, (value, _) in values.items() if name not in own}
    settings: dict[str, Any] = {name: value for name, (value, _) in values.items() if name in own}
    origins = {field.name: values[field.name][1] if field.name in values else DEFAULT for field in FIELDS}
    return Configuration(Deployment(**deployment), Settings(**settings), origins)


def _from_file(path: Path, mistakes: list[str]) -> dict[str, tuple[object, str]]:
    """Return the values of a configuration file and their source, by the name of the field; `mistakes` gets a sentence
    for each name or value that is refused."""
    written = _read_file(path)
    mistakes.extend(_unknown(written, [field.name for field in FIELDS], str(path)))
    values: dict[str, tuple[object, str]] = {}
    for field in FIELDS:
        if field.name in written:
            try:
                value = _read(field, written[field.name], f"{path}: {field.name!r}")
            except InputError as error:
                mistakes.append(str(error))
            else:
                values[field.name] = _beside(value, path), str(path)
    return values


def _from_environment(environment: Mapping[str, str], mistakes: list[str]) -> dict[str, tuple[object, str]]:
    """Return the values of environment variables and their source, by the name of the field; `mistakes` as above."""
    variables = {
        name: value
        for name, value in environment.items()
        if name.startswith(VARIABLES) and name != FILE_VARIABLE and value
    }
    names = {VARIABLES + field.name.upper(): field for field in FIELDS}
    mistakes.extend(_unknown(variables, names, "the environment"))
    values: dict[str, tuple[object, str]] = {}
    for name in variables:
        if name in names:
            try:
                values[names[name].name] = _read(names[name], variables[name], name), name
            except InputError as error:
                mistakes.append(str(error))
    return values


def _read(field: Field, value: object, where: str) -> object:
    try:
        return field.kind.read(value)
    except InputError as error:
        raise InputError(f"{where} {error}") from None


def _read_file(path: Path) -> dict[str, object]:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise StorageError(f"cannot read the configuration {path}: {error.strerror or error}") from None
    if len(data) > MAX_FILE_BYTES:
        raise InputError(f"{path} is no configuration: it has more than {MAX_FILE_BYTES} bytes")
    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputError(f"{path} is not TOML: {error}") from None


def _unknown(given: Iterable[str], known: Iterable[str], where: str) -> Iterator[str]:
    """Yield a sentence for each name that is not known, with the nearest known one. Its value is not repeated."""
    known = tuple(known)
    for name in given:
        if name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        more = f"; did you mean {near[0]!r}?" if near else "; `hetorch serve --help` lists all settings"
        yield f"{where} has the unknown setting {name!r}{more}"


def _beside(value: object, file: Path) -> object:
    """Return paths of a configuration file relative to its folder, wherever the server is started."""
    if isinstance(value, Path):
        return file.parent / value
    if isinstance(value, tuple):
        return tuple(_beside(entry, file) for entry in value)
    return value
