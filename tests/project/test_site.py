"""The documentation site, which `scripts/docs build` builds: our extensions, and a complete reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from typer.testing import CliRunner

import hetorch
from docs.extensions.commands import commands_as_markdown
from docs.extensions.docstrings import as_restructured_text, with_short_types
from docs.extensions.notebook_outputs import with_outputs
from docs.extensions.page_lists import with_page_lists
from tools.check_site import broken_links, main

ROOT = Path(__file__).parents[2]
REFERENCE = "\n".join(
    path.read_text(encoding="utf-8") for path in (ROOT / "docs" / "reference").glob("*.rst")
)


def documented(name: str) -> bool:
    return re.search(rf"^\.\. auto(function|class|module):: {re.escape(name)}$", REFERENCE, re.M) is not None


@pytest.mark.parametrize("name", sorted(set(hetorch.__all__) - {"__version__"}))
def test_the_reference_has_every_name_of_the_package(name: str) -> None:
    assert documented(f"hetorch.{name}")


@pytest.mark.parametrize("package", ["client", "federated", "inspect", "server", "tenseal", "train"])
def test_the_reference_has_every_name_of_a_public_package(package: str) -> None:
    module = importlib.import_module(f"hetorch.{package}")
    if documented(module.__name__):  # all its members
        return
    for name in module.__all__:
        homes = (module.__name__, "hetorch", "hetorch.errors")
        assert any(documented(f"{home}.{name}") for home in homes) or hasattr(hetorch.errors, name), name


def test_the_reference_of_the_command_line_has_every_verb() -> None:
    from hetorch.cli.main import app

    help_text = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    text = commands_as_markdown()
    verbs = re.findall(r"^## `hetorch (\S+)`$", text, re.MULTILINE)
    assert len(verbs) > 10
    assert re.findall(r"^│ ([a-z][a-z-]+) ", help_text[help_text.index("Commands") :], re.MULTILINE) == verbs
    assert "[bold]" not in text


def test_docstrings_become_restructured_text() -> None:
    docstring = [
        "Return (samples, *shape) of `a * b`, |z| and activation_... options.",
        "",
        "number   from 1",
        "loss     mean of the",
        "         loss",
        "Then text.",
    ]
    assert as_restructured_text(docstring) == [
        r"Return (samples, \*shape) of `a * b`, \|z\| and activation\_... options.",
        "",
        "",
        "- ``number``: from 1",
        "- ``loss``: mean of the",
        "  loss",
        "",
        "Then text.",
    ]


def test_lists_of_pages_become_toctrees() -> None:
    page = "# Page\n\nText.\n\n<!-- pages\none\nfolder/*\n-->\n"
    toctree = "```{toctree}\n:hidden:\n:glob:\n\none\nfolder/*\n```\n"
    assert with_page_lists(page) == "# Page\n\nText.\n\n" + toctree
    assert with_page_lists("<!-- python run\npages\n-->\n") == "<!-- python run\npages\n-->\n"


def test_outputs_of_a_notebook_are_kept_while_its_code_is_the_same() -> None:
    head = "---\njupytext:\n  text_representation:\n    format_name: myst\n---\n\n"
    page = head + "# Sums\n\n```{code-cell} ipython3\n1 + 1\n```\n"
    cell = new_code_cell("1 + 1", execution_count=1, outputs=[new_output("stream", text="2")])
    notebook = with_outputs(page, new_notebook(cells=[new_markdown_cell("# Addition"), cell]))
    assert notebook is not None
    assert [cell.cell_type for cell in notebook.cells] == ["markdown", "code"]
    assert notebook.cells[0].source == "# Sums"
    assert notebook.cells[1].outputs[0].text == "2"
    assert with_outputs(page.replace("1 + 1", "1 + 2"), new_notebook(cells=[cell])) is None
    assert with_outputs(page, new_notebook(cells=[])) is None


def test_types_have_their_short_names() -> None:
    long = (
        "(x: ~numpy._typing._array_like._Buffer | ~numpy._typing._array_like._SupportsArray[dtype[Any]] | complex | "
        "~numpy._NestedSequence[complex | bytes | str], y: TypeAliasForwardRef('Source') | None = None)"
    )
    assert with_short_types(long) == "(x: ArrayLike, y: Source | None = None)"


def test_options_of_compile_become_a_list() -> None:
    docstring = [
        "Args:",
        "    **options: by name.",
        "        name: the name",
        "            of the plan.",
        "Returns:",
    ]
    assert as_restructured_text(docstring, with_options=True) == [
        "Args:",
        r"    \*\*options: by name.",
        "",
        "        - `name`: the name",
        "          of the plan.",
        "Returns:",
    ]


def test_broken_links_of_a_site_are_found(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "index.html").write_text('<p id="here">')
    (tmp_path / "a.html").write_text(
        '<a href="folder/#here"><a href="#top"><a href="https://a.b"><img src="data:image/png;base64,AA"><h1 id="top">'
    )
    assert broken_links(tmp_path) == []
    (tmp_path / "b.html").write_text(
        '<a href="a.html#gone"><a href="gone.html"><a href="../outside.html"><script src="https://a.b/c.js">'
    )
    assert broken_links(tmp_path) == [
        "b.html: ../outside.html is not there",
        "b.html: a.html#gone has no such anchor",
        "b.html: gone.html is not there",
        "b.html: loads https://a.b/c.js",
    ]
    assert main([str(tmp_path)]) == 1
    assert main([str(tmp_path / "gone")]) == 2
