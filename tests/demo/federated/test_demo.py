"""`hetorch federate demo` as a user runs it: one round in CI, ten in the slow tests; and its end before its time."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hetorch.demo.federated.records import HOSPITALS, synthetic_table
from tests.cli.command import refusal

KEYS = {
    "parties",
    "threshold",
    "rounds",
    "lost",
    "accuracy_alone",
    "accuracy_together",
    "accuracy_pooled",
    "worst_difference_from_fedavg",
    "bytes_up_per_party_round",
    "ms_per_round",
}
MORE_KEYS = {"synthetic", "models", "encrypted_query_error"}


def environment(**variables: str) -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name != "HETORCH_DATA"} | variables


def run(*options: str, seconds: float = 550, **variables: str) -> str:
    command = [sys.executable, "-m", "hetorch", "federate", "demo", *options]
    result = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds, env=environment(**variables), check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert result.stderr == ""
    return result.stdout


def check(document: dict[str, Any], rounds: int) -> None:
    """Check what holds for any records and any number of rounds."""
    assert document.keys() == KEYS | MORE_KEYS
    assert (document["parties"], document["threshold"], document["rounds"], document["lost"]) == (
        4,
        3,
        rounds,
        2,
    )
    assert len(document["accuracy_alone"]) == 4
    assert document["ms_per_round"] > 0
    # An update of one block, a share for each of three others and one of the sum, and their frames.
    block = 2048 * 45 // 8
    assert 5 * block < document["bytes_up_per_party_round"] < 6 * block
    logistic, network = document["models"]
    for model in (logistic, network):
        finished = [each for each in model["rounds"] if not each["void"]]
        assert len(finished) == rounds
        for each in finished:
            assert 0 < each["difference_from_fedavg"] <= each["difference_bound"] < 1e-9
        assert [each["number"] for each in model["rounds"]] == list(range(1, len(model["rounds"]) + 1))
    worst = max(each["difference_from_fedavg"] for model in (logistic, network) for each in model["rounds"])
    assert document["worst_difference_from_fedavg"] == worst
    lost = rounds // 2
    after, void = logistic["rounds"][lost], network["rounds"][lost]
    assert (after["killed"], after["killed_before"]) == ("switzerland", "round_agreement")
    assert after["contributors"] == list(HOSPITALS)
    assert (void["killed"], void["void"], void["contributors"]) == ("va", True, [])
    for model, gone in ((logistic, "switzerland"), (network, "va")):
        for each in model["rounds"][lost + 1 :]:
            assert each["hospitals"] == each["contributors"] == [n for n in HOSPITALS if n != gone]
            assert each["threshold"] == 2
    assert document["encrypted_query_error"] < 0.01


def test_one_round_of_the_stand_in(tmp_path: Path) -> None:
    text = run("--rounds", "1", "--json", str(tmp_path / "demo.json"))
    check(json.loads((tmp_path / "demo.json").read_text()), 1)
    assert "a synthetic stand-in" in text
    for words in (
        "switzerland is killed (kill -9) after its upload: the 3 others finish the round",
        "void: va is killed (kill -9) before its upload",
        "the next one begins with the 3 hospitals that are left",
        "4 hospitals: all contribute, 3 open a sum, up to 2 may collude",
        "3 hospitals: all contribute, 2 open a sum, up to 1 may collude",
        "pooled in clear",
        "Who learned what",
    ):
        assert words in text


@pytest.mark.slow
def test_ten_rounds_of_records_in_files(tmp_path: Path) -> None:
    """The joint model is better than the mean of those alone, and about as good as the pooled one. The real records are
    used where HETORCH_DATA has them; otherwise the stand-in's, from files of the same form."""
    folder = Path(os.environ.get("HETORCH_DATA", "nowhere")) / "heart_disease"
    if not folder.is_dir():
        folder = tmp_path / "heart"
        folder.mkdir()
        for index, name in enumerate(HOSPITALS):
            table = np.nan_to_num(synthetic_table(index), nan=-9)
            np.savetxt(folder / f"processed.{name}.data", table, delimiter=",", fmt="%g")
    text = run("--data", str(folder), "--json", str(tmp_path / "demo.json"))
    document = json.loads((tmp_path / "demo.json").read_text())
    check(document, 10)
    assert "stand-in" not in text
    assert document["synthetic"] is False
    for model in document["models"]:
        assert model["accuracy_together"] > np.mean(model["accuracy_alone"])
        # Of some 230 test records the two differ by a few: three standard deviations of a tenth of them.
        assert abs(model["accuracy_together"] - model["accuracy_pooled"]) < 3 * (0.1 / 228) ** 0.5


def test_wrong_folders_are_refused(tmp_path: Path) -> None:
    assert "there is no folder" in refusal("federate", "demo", "--data", str(tmp_path / "none"))
    assert "lacks processed.cleveland.data" in refusal("federate", "demo", "--data", str(tmp_path))
    for name in HOSPITALS:
        (tmp_path / f"processed.{name}.data").write_text("1,2\n")
    assert "2 columns in line 1, expected 14" in refusal("federate", "demo", "--data", str(tmp_path))
    assert "cannot write" in refusal("federate", "demo", "--json", str(tmp_path / "none" / "a.json"))


def processes_in(folder: Path) -> list[int]:
    """Return the ids of the processes that work in a temporary folder, or in one of its name below it."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes().decode()
            if process.name.isdigit() and str(folder.parent) in command and f"/{folder.name}/" in command:
                found.append(int(process.name))
    return found


def test_a_hospital_that_dies_by_itself_is_told(tmp_path: Path) -> None:
    """The demonstration kills two; another one's end is an error, in one line, and all processes end."""
    command = [sys.executable, "-m", "hetorch", "federate", "demo", "--rounds", "1000"]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env=environment(TMPDIR=str(tmp_path)), **pipes) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "round  1" in line:
                break
        os.kill(processes_in(tmp_path / "hungarian")[0], signal.SIGKILL)
        process.stdout.read()
        errors = process.stderr.read()
        assert process.wait(120) == 1
    assert errors.count("\n") == 1
    assert "the process of the hospital hungarian ended with code -9" in errors
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["ctrl-c", "SIGTERM", "SIGKILL"])
def test_it_ends_with_all_its_processes(tmp_path: Path, how: str) -> None:
    command = [sys.executable, "-m", "hetorch", "federate", "demo", "--rounds", "1000"]
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(tmp_path)),
        start_new_session=True,
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        for line in process.stdout:
            if "round  1" in line:
                break
        assert len(processes_in(tmp_path)) == 5
        if how == "ctrl-c":
            os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        else:
            process.send_signal(signal.Signals[how])
        process.stdout.read()
        errors = process.stderr.read()
        code = process.wait(120)
    if how == "SIGKILL":  # the children see the pipe close
        deadline = time.monotonic() + 120
        while processes_in(tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
    else:
        assert code == 130
        assert errors == ""
        assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []
