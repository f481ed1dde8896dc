"""A new secret key is never made without a word."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from hetorch.client import Vault
from hetorch.params.insecure import insecure_small
from tests.cli.command import hetorch, save_secure_plan


def test_each_new_key_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parameters, others = insecure_small(1 << 11, 2), insecure_small(1 << 11, 3)
    folder = tmp_path / "keys"
    for _ in range(2):  # the second time after the vault was deleted
        vault = Vault(folder)
        for used in (parameters, others, parameters, others):
            vault.seed(used)
            Vault(folder).seed(used)
        told = [record.getMessage() for record in caplog.records]
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
        for used, text in zip((parameters, others), told, strict=True):
            assert f"made a new secret key in {folder / used.fingerprint().hex()}" in text
            assert "earlier" in text
        caplog.clear()
        shutil.rmtree(folder)


def test_it_is_seen_without_any_configuration(tmp_path: Path) -> None:
    code = (
        "import sys, warnings; warnings.simplefilter('error')\n"
        "from hetorch.client import Vault\n"
        "from hetorch.params import ParameterSet\n"
        "Vault(sys.argv[1]).seed(ParameterSet.from_bits(1 << 13, [49, 40], [49]))\n"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", code, tmp_path / "keys"], capture_output=True, text=True, check=True
        ).stderr
        for _ in range(2)
    ]
    assert said[0].startswith("made a new secret key in ") and said[0].count("\n") == 1
    assert said[1] == ""


def test_the_command_line_notes_it_on_stderr(tmp_path: Path) -> None:
    plan = save_secure_plan(tmp_path)
    said = [hetorch("keygen", plan, "--json", vault=tmp_path / "keys") for _ in range(2)]
    assert said[0].stderr.startswith(f"hetorch: note: made a new secret key in {tmp_path / 'keys'}")
    assert said[0].stderr.count("\n") == 1
    assert said[1].stderr == "" and said[0].stdout == said[1].stdout
