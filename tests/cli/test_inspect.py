"""`hetorch inspect`: drawings in the terminal and in files, also of plans by strangers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import onnx
import pytest

from hetorch.plan import Plan
from hetorch.plan.store import MANIFEST
from tests.cli.command import hetorch, refusal, save_secure_plan


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_secure_plan(tmp_path_factory.mktemp("plans"))


def test_the_drawing_stands_above_the_table(plan: Path, tmp_path: Path) -> None:
    svg, graph = tmp_path / "plan.svg", tmp_path / "plan.onnx"
    shown = hetorch("inspect", plan, "--svg", svg, "--onnx", graph).stdout
    drawing, _, table = shown.partition("\n\n")
    assert [line.split()[1] for line in drawing.splitlines()[1:]] == ["input", "square"]
    assert table.splitlines()[0].startswith("layer")
    assert "predicted error" in table and "ring" in table
    root = ElementTree.parse(svg).getroot()
    assert any("square" in (text.text or "") for text in root.iter("{http://www.w3.org/2000/svg}text"))
    assert [node.name for node in onnx.load(graph).graph.node] == ["square"]


def test_json_is_the_report_and_files_are_written_too(plan: Path, tmp_path: Path) -> None:
    document = json.loads(hetorch("inspect", plan, "--json", "--svg", tmp_path / "plan.svg").stdout)
    assert document == json.loads(json.dumps(Plan.load(plan).to_report()))
    assert (tmp_path / "plan.svg").stat().st_size > 1000


def test_a_stranger_s_plan_writes_no_controls_to_the_terminal(plan: Path, tmp_path: Path) -> None:
    """Names of layers and notes come from the plan's file; an escape sequence could rewrite the screen."""
    bad = tmp_path / "bad"
    bad.mkdir()
    manifest = json.loads((plan / MANIFEST).read_text())
    manifest["program"]["layers"] = ["\x1b[2J\x07", "a\nb"]
    manifest["report"]["notes"] = ["\x1b]0;title\x07"]
    (bad / MANIFEST).write_text(json.dumps(manifest))
    (bad / "weights.safetensors").write_bytes((plan / "weights.safetensors").read_bytes())
    for verb in (("inspect", bad), ("diff", bad, plan)):
        shown = hetorch(*verb, code=int(verb[0] == "diff")).stdout
        assert all(character.isprintable() for line in shown.split("\n") for character in line)


def test_a_terminal_that_knows_ascii_only(plan: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "hetorch.cli.main", "inspect", str(plan)],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        check=True,
    ).stdout
    assert shown.isascii() and b"*  square" in shown


def test_a_file_may_be_a_pipe_and_a_link_is_followed(plan: Path, tmp_path: Path) -> None:
    shown = hetorch("inspect", plan, "--svg", "/dev/stdout", "--json").stdout
    assert shown.startswith("<svg") and shown.rstrip().endswith("}")
    (tmp_path / "target.svg").write_text("old")
    (tmp_path / "link.svg").symlink_to(tmp_path / "target.svg")
    hetorch("inspect", plan, "--svg", tmp_path / "link.svg")
    assert (tmp_path / "link.svg").is_symlink()
    assert (tmp_path / "target.svg").read_text().startswith("<svg")


def test_refusals(plan: Path, tmp_path: Path) -> None:
    nowhere = tmp_path / "none" / "plan.svg"
    assert "there is no folder" in refusal("inspect", plan, "--svg", nowhere)
    assert "there is no folder" in refusal("inspect", tmp_path / "nothing", "--onnx", nowhere)
    assert "a server tells no layers" in refusal("inspect", "http://127.0.0.1:9", "--svg", tmp_path / "x.svg")
