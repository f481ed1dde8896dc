from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools.run_examples import examples

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "tools" / "run_examples.py"


def run(*files: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=500)


def test_blocks_run_in_order_and_share_variables_and_folder(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "Text.\n"
        "<!-- python run\nx = 40\n-->\n"
        "```python run\nx += 2\nopen('answer', 'w').write(str(x))\n```\n"
        "```python\nraise SystemExit('this one is not marked')\n```\n"
        '```bash run\ntest "$(cat answer)" = 42\n```\n'
    )
    result = run(page)
    assert result.returncode == 0, result.stderr
    assert "3 examples ran" in result.stdout
    assert not (tmp_path / "answer").exists()


def test_a_server_runs_beside_and_is_stopped(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    gone = tmp_path / "gone"
    page.write_text(
        f"```bash run background\ntrap 'touch {gone}; exit' TERM\ntouch ready\nwhile true; do sleep 0.05; done\n```\n"
        "```bash run\nfor i in $(seq 200); do [ -e ready ] && exit 0; sleep 0.05; done; exit 1\n```\n"
    )
    result = run(page)
    assert result.returncode == 0, result.stderr
    assert gone.exists()


@pytest.mark.parametrize(
    ("block", "message"),
    [
        ("```bash run\nfalse\ntrue\n```\n", "exit status 1"),
        ("```bash run\nfalse | true\n```\n", "exit status 1"),
        ("```python run\n\nraise ValueError('wrong')\n```\n", "ValueError: wrong"),
    ],
)
def test_a_failing_example_fails(tmp_path: Path, block: str, message: str) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n" + block)
    result = run(page)
    assert result.returncode == 1
    assert message in result.stderr


def test_a_traceback_names_the_line_of_the_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("Text.\n\n```python run\na = 1\nb = a / 0\n```\n")
    assert 'page.md", line 5' in run(page).stderr


def pages() -> list[Path]:
    """Return the pages that have examples."""
    every = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in every if examples(page.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_is_shown_runs(page: Path) -> None:
    result = run(page)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_readme_has_examples_that_run() -> None:
    assert "```python run" in (ROOT / "README.md").read_text()
