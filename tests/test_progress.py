"""Long work tells whoever waits for it: by default at the terminal, in a notebook and in the log."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hetorch import progress
from hetorch.client import Client
from hetorch.model_owner.encrypt import save_encrypted_weights
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.server.models import serve_plan
from tests.server.live import live
from tests.server.small_plan import outsourced_plan

WORK = """
import logging, sys, time
import hetorch.progress
from hetorch.progress import reporting
{before}
hetorch.progress.QUIET_SECONDS = 0.1
with reporting({option}, "making evaluation keys", 200_000_000) as report:
    for done in range(5):
        report("making evaluation keys", done / 5)
        time.sleep({pause})
    report("making evaluation keys", 1.0)
"""


def at_terminal(code: str) -> str:
    """Run code with a terminal as its stderr; return what it shows there."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen([sys.executable, "-c", code], stderr=theirs, stdout=theirs, env=environment)
    os.close(theirs)
    shown = b""
    try:
        while piece := os.read(ours, 1 << 16):
            shown += piece
    except OSError:  # the other side is closed
        pass
    os.close(ours)
    assert process.wait(60) == 0, shown
    return shown.decode()


def elsewhere(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("option", ["None", "True"])
def test_a_bar_on_the_terminal_for_what_takes_long(option: str) -> None:
    shown = at_terminal(WORK.format(before="", option=option, pause=0.1))
    assert "making evaluation keys (200.0 MB)" in shown and "100%" in shown
    assert at_terminal(WORK.format(before="", option=option, pause=0)) == ""


def test_false_is_silence() -> None:
    log = "logging.basicConfig(level=logging.INFO)"
    assert at_terminal(WORK.format(before=log, option="False", pause=0.1)) == ""


def test_a_failure_ends_the_bar() -> None:
    """A bar that goes on would hide the cursor and draw over the traceback."""
    code = WORK.format(before="", option="None", pause=0.1).replace(
        'report("making evaluation keys", 1.0)', "raise TimeoutError"
    )
    shown = at_terminal(f"try:\n    exec({code!r})\nexcept TimeoutError:\n    print('ended')")
    assert shown.rstrip().endswith("ended") and "\x1b[?25h" in shown


def test_a_line_in_a_notebook() -> None:
    before = "sys.modules['ipykernel'] = sys"
    shown = elsewhere(WORK.format(before=before, option="None", pause=0.1))
    assert shown == "making evaluation keys (200.0 MB) ...\n"
    assert elsewhere(WORK.format(before=before, option="None", pause=0)) == ""


def test_elsewhere_the_log_knows_it() -> None:
    assert elsewhere(WORK.format(before="", option="None", pause=0.1)) == ""
    log = "logging.basicConfig(level=logging.INFO)"
    shown = elsewhere(WORK.format(before=log, option="None", pause=0))
    assert shown == "INFO:hetorch.progress:making evaluation keys (200.0 MB)\n"


def test_a_function_is_told_everything() -> None:
    told: list[tuple[str, float]] = []
    with reporting(lambda stage, fraction: told.append((stage, fraction)), "work", 5) as report:
        report("work", 0.0)
        report("work", 1.0)
    assert told == [("work", 0.0), ("work", 1.0)]


@pytest.mark.parametrize("option", [None, True, False, "function"])
def test_every_long_step_of_a_client_is_told(
    option: ProgressOption | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, list[float]] = {}

    def note(stage: str, fraction: float) -> None:
        told.setdefault(stage.partition(" (")[0], []).append(fraction)

    @contextmanager
    def display(text: str) -> Iterator[Progress]:
        yield note

    monkeypatch.setattr(progress, "_display", display)
    monkeypatch.setattr(progress, "QUIET_SECONDS", -1.0)
    chosen: ProgressOption = note if option == "function" else option  # type: ignore[assignment]
    plan = outsourced_plan()
    with live({"small": serve_plan("small", plan.without_weights())}) as url:
        for weights in (plan, tmp_path / "w"):
            with Client(url, vault=tmp_path / "keys", allow_insecure=True, progress=chosen) as client:
                save_encrypted_weights(plan, client.public_key(), tmp_path / "w")
                client.upload_weights(weights)
    stages = {
        *("making evaluation keys", "uploading evaluation keys"),
        *("encrypting weights", "uploading weights"),
    }
    assert set(told) == (set() if option is False else stages)
    for fractions in told.values():
        assert fractions == sorted(fractions) and fractions[-1] == 1.0
