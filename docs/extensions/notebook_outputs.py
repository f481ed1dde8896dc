"""Outputs of the notebooks: those of the last `scripts/notebooks` where the cells are still the same, none otherwise.

Building the site runs no notebook, because some take minutes.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_cache import get_cache
from myst_nb.core.read import read_myst_markdown_notebook
from sphinx.application import Sphinx
from sphinx.config import Config

from docs.conf import ROOT

RUN = ROOT / "build" / "notebooks"
"""The folder in which `scripts/notebooks` leaves notebooks with their outputs."""


def _keep_outputs(app: Sphinx, config: Config) -> None:
    """Put the outputs that are there where myst-nb looks for them, and exclude all other notebooks from being run."""
    folder = Path(app.doctreedir).parent / "notebook-outputs"
    cache = get_cache(folder)
    cache.clear_cache()
    without = []
    for page in sorted((ROOT / "notebooks").glob("*.md")):
        executed = RUN / f"{page.stem}.ipynb"
        text = page.read_text(encoding="utf-8")
        if executed.exists():
            cache.cache_notebook_file(executed, check_validity=False, overwrite=True)
        try:
            cache.match_cache_notebook(read_myst_markdown_notebook(text, path=str(page)))
        except KeyError:
            without.append(f"*/notebooks/{page.name}")
    config["nb_execution_mode"] = "cache"
    config["nb_execution_cache_path"] = str(folder)
    config["nb_execution_excludepatterns"] = without


def setup(app: Sphinx) -> dict[str, object]:
    """Connect to the reading of the settings, before myst-nb looks at them."""
    app.connect("config-inited", _keep_outputs, priority=100)
    return {"parallel_read_safe": True}
