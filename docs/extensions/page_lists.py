"""Lists of the pages below a page: a comment in Markdown, which GitHub does not show, becomes Sphinx's hidden toctree.

<!-- pages
one-page
folder/*
-->
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx

_PAGES = re.compile(r"^<!-- pages\n(.*?)^-->$", re.MULTILINE | re.DOTALL)


def with_page_lists(markdown: str) -> str:
    """Return a page in which each comment with a list of pages is a toctree."""
    return _PAGES.sub(r"```{toctree}\n:hidden:\n:glob:\n\n\1```", markdown)


def _replace(app: Sphinx, page: str, source: list[str]) -> None:
    source[0] = with_page_lists(source[0])


def setup(app: Sphinx) -> dict[str, object]:
    """Connect to the reading of pages."""
    app.connect("source-read", _replace)
    return {"parallel_read_safe": True}
