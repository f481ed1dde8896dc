"""A sealed vault on the command line, and files that are none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from hetorch.client import Vault
from hetorch.errors import VaultError
from tests.cli.command import save_secure_plan
from tests.cli.in_process import invoke

CLEAR = {"HETORCH_VAULT_PASSPHRASE": None}


@pytest.fixture(autouse=True)
def cheap_scrypt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hetorch.client.sealing.SCRYPT_COST", 1 << 14)


def test_keys_under_a_passphrase(tmp_path: Path) -> None:
    plan, vault = save_secure_plan(tmp_path / "plan"), tmp_path / "vault"
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("first words\nand a second line\n")
    new.write_text("other words\r\n")
    keygen = ("keygen", plan, "--vault", vault)
    invoke(*keygen, "--passphrase-file", old, environment=CLEAR)
    assert Vault(vault, passphrase="first words").is_sealed
    assert "is sealed" in invoke(*keygen, code=1, environment=CLEAR).stderr
    invoke(*keygen, environment={"HETORCH_VAULT_PASSPHRASE": "first words"})
    protect = ("vault", "protect", "--vault", vault)
    assert "is sealed" in invoke(*protect, "--new-passphrase-file", new, code=1, environment=CLEAR).stderr
    told = invoke(*protect, "--passphrase-file", old, "--new-passphrase-file", new, environment=CLEAR)
    assert "under the new passphrase" in told.stdout and "words" not in told.stdout + told.stderr
    assert "is wrong" in invoke(*keygen, "--passphrase-file", old, code=1, environment=CLEAR).stderr
    invoke(*keygen, "--passphrase-file", new, environment=CLEAR)


def test_a_vault_in_clear_is_sealed_by_protect(tmp_path: Path) -> None:
    plan, vault = save_secure_plan(tmp_path / "plan"), tmp_path / "vault"
    (tmp_path / "words").write_text("words")
    invoke("keygen", plan, "--vault", vault, environment=CLEAR)
    protect = ("vault", "protect", "--vault", vault)
    assert "no terminal" in invoke(*protect, code=1, environment=CLEAR).stderr
    sentence = "unset it for this command"
    set_already = {"HETORCH_VAULT_PASSPHRASE": "words"}
    assert sentence in invoke(*protect, code=1, environment=set_already).stderr
    invoke(*protect, "--new-passphrase-file", tmp_path / "words", environment=CLEAR)
    with pytest.raises(VaultError, match="is sealed"):
        Vault(vault)


@pytest.mark.timeout(60)
def test_pipes_and_devices_are_refused_at_once(tmp_path: Path) -> None:
    plan, pipe = save_secure_plan(tmp_path / "plan"), tmp_path / "pipe"
    for path in (pipe, tmp_path / "pipe.npy", tmp_path / "pipe.csv"):
        os.mkfifo(path)
    url = "http://127.0.0.1:1"
    for arguments in (
        ("keygen", plan, "--vault", tmp_path / "vault", "--passphrase-file", pipe),
        ("keygen", url, "--token-file", pipe),
        ("keygen", url, "--ca", pipe),
        ("keygen", url, "--cert", pipe),
        ("predict", url, tmp_path / "pipe.npy"),
        ("predict", url, tmp_path / "pipe.csv"),
        ("encrypt-weights", plan, "--public-key", pipe, "-o", tmp_path / "weights"),
        ("keygen", plan, "--vault", pipe),
    ):
        stderr = invoke(*arguments, code=1, environment=CLEAR).stderr
        assert "no regular file" in stderr or "not a folder" in stderr, (arguments, stderr)
