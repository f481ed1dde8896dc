"""The drawing of a program as text: a line for each layer, with the ways of its operands and a bar for its level."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from hetorch.inspect.drawing.boxes import UNPRINTABLE, Box, printable, shortened
from hetorch.inspect.drawing.lanes import Lane, lanes_of

LONGEST_NAME, LONGEST_KIND = 36, 32
"""Characters of a layer's name and kind that are drawn. Raised, lines grow beyond the width of terminals."""
MOST_LANES = 8
"""Lanes that are drawn; with more, the operands are named only."""
WIDEST_BAR = 20
"""Characters of the longest bar; plans of more levels have a shorter bar for each level."""


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The characters of a drawing: `box` reads the line above, `apart` does not."""

    box: str
    apart: str
    across: str
    down: str
    fork: str
    leave: str
    arrive: str
    leave_and_on: str
    arrive_and_on: str
    pass_by: str
    bar: str


UNICODE = Glyphs("●", "○", "─", "│", "┤", "╮", "╯", "┬", "┴", "┼", "█")
ASCII = Glyphs("*", "o", "-", "|", "<", "\\", "/", "-", "-", "+", "#")


def as_text(boxes: Sequence[Box], encoding: str | None = None) -> str:
    """Return the drawing; in ASCII if `encoding`, that of the terminal or file, lacks the characters of lines."""
    glyphs = ASCII if encoding is not None and not _can_encode(encoding) else UNICODE
    ways = _ways(boxes, glyphs)
    top = max(box.level for box in boxes)
    digits = len(str(top))
    rows = [("", "layer", "kind", "shape", "level", "operations", "reads")]
    for number, (way, box) in enumerate(zip(ways, boxes, strict=True)):
        bar = glyphs.bar * (box.level if top <= WIDEST_BAR else -(-box.level * WIDEST_BAR // top))
        rows.append(
            (
                way,
                shortened(box.name, LONGEST_NAME),
                shortened(box.kind, LONGEST_KIND),
                box.shape_text,
                f"{box.level:>{digits}} {bar}",
                box.operations_text,
                _reads(boxes, number),
            )
        )
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    kept = [number for number, column in enumerate(zip(*rows[1:], strict=True)) if any(column)]
    lines = ["  ".join(f"{row[n]:<{widths[n]}}" for n in kept).rstrip() for row in rows]
    if any(number and number - 1 not in box.sources for number, box in enumerate(boxes)):
        lines.append(f"{glyphs.apart} does not read the layer above it")
    return in_encoding("\n".join(lines), encoding)


def _reads(boxes: Sequence[Box], number: int) -> str:
    """Return the names of the operands, unless it is the layer above alone."""
    sources = boxes[number].sources
    if sources in ((), (number - 1,)):
        return ""
    return ", ".join(shortened(boxes[source].name, LONGEST_NAME) for source in sources)


def _ways(boxes: Sequence[Box], glyphs: Glyphs) -> list[str]:
    """Return the beginning of each line: the box, and the lanes beside it."""
    marks = [
        glyphs.apart if number and number - 1 not in box.sources else glyphs.box
        for number, box in enumerate(boxes)
    ]
    lanes = lanes_of([box.sources for box in boxes])
    count = max((lane.lane + 1 for lane in lanes), default=0)
    if not count or count > MOST_LANES:
        return marks
    lines = []
    for number, mark in enumerate(marks):
        cells = [" "] * (2 * count)
        ends = [lane for lane in lanes if number == lane.source or number in lane.targets]
        for lane in lanes:
            if lane.source < number < lane.targets[-1]:
                cells[2 * lane.lane + 1] = glyphs.down
        reach = max((2 * lane.lane + 1 for lane in ends), default=0)
        for place in range(reach):
            cells[place] = glyphs.pass_by if cells[place] == glyphs.down else glyphs.across
        for lane in ends:
            place = 2 * lane.lane + 1
            cells[place] = _end(lane, number, glyphs, is_outermost=place == reach)
        lines.append(mark + "".join(cells))
    return lines


def _end(lane: Lane, number: int, glyphs: Glyphs, *, is_outermost: bool) -> str:
    """Return the character where a lane meets the line of the box `number`."""
    if number == lane.source:
        return glyphs.leave if is_outermost else glyphs.leave_and_on
    if number == lane.targets[-1]:
        return glyphs.arrive if is_outermost else glyphs.arrive_and_on
    return glyphs.fork


def _can_encode(encoding: str) -> bool:
    try:
        f"{''.join(_characters(UNICODE))}…{UNPRINTABLE}".encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _characters(glyphs: Glyphs) -> tuple[str, ...]:
    return tuple(getattr(glyphs, field.name) for field in fields(glyphs))


def in_encoding(text: str, encoding: str | None) -> str:
    """Return lines of text as a terminal of that encoding can show them: "?" and the like for other characters."""
    lines = "\n".join(map(printable, text.split("\n")))
    if encoding is None:
        return lines
    try:
        return lines.encode(encoding, "replace").decode(encoding)
    except LookupError:
        return lines.encode("ascii", "replace").decode("ascii")
