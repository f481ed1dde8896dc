"""Checks the links inside a built site: `check_site.py FOLDER`. Exits 1 if one leads nowhere.

Each link, picture, script and style sheet of each HTML page must be a file of the folder, and each anchor an id of its
page. Nothing may come from elsewhere but what a reader clicks on: pages must work without a network.
"""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:|//", re.IGNORECASE)
"""The beginning of an address with a scheme or a host."""
LOADED = {("img", "src"), ("script", "src"), ("link", "href"), ("iframe", "src"), ("source", "src")}
"""Tags and attributes whose address a browser reads without being asked."""


class Page(HTMLParser):
    """The ids and the addresses of a page; `loaded` are those that a browser reads by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: set[str] = set()
        self.addresses: set[str] = set()
        self.loaded: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value is None:
                continue
            if name in {"id", "name"}:
                self.ids.add(value)
            if (tag, name) in LOADED:
                self.loaded.add(value)
            if name in {"href", "src"}:
                self.addresses.add(value)


def read_pages(folder: Path) -> dict[Path, Page]:
    """Return the parsed pages of a site, by their resolved paths; templates of the theme are no pages."""
    paths = [path for path in sorted(folder.resolve().rglob("*.html")) if "_static" not in path.parts]
    return {path: Page(path.read_text(encoding="utf-8")) for path in paths}


def broken_links(folder: Path) -> list[str]:
    """Return one line for each address that leads nowhere or loads something from elsewhere."""
    pages = read_pages(folder)
    root = folder.resolve()
    wrong = []
    for path, page in pages.items():
        name = path.relative_to(root).as_posix()
        for address in sorted(page.addresses):
            if ELSEWHERE.match(address):
                if address in page.loaded and not address.startswith("data:"):
                    wrong.append(f"{name}: loads {address}")
                continue
            parts = urlsplit(address)
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not (target.is_file() and target.is_relative_to(root)):
                wrong.append(f"{name}: {address} is not there")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                wrong.append(f"{name}: {address} has no such anchor")
    return wrong


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if every link of the site leads somewhere."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        print("usage: check_site.py FOLDER", file=sys.stderr)
        return 2
    wrong = broken_links(Path(arguments[0]))
    for line in wrong:
        print(line, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
