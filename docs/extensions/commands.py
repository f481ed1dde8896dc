"""The reference of the command line: what `hetorch VERB --help` says, in place of a comment in a page."""

from __future__ import annotations

import re

import typer
from sphinx.application import Sphinx
from typer.cli import get_docs_for_click
from typer.main import get_command

MARK = "<!-- the commands -->"
"""The line of a page that the commands replace."""


def commands_as_markdown() -> str:
    """Return the help of all verbs in Markdown, one section each."""
    from hetorch.cli.main import app

    command = get_command(app)
    text = get_docs_for_click(obj=command, ctx=typer.Context(command), name="hetorch")
    sections = text[text.index("## `") :]
    sections = re.sub(r"\[bold\](.*?)\[/bold\]", r"`\1`", sections)
    return re.sub(r"^\* `--help`: .*\n", "", sections, flags=re.MULTILINE)


def _insert(app: Sphinx, page: str, source: list[str]) -> None:
    if MARK in source[0]:
        source[0] = source[0].replace(MARK, commands_as_markdown())


def setup(app: Sphinx) -> dict[str, object]:
    """Connect to the reading of pages."""
    app.connect("source-read", _insert)
    return {"parallel_read_safe": True}
