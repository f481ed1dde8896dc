"""Every notebook runs; in CI in its short form."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "run_notebooks.py"
NOTEBOOKS = sorted(path for path in (ROOT / "notebooks").glob("*.md") if path.name != "README.md")
CELLS = """---
kernelspec:
  display_name: Python 3
  name: python3
---

```{code-cell} ipython3
---
short: size = 2
---
size = 40
```

```{code-cell} ipython3
%s
```
"""

pytestmark = pytest.mark.notebooks


def run(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "HETORCH_DATA"} | variables
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=590)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_short_form_runs(notebook: Path, tmp_path: Path) -> None:
    result = run("--short", "--out", tmp_path, notebook)
    assert result.returncode == 0, result.stdout + result.stderr
    cells = json.loads((tmp_path / f"{notebook.stem}.ipynb").read_text())["cells"]
    assert any(cell.get("outputs") for cell in cells)


def test_the_short_code_runs_only_where_it_is_asked_for(tmp_path: Path) -> None:
    notebook = tmp_path / "sizes.md"
    notebook.write_text(CELLS % "print(size + 2)")
    for options, printed in (((), "42\n"), (("--short",), "4\n")):
        result = run(*options, "--out", tmp_path / "out", notebook)
        assert result.returncode == 0, result.stderr
        assert "2 cells ran" in result.stdout
        cells = json.loads((tmp_path / "out" / "sizes.ipynb").read_text())["cells"]
        assert "".join(cells[1]["outputs"][0]["text"]) == printed


def test_a_cell_that_fails_is_shown(tmp_path: Path) -> None:
    notebook = tmp_path / "wrong.md"
    notebook.write_text(CELLS % "raise ValueError('no such pixel')")
    result = run("--out", tmp_path, notebook)
    assert result.returncode == 1
    assert "no such pixel" in result.stderr
    assert "no such pixel" in (tmp_path / "wrong.ipynb").read_text()


def test_the_table_names_every_notebook() -> None:
    text = (ROOT / "notebooks" / "README.md").read_text()
    assert [path.name for path in NOTEBOOKS if f"]({path.name})" not in text] == []
