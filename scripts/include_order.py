"""Checks that a C++ include only points down: `include_order.py cpp`. Exits 1 and names each line that points up."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Folder -> the folders directly below it. What those may include, it may include too.
BELOW: dict[str, tuple[str, ...]] = {
    "kernels": (),
    "ring": ("kernels",),
    "rlwe": ("ring",),
    "ckks": ("rlwe",),
    "circuits": ("ckks",),
    "codec": ("ckks",),
    "bindings": ("circuits", "codec"),
    "tests": ("bindings",),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)


def reachable(folder: str) -> frozenset[str]:
    """The folder itself and everything below it."""
    return frozenset({folder}).union(*(reachable(lower) for lower in BELOW[folder]))


def violations(root: Path) -> Iterator[str]:
    """A line of text for each include of a header in `root` that points up, sideways or nowhere."""
    for source in sorted([*root.rglob("*.h"), *root.rglob("*.cpp")]):
        folder = source.relative_to(root).parts[0]
        if folder not in BELOW:
            yield f"{source}: {folder}/ is not one of the layers {', '.join(BELOW)}"
            continue
        text = source.read_text(encoding="utf-8")
        for match in INCLUDE.finditer(text):
            quoted, angled = match.groups()
            line = text.count("\n", 0, match.start(0)) + 1
            target = layer_of(quoted or angled, root, source)
            if target is None and quoted is not None:
                yield f'{source}:{line}: {quoted} is not a header of {root}/; name it from there: "ring/poly.h"'
            elif target is not None and target not in reachable(folder):
                yield f"{source}:{line}: {folder}/ must not include {quoted or angled}: {target}/ is not below it"


def layer_of(header: str, root: Path, source: Path) -> str | None:
    """The layer that holds the header, named from `root` or from the file's own folder; None for the system's."""
    for base in (root, source.parent):
        path = (base / header).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path.relative_to(root.resolve()).parts[0]
    return None


def main(arguments: list[str]) -> int:
    """The number of the exit: 0 if every include points down."""
    root = Path(arguments[0] if arguments else "cpp")
    if not root.is_dir():
        print(f"{root} is not a folder", file=sys.stderr)
        return 2
    found = list(violations(root))
    print("\n".join(found) if found else f"every include in {root}/ points down")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
