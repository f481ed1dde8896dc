"""Runs the examples of Markdown files as they are shown: `run_examples.py README.md ...`. Exits 1 at the first failure.

A fenced block runs if the word `run` follows its language: ```python run, ```bash run. A block marked
```bash run background is started and left running until the file ends (a server). A comment

    <!-- python run
    ...
    -->

runs too, unseen by the reader: what an example takes for granted. The blocks of one file run in order, in one
temporary folder; its Python blocks share their variables. The `python` and `hetorch` that shell blocks find are those
beside the interpreter that runs this.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

BLOCK = re.compile(
    r"^```(?P<fence>python|bash) run(?P<background> background)?[^\n]*\n(?P<shown>.*?)^```\s*$"
    r"|^<!-- (?P<comment>python|bash) run\n(?P<hidden>.*?)^-->\s*$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Example:
    """One block: its language (`python` or `bash`), its text, and where it begins in its file."""

    language: str
    text: str
    line: int
    background: bool = False


def examples(markdown: str) -> list[Example]:
    """The blocks that run, in order."""
    found = []
    for match in BLOCK.finditer(markdown):
        hidden = match["comment"] is not None
        found.append(
            Example(
                match["comment"] if hidden else match["fence"],
                match["hidden"] if hidden else match["shown"],
                markdown.count("\n", 0, match.start()) + 1,
                match["background"] is not None,
            )
        )
    return found


def run_file(path: Path) -> int:
    """Run the examples of one file, and return how many there were. An example's own exception passes through."""
    found = examples(path.read_text(encoding="utf-8"))
    variables: dict[str, object] = {"__name__": "__main__"}
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
    }
    running: list[subprocess.Popen[bytes]] = []
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            for example in found:
                print(f"{path}:{example.line}: {example.language}", flush=True)
                if example.language == "python":
                    # Line numbers in a traceback are those of the Markdown file.
                    exec(compile("\n" * example.line + example.text, str(path), "exec"), variables)
                    continue
                command = ["bash", "-euo", "pipefail", "-c", example.text]
                if example.background:
                    running.append(subprocess.Popen(command, env=environment, start_new_session=True))
                else:
                    subprocess.run(command, env=environment, check=True)
        finally:
            for process in running:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(30)
            os.chdir(before)
    return len(found)


def main(arguments: list[str]) -> int:
    """The exit status: 0 if every example of every file ran."""
    for name in arguments:
        try:
            count = run_file(Path(name).resolve())
        except subprocess.CalledProcessError as error:
            print(f"{name}: an example failed with exit status {error.returncode}", file=sys.stderr)
            return 1
        print(f"{name}: {count} examples ran")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
