"""The rows of a run, each printed and written to the files at once, so that an interruption loses none."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.machine import machine
from benchmarks.peers.worker import PeerFailedError
from benchmarks.row import Row
from hetorch.errors import HetorchError


class Ledger:
    """The rows of one run, and the JSON and Markdown files to which they are written (None: no such file)."""

    def __init__(self, title: str, json_file: Path | None, markdown_file: Path | None) -> None:
        self.title, self.rows = title, list[Row]()
        self._json, self._markdown = json_file, markdown_file
        self._begun = time.monotonic()
        self._machine = machine()

    def say(self, text: str) -> None:
        """Print a line of progress to standard error."""
        print(f"[{time.monotonic() - self._begun:6.1f} s] {text}", file=sys.stderr, flush=True)

    def add(self, row: Row) -> None:
        """Keep a row, print it, and write the files."""
        self.rows.append(row)
        self.say(f"{row.name}, {row.peer or 'alone'}, {row.threads} thread(s): {summary(row)}")
        self.write()

    def guard(self, name: str, threads: int, action: Callable[[], None]) -> None:
        """Run `action`. If our own side fails, add a row that says so, and go on."""
        try:
            action()
        except (PeerFailedError, HetorchError, MemoryError) as error:
            self.add(Row(name, "", "", threads, None, None, None, None, None, 0, f"hetorch: {error}"))

    def write(self) -> None:
        """Write both files, each in one step: a reader never sees half of one."""
        if self._json is not None:
            data = {"machine": self._machine, "rows": [row.to_json() for row in self.rows]}
            _replace(self._json, json.dumps(data, indent=2) + "\n")
        if self._markdown is not None:
            _replace(self._markdown, self.markdown())

    def markdown(self) -> str:
        """Return the table of the rows, and one of their details if there are any."""
        here = self._machine
        lines = [f"# {self.title}", "", f"{here['cpu']}, {here['cores']} cores, path {here['isa']}.", ""]
        lines += ["| what | peer | threads | theirs ms | ours ms | ratio | min-max | turns |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for row in self.rows:
            spread = "" if row.ratio is None else f"{row.ratio_min:.1f}-{row.ratio_max:.1f}"
            theirs = row.reason if row.theirs_ms is None else _ms(row.theirs_ms)
            ratio = "-" if row.ratio is None else f"{row.ratio:.1f}"
            peer = f"{row.peer} {row.peer_version}".strip() or "-"
            cells: tuple[object, ...]
            cells = (row.name, peer, row.threads, theirs, _ms(row.ours_ms), ratio, spread, row.repetitions)
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        detailed = [(row, side, facts) for row in self.rows for side, facts in row.details.items() if facts]
        if detailed:
            names = list(dict.fromkeys(name for _, _, facts in detailed for name in facts))
            lines += ["", "| what | threads | side | " + " | ".join(names) + " |"]
            lines += ["|---" * (len(names) + 3) + "|"]
            written = list[tuple[object, ...]]()
            for row, side, facts in detailed:
                who = row.peer if side == "theirs" else "hetorch"
                if (row.threads, who, facts) in written:
                    continue
                written.append((row.threads, who, facts))
                cells = (row.name, row.threads, who, *(facts.get(name, "") for name in names))
                lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        return "\n".join(lines) + "\n"


def summary(row: Row) -> str:
    """Return a row in a few words."""
    if row.ratio is None:
        return f"{_ms(row.ours_ms)} ms, no ratio: {row.reason}"
    return f"{_ms(row.theirs_ms)} ms against {_ms(row.ours_ms)} ms, ratio {row.ratio:.1f}"


def _ms(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if value < 0.1 else f"{value:,.3f}" if value < 100 else f"{value:,.0f}"


def _cell(value: object) -> str:
    if isinstance(value, float):
        value = f"{value:.3g}" if abs(value) < 1e3 else f"{value:,.0f}"
    elif isinstance(value, int) and abs(value) >= 1e6:
        value = f"{value / 1e6:,.1f} M"
    return str(value).replace("|", "/").replace("\n", " ")


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
