from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.compiler.networks import plan


def test_a_report_prints_as_the_table_of_its_plan(capsys: pytest.CaptureFixture[str]) -> None:
    made = plan("residual")
    made.report()
    assert capsys.readouterr().out == f"{made.report}\n"
    lines = str(made.report).splitlines()
    assert set(lines) <= set(str(made).splitlines()) and len(lines) > len(made.report.layers) + 4
    headings = lines[0].replace("predicted error", "predicted_error").split()
    explained = type(made.report).__doc__ or ""
    assert all(heading.replace("_", " ") in explained for heading in headings[2:])
    assert "default constants: hetorch tune" in str(replace(made.report, machine="default"))
    assert "hetorch tune" not in str(replace(made.report, machine="tuned 1234"))


def test_the_table() -> None:
    text = str(plan("residual"))
    for word in (
        "layer",
        "predicted error",
        "N = 2^",
        "log2 QP",
        "128-bit security",
        "digits",
        "MB",
        "note",
        "promise",
        "first",
    ):
        assert word in text
    report = plan("residual").to_report()
    assert report["promised_error"] == plan("residual").report.promised_error
    assert json.loads(json.dumps(report))["ring_degree"] == plan("residual").parameters.ring_degree
