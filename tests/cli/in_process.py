"""The command line in the process of the test: as fast as a call, without the last line of errors (main._Messages)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from typer.testing import CliRunner

from hetorch.cli.main import app
from hetorch.errors import HetorchError


@dataclass(frozen=True)
class Shown:
    """The outputs of one call; `stderr` has the message of the error too."""

    stdout: str
    stderr: str


def invoke(
    *arguments: object, code: int = 0, answer: str = "", environment: Mapping[str, str | None] | None = None
) -> Shown:
    """Run `hetorch arguments` with `answer` on stdin; the exit code must be `code`, 1 for every HetorchError."""
    result = CliRunner().invoke(app, [*map(str, arguments)], input=answer, env=environment)
    if result.exception is not None and not isinstance(result.exception, HetorchError | SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output[-500:]
    error = str(result.exception) if isinstance(result.exception, HetorchError) else ""
    return Shown(result.stdout, result.stderr + error)
