"""Child processes end with a block of their parent."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from hetorch.demo.child import python_child, wait_for_file
from hetorch.errors import HetorchError


def test_a_child_is_stopped_when_its_block_fails(tmp_path: Path) -> None:
    children: list[subprocess.Popen[str]] = []
    with (
        pytest.raises(KeyboardInterrupt),
        python_child("http.server", ["0", "--bind", "127.0.0.1"], tmp_path / "log") as child,
    ):
        children.append(child)
        assert child.poll() is None
        raise KeyboardInterrupt
    assert children[0].poll() is not None


def test_a_child_that_ends_early_is_told_with_its_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        python_child("no_such_module_at_all", [], log) as child,
        pytest.raises(HetorchError, match="No module named no_such_module_at_all"),
    ):
        wait_for_file(tmp_path / "ready", child, log, 30)


def test_a_child_that_is_not_ready_in_time(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with (
        python_child("http.server", ["0", "--bind", "127.0.0.1"], log) as child,
        pytest.raises(HetorchError, match=r"not ready after 0\.2 s"),
    ):
        wait_for_file(tmp_path / "ready", child, log, 0.2)
