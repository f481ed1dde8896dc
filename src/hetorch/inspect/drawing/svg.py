"""The drawing of a program as SVG: boxes from top to bottom, levels as a staircase beside them, and shares of the time.

The file needs neither scripts, style sheets nor fonts of its own: browsers, GitHub and word processors show it.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape, quoteattr

from hetorch.atomic_files import SHARED
from hetorch.inspect.drawing.boxes import Box, boxes_of, printable
from hetorch.inspect.drawing.lanes import lanes_of
from hetorch.inspect.save_file import save_file
from hetorch.plan import Plan
from hetorch.quantities import count_text, size_text, time_text

MARGIN, WIDTH, HEIGHT, GAP = 24, 470, 68, 22
"""Pixels around the drawing, the size of a box, and the space between two boxes."""
LANE = 14
"""Pixels from a lane to the next."""
STAIRS, TIMES = 200, 110
"""Widths in pixels of the staircase of levels and of the bars of time."""
HEAD = 76
"""Pixels of the title and the headings of the columns."""
EM = 0.62
"""Width of a character relative to the size of its font, as wide as in the widest common sans-serif (DejaVu Sans, on
average). Raised, texts are shortened earlier."""
FONT = "DejaVu Sans, Verdana, Helvetica, Arial, sans-serif"
INK, FAINT, LINE = "#1f2933", "#5f6c7b", "#8a97a6"
COLOURS = {
    "input": ("#e8eef7", "#4a6fa5"),
    "linear": ("#e6f4ea", "#3c8d5a"),
    "activation": ("#fdf0dc", "#c77d1a"),
    "other": ("#efeaf6", "#7a5ca8"),
}
"""The fill and the edge of the boxes of each kind."""


def save_svg(plan: Plan, path: str | os.PathLike[str]) -> None:
    """Write the drawing of a plan to a file; it shows no weights.

    Raises:
        StorageError: the file cannot be written.
    """
    parameters, report = plan.parameters, plan.report
    subtitle = (
        f"ring degree {parameters.ring_degree}, {count_text(parameters.max_level, 'level')}, "
        f"{count_text(len(plan.key_spec.galois), 'rotation key')}, predicted {time_text(report.predicted_seconds)} for "
        f"a run of up to {count_text(plan.batch_size, 'sample')}, {size_text(report.memory_bytes)} of memory"
    )
    save_file(path, as_svg(plan.name, subtitle, boxes_of(plan)).encode(), mode=SHARED)


def as_svg(title: str, subtitle: str, boxes: Sequence[Box]) -> str:
    """Return the text of an SVG file; names from the plan are escaped, and are shown whole when the mouse rests on
    them."""
    lanes = lanes_of([box.sources for box in boxes])
    left = MARGIN + LANE * (max((lane.lane for lane in lanes), default=-1) + 2)
    stairs = left + WIDTH + 40
    times = stairs + STAIRS + 40
    width = times + TIMES + 70 + MARGIN
    height = HEAD + len(boxes) * (HEIGHT + GAP) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}" '
        f'font-family="{FONT}" font-size="12" fill="{INK}">',
        f"<title>{escape(printable(title))}</title>",
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L8 4 L0 8 Z" fill="{LINE}"/></marker></defs>',
        _text(MARGIN, 26, _fitted(title, 17, width - 2 * MARGIN), size=17, bold=True),
        _text(MARGIN, 46, _fitted(subtitle, 12, width - 2 * MARGIN), colour=FAINT),
        _text(stairs, 66, "level", colour=FAINT),
        _text(times, 66, "predicted time", colour=FAINT),
        *_edges(boxes, left),
        *(part for number, box in enumerate(boxes) for part in _box(box, left, _top(number))),
        *_staircase(boxes, stairs),
        *_times(boxes, times),
        _legend(left, height - 18),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _top(number: int) -> int:
    return HEAD + number * (HEIGHT + GAP)


def _box(box: Box, left: int, top: int) -> Iterator[str]:
    fill, edge = COLOURS[_colour(box)]
    scale = f"2^{box.scale_bits:.1f}"
    lines = [
        f"level {box.level}, scale {scale}, {count_text(box.ciphertexts, 'ciphertext')}, shape {box.shape_text}",
        _activation_text(box) or box.costs_text,
    ]
    tip = "\n".join(
        filter(None, (box.name, box.kind, lines[0], box.costs_text, _activation_text(box), _more(box)))
    )
    yield f'<g><title>{escape(tip)}</title><rect x="{left}" y="{top}" width="{WIDTH}" height="{HEIGHT}" rx="6" '
    yield f'fill="{fill}" stroke="{edge}"/>'
    kind = _fitted(box.kind, 12, 0.45 * WIDTH)
    room = WIDTH - 24 - _width(kind, 12) - 16
    yield _text(left + 12, top + 22, _fitted(box.name, 13, room), size=13, bold=True)
    yield _text(left + WIDTH - 12, top + 22, kind, colour=edge, anchor="end")
    for number, line in enumerate(lines):
        yield _text(
            left + 12,
            top + 41 + 17 * number,
            _fitted(line, 11, WIDTH - 24),
            size=11,
            colour=FAINT if number else INK,
        )
    yield "</g>"


def _activation_text(box: Box) -> str:
    """Return the function, the range and the error of the polynomials in a box; empty if there are none."""
    if not box.fits:
        return ""
    fit = max(box.fits, key=lambda one: one.degree)
    low, high = min(one.low for one in box.fits), max(one.high for one in box.fits)
    error = max(one.error for one in box.fits)
    return f"{printable(fit.function)} by degree {fit.degree} on {low:.3g}..{high:.3g}, error {error:.2g}"


def _more(box: Box) -> str:
    figures = [box.operations_text]
    if box.weight_bytes:
        figures.append(f"{size_text(box.weight_bytes)} of encoded weights")
    if box.key_bytes:
        figures.append(f"{size_text(box.key_bytes)} of keys")
    return "\n".join(filter(None, figures))


def _colour(box: Box) -> str:
    if not box.operations:
        return "input"
    if box.is_activation:
        return "activation"
    return "linear" if any(name == "LinearTransform" for name, _ in box.operations) else "other"


def _edges(boxes: Sequence[Box], left: int) -> Iterator[str]:
    """Yield the arrows: straight ones from box to box, and those in the lanes at the left."""
    middle = left + WIDTH // 2
    for number, box in enumerate(boxes):
        if number and number - 1 in box.sources:
            yield _path(f"M{middle} {_top(number) - GAP} V{_top(number) - 1}")
    for lane in lanes_of([box.sources for box in boxes]):
        x = left - LANE * (lane.lane + 1) - 6
        begin = _top(lane.source) + HEIGHT - 14
        for target in lane.targets:
            # Lanes meet a box at heights of their own, so that two that end there stay apart.
            end = _top(target) + 14 + 6 * (lane.lane % 5)
            yield _path(
                f"M{left} {begin} H{x + 6} Q{x} {begin} {x} {begin + 6} V{end - 6} Q{x} {end} {x + 6} {end} H{left - 1}"
            )


def _path(way: str) -> str:
    return f'<path d="{way}" fill="none" stroke="{LINE}" stroke-width="1.5" marker-end="url(#tip)"/>'


def _staircase(boxes: Sequence[Box], left: int) -> Iterator[str]:
    """Yield a bar for each layer, as long as its level is high, and its number."""
    top = max((box.level for box in boxes), default=0) or 1
    yield f'<path d="M{left} {HEAD} V{_top(len(boxes)) - GAP}" stroke="{LINE}" fill="none"/>'
    for number, box in enumerate(boxes):
        y, size = _top(number), round(STAIRS * box.level / top)
        yield f'<rect x="{left}" y="{y + 20}" width="{size}" height="28" fill="#9db8d9"/>'
        yield _text(left + size + 6, y + 38, str(box.level), size=11)


def _times(boxes: Sequence[Box], left: int) -> Iterator[str]:
    longest = max((box.seconds for box in boxes), default=0.0)
    for number, box in enumerate(boxes):
        if box.seconds > 0:
            y, size = _top(number), max(1, round(TIMES * box.seconds / longest))
            yield f'<rect x="{left}" y="{y + 20}" width="{size}" height="28" fill="#e3b3a1"/>'
            yield _text(left + size + 6, y + 38, time_text(box.seconds), size=11)


def _legend(left: int, y: int) -> str:
    names = (
        ("input", "input"),
        ("linear", "linear"),
        ("activation", "activation"),
        ("other", "sums, products"),
    )
    parts = []
    for number, (kind, name) in enumerate(names):
        fill, edge = COLOURS[kind]
        x = left + 108 * number
        parts.append(
            f'<rect x="{x}" y="{y - 10}" width="12" height="12" rx="2" fill="{fill}" stroke="{edge}"/>'
        )
        parts.append(_text(x + 18, y, name, size=11, colour=FAINT))
    return "".join(parts)


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 12,
    bold: bool = False,
    colour: str = INK,
    anchor: str = "start",
) -> str:
    style = ' font-weight="bold"' if bold else ""
    end = "" if anchor == "start" else f" text-anchor={quoteattr(anchor)}"
    return f'<text x="{x}" y="{y}" font-size="{size}" fill="{colour}"{style}{end}>{escape(text)}</text>'


def _width(text: str, size: int) -> float:
    """Return the width of a text in pixels, at most; East Asian characters are as wide as high."""
    return size * sum(1.0 if unicodedata.east_asian_width(one) in "WF" else EM for one in text)


def _fitted(text: str, size: int, room: float) -> str:
    """Return the text, printable, with its middle left out if it is wider than `room` pixels."""
    text = printable(text)
    if _width(text, size) <= room:
        return text
    begin, end = text[: len(text) // 2], text[len(text) // 2 :]
    while begin and _width(f"{begin}…{end}", size) > room:
        begin, end = (begin[:-1], end) if 2 * len(begin) > len(end) else (begin, end[1:])
    return f"{begin}…{end}"
