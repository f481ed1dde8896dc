"""Check that a C++ include only points down, and that only one file reaches for the system: `check_includes.py cpp`.

Exits 1 and names each line that breaks one of the two rules.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

# Folder -> the folders directly below it. A folder may also include what those may include.
BELOW: dict[str, tuple[str, ...]] = {
    "kernels": (),
    "ring": ("kernels",),
    "rlwe": ("ring",),
    "ckks": ("rlwe",),
    "circuits": ("ckks",),
    "codec": ("ckks",),
    "federated": ("codec",),
    "bindings": ("circuits", "federated"),
    "tests": ("bindings",),
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)', re.MULTILINE)

# The core is deterministic and builds for WebAssembly: threads and memory mapping are in ring/platform alone; files,
# the network, the clock and random sources are nowhere. The tests and the bindings are outside of the core.
OUTSIDE_THE_CORE = ("bindings", "tests")
PLATFORM = ("ring/platform.h", "ring/platform.cpp")
PLATFORM_HEADER = re.compile(
    r"sys/\w+\.h|(pthread|sched|unistd|signal|windows)\.h|thread|mutex|shared_mutex|condition_variable|future"
    r"|semaphore|latch|barrier|stop_token"
)
FORBIDDEN_HEADER = re.compile(
    r"Python\.h|nanobind/.*|c?stdio(\.h)?|fcntl\.h|[io]?f?stream|filesystem|netdb\.h|arpa/.*|netinet/.*|chrono"
    r"|c?time(\.h)?|random"
)


def reachable(folder: str) -> frozenset[str]:
    """Return the folder itself and everything below it."""
    return frozenset({folder}).union(*(reachable(lower) for lower in BELOW[folder]))


def violations(root: Path) -> Iterator[str]:
    """Yield a line of text for each include in `root` that breaks a rule."""
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
            elif angled is not None and folder not in OUTSIDE_THE_CORE:
                complaint = system_header(angled, source.relative_to(root).as_posix())
                if complaint is not None:
                    yield f"{source}:{line}: {complaint}"


def layer_of(header: str, root: Path, source: Path) -> str | None:
    """Return the layer of a header that is named from `root` or from its includer's folder; None for the system's."""
    for base in (root, source.parent):
        path = (base / header).resolve()
        if path.is_file() and path.is_relative_to(root.resolve()):
            return path.relative_to(root.resolve()).parts[0]
    return None


def system_header(header: str, source: str) -> str | None:
    """Return why a file of the core must not include this header of the system; None if it may."""
    if PLATFORM_HEADER.fullmatch(header) and source not in PLATFORM:
        return f"only {PLATFORM[0]} and {PLATFORM[1]} may include <{header}>; use what they offer"
    if FORBIDDEN_HEADER.fullmatch(header):
        return (
            f"the core must not include <{header}>: it has no Python, files, network, clock or random source"
        )
    return None


def main(arguments: list[str]) -> int:
    """Return the exit status: 0 if every include obeys the rules."""
    root = Path(arguments[0] if arguments else "cpp")
    if not root.is_dir():
        print(f"{root} is not a folder", file=sys.stderr)
        return 2
    complaints = list(violations(root))
    print("\n".join(complaints) if complaints else f"every include in {root}/ obeys the rules")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
