"""Long work tells whoever waits for it: by default at the terminal, in a notebook and in the log."""

from __future__ import annotations

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import hetorch
from hetorch import progress
from hetorch.client import Client
from hetorch.errors import InputError
from hetorch.model_owner.encrypt import save_encrypted_weights
from hetorch.progress import Progress, ProgressOption, reporting
from hetorch.serving.models import serve_plan
from tests.server.live import live
from tests.server.small_plan import outsourced_plan, small_plan
from tests.terminal import at_terminal

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


KERNEL = """
from types import SimpleNamespace
sys.modules["IPython"] = SimpleNamespace(get_ipython=lambda: SimpleNamespace(kernel=True))
"""


def elsewhere(code: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout == ""
    return result.stderr


@pytest.mark.parametrize("option", ["None", "True"])
def test_a_bar_on_the_terminal_for_what_takes_long(option: str) -> None:
    shown = at_terminal(WORK.format(before="", option=option, pause=0.1))
    assert "making evaluation keys (200 MB)" in shown and "100%" in shown
    assert at_terminal(WORK.format(before="", option=option, pause=0)) == ""


def test_the_bar_says_what_is_done_in_words() -> None:
    code = WORK.format(before="", option="None", pause=0.1).replace(
        "200_000_000)", "200_000_000, lambda share: f'{round(5 * share)} of 5 keys')"
    )
    shown = at_terminal(code)
    assert "making evaluation keys: 5 of 5 keys" in shown


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
    """It is written over with the stage, and in the end the name of the work stays."""
    before = f"{KERNEL}hetorch.progress.NOTEBOOK_SECONDS = 0"
    code = WORK.format(before=before, option="None", pause=0.1)
    shown = in_a_notebook(code.replace('report("making evaluation keys", done', 'report("first layer", done'))
    title = "making evaluation keys (200 MB)"
    assert shown[0] == "" and shown[1] == f"{title} ..."
    assert shown[-1].endswith("\n") and shown[-1].rstrip() == f"{title} ..."
    assert f"{title}: first layer, 80%" in [text.rstrip() for text in shown]
    # Each text covers the one before it.
    assert [len(text.rstrip("\n")) for text in shown] == sorted(len(text.rstrip("\n")) for text in shown)
    assert in_a_notebook(WORK.format(before=before, option="None", pause=0)) == [""]


def test_a_notebook_is_where_a_kernel_runs() -> None:
    """Not where its packages are only imported, as by a debugger."""
    imported = "import ipykernel.zmqshell, IPython"
    assert elsewhere(WORK.format(before=imported, option="None", pause=0.1)) == ""
    kernel = "import ipykernel.zmqshell; ipykernel.zmqshell.ZMQInteractiveShell.instance(kernel=sys)"
    checked = f"import sys\n{kernel}\nimport hetorch.progress; assert hetorch.progress.in_a_notebook()"
    assert elsewhere(checked) == ""


def test_a_line_in_a_notebook_changes_seldom() -> None:
    before = f"{KERNEL}hetorch.progress.NOTEBOOK_SECONDS = 100"
    shown = in_a_notebook(WORK.format(before=before, option="None", pause=0.1))
    assert shown == ["", "making evaluation keys (200 MB) ...", "making evaluation keys (200 MB) ...\n"]


def in_a_notebook(code: str) -> list[str]:
    """Return the texts that one line has in turn."""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)
    return result.stderr.decode().split("\r")  # as text, a carriage return would be a new line


def test_elsewhere_the_log_knows_it() -> None:
    assert elsewhere(WORK.format(before="", option="None", pause=0.1)) == ""
    log = "logging.basicConfig(level=logging.INFO)"
    shown = elsewhere(WORK.format(before=log, option="None", pause=0))
    assert shown == "INFO:hetorch.progress:making evaluation keys (200 MB)\n"


def test_lines_where_no_display_is() -> None:
    """One after a while, one at the end, others between them; with words on what is done if there are such."""
    before = "hetorch.progress.LINE_SECONDS = 0.15"
    shown = elsewhere(WORK.format(before=before, option='"lines"', pause=0.1)).splitlines()
    assert len(shown) >= 3
    assert all(re.fullmatch(r"making evaluation keys \(200 MB\), \d+%, \d+ s", line) for line in shown)
    assert ", 100%, " in shown[-1] and ", 100%, " not in shown[0]
    assert elsewhere(WORK.format(before=before, option='"lines"', pause=0)) == ""
    words = WORK.format(before=before, option='"lines"', pause=0.1).replace(
        "200_000_000)", "200_000_000, lambda share: f'{round(5 * share)} of 5 keys')"
    )
    assert re.match(r"making evaluation keys: [1-4] of 5 keys, \d+%, 0 s\n", elsewhere(words))
    assert "╺" in at_terminal(WORK.format(before=before, option='"lines"', pause=0.1))


def test_work_of_minutes_is_told_even_where_nobody_looks() -> None:
    """A script whose output goes to a file shows that it goes on; False is silence there too."""
    before = "hetorch.progress.MINUTE_SECONDS = 0.15"
    code = WORK.format(before=before, option="None", pause=0.1)
    assert elsewhere(code) == ""
    told = code.replace("200_000_000)", "200_000_000, even_unseen=True)")
    shown = elsewhere(told).splitlines()
    assert len(shown) >= 3 and ", 100%, " in shown[-1] and ", 100%, " not in shown[0]
    assert elsewhere(told.replace("reporting(None", "reporting(False")) == ""
    assert elsewhere(told.replace("time.sleep(0.1)", "time.sleep(0)")) == ""


def test_a_failure_ends_the_lines() -> None:
    code = WORK.format(before="hetorch.progress.LINE_SECONDS = 0.15", option='"lines"', pause=0.1).replace(
        'report("making evaluation keys", 1.0)', "raise TimeoutError"
    )
    shown = elsewhere(
        f"import sys\ntry:\n    exec({code!r})\nexcept TimeoutError:\n    print('end', file=sys.stderr)"
    )
    assert re.search(r"making evaluation keys \(200 MB\), 80%, \d+ s\nend\n$", shown)


def test_a_function_is_told_everything() -> None:
    told: list[tuple[str, float]] = []
    with reporting(lambda stage, fraction: told.append((stage, fraction)), "work", 5) as report:
        report("work", 0.0)
        report("work", 1.0)
    assert told == [("work", 0.0), ("work", 1.0)]


def test_nothing_else_is_taken_for_progress() -> None:
    with pytest.raises(InputError, match="function of"), reporting(3, "work"):  # type: ignore[arg-type]
        pass


def test_a_stage_that_reports_nothing_is_shown() -> None:
    """The display does not wait for the next report, and tells the stage that has begun."""
    code = WORK.format(before="", option="None", pause=0).replace(
        'report("making evaluation keys", 1.0)', 'report("another stage", 0.3); time.sleep(0.5)'
    )
    shown = at_terminal(code)
    assert "making evaluation keys (200 MB): another stage" in shown and "30%" in shown and "0:00:00" in shown


def test_another_display_at_the_terminal_is_left_alone() -> None:
    code = "from rich.progress import track\nfor _ in track(range(1)):\n    "
    shown = at_terminal(code + WORK.format(before="", option="None", pause=0.1).replace("\n", "\n    "))
    assert "Working" in shown


def note_displays(told: dict[str, list[list[float]]], monkeypatch: pytest.MonkeyPatch) -> Progress:
    """Let displays begin at once, and note the stages of each with their fractions; return a function that notes them
    too."""

    def note(stage: str, fraction: float) -> None:
        runs = told.setdefault(re.sub(r" \(.* .*\)|: \d+ of \d+ keys, .*", "", stage), [])
        if not runs or fraction < runs[-1][-1]:
            runs.append([])
        runs[-1].append(fraction)

    @contextmanager
    def display(title: str, begun: float, width: int) -> Iterator[Progress]:
        yield note

    monkeypatch.setattr(progress, "_display", display)
    monkeypatch.setattr(progress, "somebody_looks", lambda: True)
    monkeypatch.setattr(progress, "QUIET_SECONDS", 0.0)
    return note


@pytest.mark.parametrize("option", [None, True, False, "function"])
def test_every_long_step_of_a_client_is_told(
    option: ProgressOption | str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, list[list[float]]] = {}
    note = note_displays(told, monkeypatch)
    chosen: ProgressOption = note if option == "function" else option  # type: ignore[assignment]
    plan = outsourced_plan()
    with live({"small": serve_plan("small", plan.without_weights())}) as url:
        for weights in (plan, tmp_path / "w"):
            with Client(url, vault=tmp_path / "keys", allow_insecure=True, progress=chosen) as client:
                save_encrypted_weights(plan, client.public_key(), tmp_path / "w", chosen)
                client.upload_weights(weights)
                client.predict(np.zeros((3, *client.plan.input_shape)))
    stages = {
        *("making evaluation keys", "uploading evaluation keys"),
        *("encrypting weights", "uploading weights", "encrypted predictions"),
    }
    assert set(told) == (set() if option is False else stages)
    assert all(runs[-1][-1] == 1.0 for runs in told.values())


LONG: dict[str, Callable[..., object]] = {
    "compile": lambda **option: hetorch.compile(nn.Linear(4, 2), torch.randn(8, 4), **option),
    "analyze": lambda **option: hetorch.analyze(nn.Linear(4, 2), torch.randn(8, 4), **option),
    "simulate": lambda **option: hetorch.simulate(small_plan(), np.zeros((3, 8)), **option),
    "evaluate": lambda **option: hetorch.evaluate(small_plan(), np.zeros((3, 8)), **option),
    "run_encrypted": lambda **option: hetorch.run_encrypted(small_plan(), np.zeros((3, 8)), **option),
    "tune": lambda **option: hetorch.tune("machine.json", ring_degrees=[1 << 10], seconds=1e-4, **option),
}


@pytest.mark.parametrize("name", LONG)
def test_every_long_function_shows_its_progress_by_default(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    told: dict[str, list[list[float]]] = {}
    note = note_displays(told, monkeypatch)
    assert inspect.signature(getattr(hetorch, name)).parameters["progress"].default is None
    LONG[name](progress=False)
    assert not told
    LONG[name]()
    assert all(stage.startswith(name.replace("_", " ")) for stage in told)
    shown = {stage.partition(": ")[2] for stage in told} - {""}
    told.clear()
    LONG[name](progress=note)
    assert shown <= set(told)
    assert max(run[-1] for runs in told.values() for run in runs) >= 0.9
