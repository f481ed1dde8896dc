"""Preformatted text in notebooks: the HTML of tables that are drawn with letters."""

from __future__ import annotations

import html


def preformatted(table: str = "", sentences: str = "") -> str:
    """Return text as HTML that no notebook breaks within a word: JupyterLab breaks the lines of a plain <pre> anywhere.

    Args:
        table: lines that stay whole, so that their columns stand beneath each other; a wide table gets a scroll bar.
        sentences: lines below it that are broken between words.
    """
    page = ""
    if table:
        page += f'<pre style="white-space:pre;overflow-x:auto;font-size:smaller">{html.escape(table)}</pre>'
    if sentences:
        page += f'<pre style="white-space:pre-wrap;word-break:normal">{html.escape(sentences)}</pre>'
    return page
