"""Links of the documentation: each relative one leads to a file, and each anchor to a heading of its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "notebooks").glob("*.md")])

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$|<!--.*?-->", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)(?!`).*?(?<!`)\1(?!`)", re.DOTALL)
_LINK = re.compile(r"\]\(\s*<?([^()\s>]+)>?(?:\s+\"[^\"]*\")?\s*\)|^\[[^\]]+\]:\s+(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6} +(.+?)(?: +#+)? *$", re.MULTILINE)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def links(text: str) -> Iterator[str]:
    """Yield the targets of a page's links, those in code and comments left out."""
    for match in _LINK.finditer(_CODE.sub("", _FENCE.sub("", text))):
        yield match[1] or match[2]


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    result: set[str] = set()
    for match in _HEADING.finditer(_FENCE.sub("", text)):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[1]).replace("`", "").replace("*", "")
        anchor = re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")
        repeat = next(n for n in range(len(result) + 1) if (f"{anchor}-{n}" if n else anchor) not in result)
        result.add(f"{anchor}-{repeat}" if repeat else anchor)
    return result


def broken(page: Path) -> list[str]:
    """Return the links of a page that lead nowhere."""
    wrong = []
    for target in links(page.read_text(encoding="utf-8")):
        if _ELSEWHERE.match(target):
            continue
        name, _, anchor = unquote(target).partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file.read_text(encoding="utf-8"))):
            wrong.append(target)
    return wrong


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    assert broken(page) == []


def test_every_decision_is_in_the_list_of_decisions() -> None:
    index = ROOT / "docs" / "decisions" / "README.md"
    listed = {target for target in links(index.read_text(encoding="utf-8")) if "/" not in target}
    assert listed == {path.name for path in index.parent.glob("[0-9]*.md")}


def test_broken_links_are_found(tmp_path: Path) -> None:
    other = tmp_path / "other.md"
    other.write_text("# What it `costs`: 2^14 & more\n## Twice\n## Twice\n```\n# no heading\n```\n")
    page = tmp_path / "page.md"
    page.write_text(
        "## Here\n"
        "[a](other.md) [b](other.md#what-it-costs-214--more) [c](other.md#twice-1) [d](#here) [e](https://a.b/c#d)\n"
        "`[no](link.md)` <!-- [nor](this.md) -->\n```\n[nor](that.md)\n```\n"
        "[f](gone.md) [g](other.md#no-heading) [h](#there) [i](other.md#twice-2)\n\n[j]: gone-too.md\n"
    )
    assert broken(page) == ["gone.md", "other.md#no-heading", "#there", "other.md#twice-2", "gone-too.md"]
