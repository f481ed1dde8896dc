"""Docstrings for autodoc, which reads reStructuredText: hetorch's are plain text with `code` and Google's sections."""

from __future__ import annotations

import re

from docutils import nodes
from sphinx.application import Sphinx

_CODE = re.compile(r"(``.+?``|`[^`]+`)", re.DOTALL)
_SIGN = re.compile(r"[*|\\]|(?<=\w)_(?!\w)")
_COLUMN = re.compile(r" {0,4}(\w+(?: \w+)?) {2,}(\S.*)")
_OPTION = re.compile(r" {8}(\w+): (.*)")

_ALIAS = re.compile(r"TypeAliasForwardRef\('(\w+)'\)")
_ARRAY_LIKE = re.compile(
    r"[\w.~]*_Buffer \| [\w.~]*_SupportsArray.*?_NestedSequence\[complex \| bytes \| str\]"
)


def escaped(text: str) -> str:
    """Return text in which no sign outside of `code` has a meaning in reStructuredText: 2 * x, |z|, activation_..."""
    parts = _CODE.split(text)
    return "".join(part if place % 2 else _SIGN.sub(r"\\\g<0>", part) for place, part in enumerate(parts))


def columns_as_list(lines: list[str]) -> list[str]:
    """Return the lines with each block of the form "name   text", the fields of a dataclass, as a list."""
    result: list[str] = []
    inside = False
    for line in lines:
        match = _COLUMN.fullmatch(line)
        if match:
            result += [*([] if inside or not result else [""]), f"- ``{match[1]}``: {match[2]}"]
            inside = True
        elif inside and line.startswith("  "):
            result.append("  " + line.strip())
        else:
            result += [""] if inside and line else []
            inside = False
            result.append(line)
    return result


def options_as_list(lines: list[str]) -> list[str]:
    """Return the lines of `hetorch.compile` with the options, which it lists below `**options`, as a list."""
    result: list[str] = []
    inside = False
    for line in lines:
        match = _OPTION.fullmatch(line) if inside else None
        if match:
            result += ["", f"        - `{match[1]}`: {match[2]}"]
        elif inside and line.startswith(" " * 12):
            result.append(" " * 10 + line.strip())
        else:
            inside = line.lstrip().startswith("**options:") or (inside and not line)
            result.append(line)
    return result


def as_restructured_text(docstring: list[str], *, with_options: bool = False) -> list[str]:
    """Return the lines of a docstring as reStructuredText that napoleon reads."""
    lines = options_as_list(docstring) if with_options else docstring
    return escaped("\n".join(columns_as_list(lines))).split("\n")


def _process(app: Sphinx, kind: str, name: str, thing: object, options: object, lines: list[str]) -> None:
    if kind == "module":  # for readers of the code: a page has its own introduction
        lines.clear()
        return
    if kind == "attribute" or not lines:
        lines[:] = escaped("\n".join(lines)).split("\n")
        return
    lines[:] = as_restructured_text(lines, with_options=name == "hetorch.compile")


def with_short_types(signature: str) -> str:
    """Return a signature with the names of types that autodoc spells out: numpy's ArrayLike, and its own aliases."""
    return _ARRAY_LIKE.sub("ArrayLike", _ALIAS.sub(r"\1", signature))


def _shorten(
    app: Sphinx,
    kind: str,
    name: str,
    thing: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    return signature and with_short_types(signature), returns and with_short_types(returns)


def _join(app: Sphinx, page: nodes.document) -> None:
    """Join a parameter and its text with a dash: Sphinx writes two hyphens, for smartquotes, which are off."""
    for text in list(page.findall(nodes.Text)):
        if text == " -- ":
            text.parent.replace(text, nodes.Text(" \N{EN DASH} "))


def setup(app: Sphinx) -> dict[str, object]:
    """Connect to autodoc, for docstrings before napoleon, and to the pages that result."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    app.connect("autodoc-process-signature", _shorten)
    app.connect("doctree-read", _join)
    return {"parallel_read_safe": True}
