"""The help of a verb, made of the docstring of its function."""

from __future__ import annotations

import inspect


def paragraphs(docstring: str | None) -> str:
    """Return the docstring with one line for each paragraph: the terminal breaks lines where it ends itself."""
    blocks = inspect.cleandoc(docstring or "").split("\n\n")
    return "\n\n".join(" ".join(block.split()) for block in blocks)
