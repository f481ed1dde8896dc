"""Outputs of the notebooks: those of the last `scripts/notebooks` where the cells are still the same, none otherwise.

Building the site runs no notebook, because some take minutes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from myst_nb.core.read import read_myst_markdown_notebook
from sphinx.application import Sphinx
from sphinx.config import Config

from docs.conf import ROOT

RUN = ROOT / "build" / "notebooks"
"""The folder in which `scripts/notebooks` leaves notebooks with their outputs."""


def with_outputs(page: str, executed: Any) -> Any | None:
    """Return the notebook of a page with the outputs of an executed notebook; None if their cells of code differ."""
    notebook = read_myst_markdown_notebook(page)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    run = [cell for cell in executed.cells if cell.cell_type == "code"]
    if [cell.source for cell in cells] != [cell.source for cell in run]:
        return None
    for cell, source in zip(cells, run, strict=True):
        cell.outputs, cell.execution_count = source.outputs, source.execution_count
    return notebook


def _keep_outputs(app: Sphinx, config: Config) -> None:
    """Put the outputs that are there where myst-nb looks for them, and exclude all other notebooks from being run."""
    folder = Path(app.doctreedir).parent / "notebook-outputs"
    cache = get_cache(folder)
    cache.clear_cache()
    without = []
    for page in sorted((ROOT / "notebooks").glob("*.md")):
        executed = RUN / f"{page.stem}.ipynb"
        notebook = None
        if executed.exists():
            notebook = with_outputs(page.read_text(encoding="utf-8"), nbformat.read(executed, as_version=4))
        if notebook is None:
            without.append(f"*/notebooks/{page.name}")
        else:
            cache.cache_notebook_bundle(CacheBundleIn(notebook, str(page)), check_validity=False)
    config["nb_execution_mode"] = "cache"
    config["nb_execution_cache_path"] = str(folder)
    config["nb_execution_excludepatterns"] = without


def setup(app: Sphinx) -> dict[str, object]:
    """Connect to the reading of the settings, before myst-nb looks at them."""
    app.connect("config-inited", _keep_outputs, priority=100)
    return {"parallel_read_safe": True}
