"""Sphinx's settings for the documentation site, which `scripts/docs build` makes.

The sources are the Markdown files where they stand in the repository, so that the same links work on GitHub and here.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

project = "hetorch"
author = "the authors of hetorch"
copyright = "the authors of hetorch. Licence: Apache-2.0"
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "docs.extensions.commands",
    "docs.extensions.docstrings",
    "docs.extensions.notebook_outputs",
    "docs.extensions.page_lists",
]

root_doc = "docs/index"
include_patterns = ["*.md", "docs/**", "notebooks/*.md"]
exclude_patterns = [".*", "build", "src", "cpp", "cmake", "tests", "tools", "benchmarks", "scripts"]

myst_heading_anchors = 6
"""Depth of the headings that links may name, with the anchors that GitHub gives them."""

autodoc_default_options = {"member-order": "bysource"}
smartquotes = False
autodoc_typehints_format = "short"
autodoc_type_aliases = {name: name for name in ("ProgressOption", "WeightSource")}
python_maximum_signature_line_length = 88
autosummary_generate = False
default_role = "py:obj"
napoleon_numpy_docstring = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = "hetorch"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_extra_path = ["site_root"]
html_show_sourcelink = False
html_sidebars: dict[str, list[str]] = {  # pages of the first row, with none below
    page: [] for page in ("SECURITY", "docs/benchmarks", "docs/index", "docs/quick-start")
}
html_theme_options = {
    "logo": {"text": "hetorch"},
    "navbar_align": "left",
    "header_links_before_dropdown": 9,
    "navbar_persistent": ["search-button"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": True,
    "footer_start": ["copyright"],
    "footer_end": [],
    "show_nav_level": 1,
    "navigation_with_keys": False,
}
