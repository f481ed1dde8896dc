"""`hetorch cache`: what is kept on a machine is told, and only what can be made again is cleared."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from hetorch.client import Vault
from hetorch.compiler.costs.machine import DEFAULT, store_machine
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.params import ParameterSet
from tests.cli.command import save_secure_plan
from tests.cli.in_process import Shown, invoke

WEEK = 7 * 86400
KINDS = ["tuning", "contexts", "secret-keys", "evaluation-keys", "uploads"]


def cache(home: Path, *arguments: object, answer: str = "", code: int = 0, tuning: str = "") -> Shown:
    """Run `hetorch cache` in this process as a user with that home folder and, if it is given, HETORCH_TUNING."""
    unset = {name: None for name in os.environ if name.startswith(("HETORCH_", "XDG_"))}
    environment = unset | {"HOME": str(home)} | ({"HETORCH_TUNING": tuning} if tuning else {})
    return invoke("cache", *arguments, answer=answer, code=code, environment=environment)


def kept(home: Path, *arguments: object, tuning: str = "") -> dict[str, dict[str, object]]:
    listed = json.loads(cache(home, "list", "--json", *arguments, tuning=tuning).stdout)
    assert listed["bytes"] == sum(one["bytes"] for one in listed["kept"])
    return {one["kind"]: one for one in listed["kept"]}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home folder with tuned constants, a secret key and evaluation keys."""
    store_machine(DEFAULT, tmp_path / ".cache" / "hetorch" / "tuning.json")
    vault = Vault(tmp_path / ".local" / "share" / "hetorch" / "keys")
    parameters = ParameterSet.from_bits(1 << 13, [49, 40, 40], [49])
    vault.seed(parameters)
    vault.evaluation_keys(parameters, EvaluationKeySpec(None, ()), lambda: [b"HEEVK" * 100])
    return tmp_path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"}


def test_nothing_is_kept_and_nothing_is_made(tmp_path: Path) -> None:
    listed = kept(tmp_path)
    assert list(listed) == KINDS and all(one["bytes"] == one["files"] == 0 for one in listed.values())
    text = cache(tmp_path, "list").stdout
    assert "0 bytes in all" in text and "each process makes the tables of its rings" in text
    assert cache(tmp_path, "clear").stdout == "there is nothing to clear\n"
    assert list(tmp_path.iterdir()) == []


def test_everything_that_is_kept_is_listed(home: Path) -> None:
    listed = kept(home)
    sizes = {path.name: path.stat().st_size for path in home.rglob("*") if path.is_file()}
    assert listed["tuning"]["bytes"] == sizes["tuning.json"]
    assert listed["secret-keys"]["content"] == "1 secret key"
    assert listed["evaluation-keys"]["bytes"] == 500 and listed["evaluation-keys"]["files"] == 1
    assert str(home) in str(listed["evaluation-keys"]["place"])
    assert kept(home, "--vault", home / "none")["evaluation-keys"]["bytes"] == 0


def test_clear_asks_and_says_what_is_lost(home: Path) -> None:
    before = files(home)
    asked = cache(home, "clear", answer="n\n").stdout
    assert "lost: plans that are compiled later" in asked and "nothing was cleared" in asked
    unanswered = cache(home, "clear", code=1)
    assert "--yes clears without asking" in unanswered.stderr
    assert files(home) == before
    assert "cleared tuning" in cache(home, "clear", answer="y\n").stdout
    assert before - files(home) == {"tuning.json"}


def test_keys_of_an_owner_are_cleared_only_by_name_and_secret_ones_never(home: Path) -> None:
    cache(home, "clear", "--yes")
    assert kept(home)["evaluation-keys"]["files"] == 1
    cleared = json.loads(cache(home, "clear", "evaluation-keys", "--yes", "--json").stdout)
    assert cleared == {"cleared": ["evaluation-keys"], "bytes": 500}
    refused = cache(home, "clear", "secret-keys", "--yes", code=1).stderr
    assert "could never be read again" in refused and str(home) in refused
    assert files(home) == {"seed", "seed.id"}


def test_clear_refuses_other_kinds_before_it_clears(home: Path) -> None:
    before = files(home)
    for kind, message in (
        ("tunning", "there is no kind 'tunning'"),
        ("contexts", "not cleared by this command"),
        ("uploads", "not cleared by this command"),
    ):
        assert message in cache(home, "clear", "tuning", kind, "--yes", code=1).stderr
    cache(home, "clear", "--json", code=2)
    cache(home, "clean", code=2)
    assert files(home) == before


def test_what_killed_processes_left_is_cleared_when_it_is_old(home: Path) -> None:
    folder = home / ".cache" / "hetorch"
    for name, age in ((".new-0123", WEEK), (".new-4567", 0)):
        (folder / name).write_bytes(b"x" * 10)
        os.utime(folder / name, (folder.stat().st_mtime - age,) * 2)
    assert kept(home)["tuning"]["files"] == 2
    cache(home, "clear", "--yes")
    assert {path.name for path in folder.iterdir()} == {".new-4567"}


def test_a_file_that_the_user_named_is_cleared_only_if_it_is_hetorchs(home: Path) -> None:
    mine, foreign = home / "mine.json", home / "letter.txt"
    store_machine(DEFAULT, mine)
    foreign.write_text("dear all")
    assert cache(home, "clear", "--yes", tuning=str(foreign)).stdout == "there is nothing to clear\n"
    assert "cannot be used" in str(kept(home, tuning=str(foreign))["tuning"]["content"])
    cache(home, "clear", "--yes", tuning=str(mine))
    assert foreign.exists() and not mine.exists()
    broken = home / ".cache" / "hetorch" / "tuning.json"
    broken.write_text("{")
    assert "cleared tuning" in cache(home, "clear", "--yes").stdout and not broken.exists()


def test_uploads_of_a_server(home: Path) -> None:
    folder = home / "server"
    (folder / "keys").mkdir(parents=True)
    (folder / "keys" / "0.evk").write_bytes(bytes(7))
    (folder / "keys" / "0.txt").write_bytes(bytes(70))
    assert kept(home, "--key-folder", folder)["uploads"]["bytes"] == 7
    assert "there is no key folder" in cache(home, "list", "--key-folder", home / "none", code=1).stderr


def test_a_prediction_works_after_clearing(tmp_path: Path) -> None:
    """Evaluation keys are made again from the secret key that stays."""
    vault = tmp_path / "vault"
    keygen = ("keygen", save_secure_plan(tmp_path), "--vault", vault)
    invoke(*keygen)
    seeds = {path: path.read_bytes() for path in vault.rglob("seed*")}
    cache(tmp_path, "clear", "evaluation-keys", "--yes", "--vault", vault)
    assert not list(vault.rglob("*.evk"))
    invoke(*keygen)
    assert len(list(vault.rglob("*.evk"))) == 1
    assert {path: path.read_bytes() for path in seeds} == seeds
