"""A notebook runs in a real JupyterLab, in a headless Chromium."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from tools.run_notebooks import read

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.notebooks, pytest.mark.slow]


def interpreter_of_jupyter_lab() -> str:
    """Return the Python beside the `jupyter-lab` on the path, which needs playwright too; skip without them."""
    program = shutil.which("jupyter-lab")
    if program is None:
        pytest.skip("no jupyter-lab on the path: pip install jupyterlab playwright, in any environment")
    python = str(Path(program).parent / "python")
    needed = [python, "-c", "import jupyterlab, playwright"]
    if subprocess.run(needed, capture_output=True, check=False).returncode:
        pytest.skip(f"{python} has no playwright: pip install playwright")
    return python


def test_a_notebook_runs_in_jupyter_lab(tmp_path: Path) -> None:
    python = interpreter_of_jupyter_lab()
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("no chromium on the path")
    notebook = tmp_path / "in" / "first-encrypted-numbers.ipynb"
    notebook.parent.mkdir()
    short = read(ROOT / "notebooks" / f"{notebook.stem}.md", short=True)
    notebook.write_text(nbformat.writes(short), encoding="utf-8")
    script = ROOT / "tools" / "open_in_jupyter_lab.py"
    command = [
        *(python, str(script), "--kernel", sys.executable, "--chromium", chromium),
        *("--out", str(tmp_path / "out"), str(notebook)),
    ]
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    result = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=500
    )
    assert result.returncode == 0, result.stdout + result.stderr
    seen = json.loads(result.stdout.splitlines()[-1])
    assert seen["cells"] == sum(cell.cell_type == "code" for cell in short.cells)
    assert (seen["errors"], seen["warnings"], seen["overflowing"]) == ([], [], [])

    saved = nbformat.read(tmp_path / "out" / notebook.name, as_version=4)
    outputs = [output for cell in saved.cells for output in cell.get("outputs", ())]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert len(pictures) == 4
    assert len(list((tmp_path / "out").glob("page-*.png"))) > 3
