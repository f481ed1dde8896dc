"""Drawings of programs: every layer with its figures, every edge, whatever the layers are called."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from hetorch.errors import StorageError
from hetorch.inspect.drawing.boxes import Box, boxes_of, printable, shortened
from hetorch.inspect.drawing.lanes import lanes_of
from hetorch.inspect.drawing.svg import WIDTH, as_svg, save_svg
from hetorch.inspect.drawing.text import as_text, in_encoding
from hetorch.plan import Plan
from tests.inspect.branched_plan import plan
from tests.server.small_plan import small_plan

SVG = "{http://www.w3.org/2000/svg}"
BAD_NAMES = (
    "<script>alert(1)</script>",
    "a & b \"c\" 'd'",
    "\x1b[31mred\x00\x08",
    "名前" * 40,
    "\u202egnp.exe",
    "x" * 500,
    "",
)


def box(name: str = "layer", sources: tuple[int, ...] = (), level: int = 3) -> Box:
    operations = (("Add", 1),) if sources else ()
    return Box(name, "sum", sources, (2, 3), 1, level, level, 26.0, operations, 0, 0, 0, 0.001, 0, 0, 0.0, ())


def renamed(name: str) -> Plan:
    """Return the plan with another name for its second layer; its report keeps the old ones."""
    layers = plan().program.layers
    return replace(plan(), program=replace(plan().program, layers=(layers[0], name, *layers[2:])))


def test_boxes_have_the_figures_of_the_report() -> None:
    boxes, rows = boxes_of(plan()), plan().report.layers
    assert [one.name for one in boxes] == [row.name for row in rows]
    for one, row in zip(boxes, rows, strict=True):
        assert (one.kind, one.level, one.ciphertexts) == (row.kind, row.level, row.ciphertexts)
        assert (one.diagonals, one.rotations, one.multiplications) == (
            row.diagonals,
            row.rotations,
            row.multiplications,
        )
        assert one.scale_bits == pytest.approx(row.scale_bits)
    assert sum(one.weight_bytes for one in boxes) == sum(row.weight_bytes for row in rows)
    assert sum(count for one in boxes for _, count in one.operations) == len(plan().program.operations)
    (tanh,) = (one for one in boxes if one.fits)
    assert (tanh.kind.partition(" ")[0], tanh.fits) == ("tanh", plan().report.polynomials)


def test_boxes_have_the_edges_of_the_network() -> None:
    boxes = boxes_of(plan())
    edges = {(boxes[source].name, one.name) for one in boxes for source in one.sources}
    assert {("input", "one"), ("input", "two"), ("two", "tanh"), ("one", "mul"), ("tanh", "mul_1")} <= edges
    assert all(source < number for number, one in enumerate(boxes) for source in one.sources)


def test_a_plan_that_the_compiler_did_not_make() -> None:
    """Its report has no row for the input, and may have any number of rows."""
    for made in (small_plan(), replace(small_plan(), report=replace(small_plan().report, layers=()))):
        boxes = boxes_of(made)
        # The result of the dense layer is no tensor there, so it is a part of the next one.
        assert [(one.name, one.level) for one in boxes] == [("input", 2), ("square", 0)]
        assert (boxes[1].multiplications, boxes[1].operand_level) == (1, 2)
        ElementTree.fromstring(as_svg("plan", "", boxes))


@given(st.lists(st.lists(st.integers(0, 30), max_size=3), min_size=1, max_size=20))
def test_lanes_carry_every_edge_and_never_overlap(wishes: list[list[int]]) -> None:
    sources = [sorted({wish % number for wish in row}) if number else [] for number, row in enumerate(wishes)]
    lanes = lanes_of(sources)
    carried = {(lane.source, target) for lane in lanes for target in lane.targets}
    assert carried == {(s, t) for t, row in enumerate(sources) for s in row if s < t - 1}
    spans = [{(lane.lane, row) for row in range(lane.source, lane.targets[-1] + 1)} for lane in lanes]
    assert sum(map(len, spans)) == len(set().union(*spans))


def test_text_draws_lines_to_what_is_read() -> None:
    boxes = [box("a"), box("b", (0,), 2), box("c", (0,), 2), box("d", (1, 2), 1)]
    lines = as_text(boxes).splitlines()
    assert [line.split()[0] for line in lines[1:5]] == ["●─╮", "●─┼─╮", "○─╯", "●───╯"]
    assert "a" in lines[3].split()[-1] and lines[4].endswith("b, c")
    assert [line.count("█") for line in lines[1:5]] == [3, 2, 2, 1]
    assert lines[5].startswith("○ does not read")


def test_text_for_a_terminal_without_lines() -> None:
    text = as_text(boxes_of(plan()), "latin-1")
    assert text.isascii() and "tanh ~ degree" in text
    assert as_text(boxes_of(plan()), "utf-8") == as_text(boxes_of(plan()))
    assert in_encoding("a…\x1b[31m", "ascii") == "a??[31m"
    assert in_encoding("one\ntwo", "no such encoding") == "one\ntwo"


def test_names_cannot_leave_the_drawing() -> None:
    """No name writes controls to a terminal, and the SVG stays one whose only elements are ours."""
    for name in BAD_NAMES:
        boxes = boxes_of(renamed(name))
        text = as_text(boxes)
        assert len(text.splitlines()) == len(boxes) + 2
        assert all(character.isprintable() for line in text.splitlines() for character in line)
        root = ElementTree.fromstring(as_svg(name, name, boxes))
        tags = {element.tag.removeprefix(SVG) for element in root.iter()}
        assert tags == {"svg", "title", "rect", "defs", "marker", "path", "text", "g"}
        titles = [element.text or "" for element in root.iter(f"{SVG}title")]
        assert any(title.splitlines()[:1] == [printable(name)] for title in titles) or not name
    assert shortened("beginning-and-end", 9) == "be…nd-end"


def test_the_svg_has_a_box_for_each_layer_and_an_arrow_for_each_edge() -> None:
    boxes = boxes_of(plan())
    root = ElementTree.fromstring(as_svg("Net", "subtitle", boxes))
    drawn = [group.findtext(f"{SVG}title", "").splitlines()[0] for group in root.iter(f"{SVG}g")]
    assert drawn == [one.name for one in boxes]
    arrows = [path for path in root.iter(f"{SVG}path") if path.get("marker-end")]
    assert len(arrows) == sum(len(one.sources) for one in boxes)
    texts = [element.text or "" for element in root.iter(f"{SVG}text")]
    assert sum(text.startswith("level ") for text in texts) == len(boxes)
    assert any(re.fullmatch(r"tanh by degree \d+ on -[\d.]+\.\.[\d.]+, error .*", text) for text in texts)


@pytest.mark.parametrize("name", ["W" * 80, "blocks.0.conv1 + blocks.0.bn1 + blocks.0.shortcut", "i" * 300])
def test_texts_stay_in_their_boxes(name: str) -> None:
    """Matplotlib measures them in DejaVu Sans, the widest of the fonts that the file asks for."""
    wide = replace(box(name, (0,)), kind=name)
    root = ElementTree.fromstring(as_svg(name, name, [box(), wide]))
    group = list(root.iter(f"{SVG}g"))[1]
    head, kind = list(group.iter(f"{SVG}text"))[:2]
    widths = []
    for element in (head, kind):
        font = FontProperties(family="DejaVu Sans", weight=element.get("font-weight", "normal"))
        shape = TextPath((0, 0), element.text or "", size=float(element.get("font-size", "0")), prop=font)
        widths.append(shape.get_extents().width)
    if not name.startswith("W"):  # nobody's name is as wide; it may touch the other text
        assert sum(widths) <= WIDTH - 24


def test_saving(tmp_path: Path) -> None:
    save_svg(plan(), tmp_path / "plan.svg")
    text = (tmp_path / "plan.svg").read_text(encoding="utf-8")
    assert f"ring degree {plan().parameters.ring_degree}" in text
    with pytest.raises(StorageError, match="cannot write"):
        save_svg(plan(), tmp_path / "none" / "plan.svg")
