"""Users without a home folder, as in a container that runs under a random number: what needs no folder works."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import save_secure_plan

NOBODY = """
import pwd
def unknown(user):
    raise KeyError(f"getpwuid(): uid not found: {user}")
pwd.getpwuid = unknown
"""
"""Makes the user of a process one who is not in the machine's list, so that Python knows neither name nor home."""
VERB = "from hetorch.cli.main import main; main()"
WORK = """
import sys
import torch, hetorch
assert hetorch.Vault(sys.argv[1])
torch.manual_seed(0)
plan = hetorch.compile(torch.nn.Linear(4, 2).eval(), torch.randn(16, 4))
print(plan.report.machine, hetorch.run_encrypted(plan, torch.zeros(4)).shape)
"""
KINDS = ("unknown user without HOME", "HOME does not exist", "XDG folders cannot be read")


def run(
    folder: Path,
    kind: str,
    code: str,
    *arguments: object,
    fails: bool = False,
    chosen: dict[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run Python code as a user of this kind, with the environment variables `chosen`."""
    (folder / "file").write_text("")
    blocked = str(folder / "file" / "below")  # can be neither read nor made, not even by root
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("HETORCH_", "XDG_"))
    }
    if kind == "unknown user without HOME":
        del environment["HOME"]
        code = NOBODY + code
    elif kind == "HOME does not exist":
        environment["HOME"] = blocked
    else:
        environment |= {"XDG_DATA_HOME": blocked, "XDG_CACHE_HOME": blocked}
    result = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
        env=environment | (chosen or {}),
    )
    assert result.returncode == fails, result.stderr
    return result


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_secure_plan(tmp_path)
    return tmp_path


@pytest.mark.parametrize("kind", KINDS)
def test_compiling_and_a_vault_of_ones_own_work(folder: Path, kind: str) -> None:
    result = run(folder, kind, WORK, folder / "vault")
    assert result.stdout.split() == ["default", "(2,)"], result.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_keygen_says_what_to_give_and_then_works(folder: Path, kind: str) -> None:
    keygen = (VERB, "keygen", folder / "small0.hetorch")
    said = run(folder, kind, *keygen, fails=True).stderr
    assert len(said.splitlines()) == 1 and said.startswith("hetorch: error: the vault ")
    assert "give a folder that only you can use" in said and "HETORCH_VAULT" in said
    assert "keys" in run(folder, kind, *keygen, "--vault", folder / "vault").stdout
    assert "keys" in run(folder, kind, *keygen, chosen={"HETORCH_VAULT": str(folder / "vault")}).stdout


@pytest.mark.parametrize("kind", KINDS)
def test_doctor_works(folder: Path, kind: str) -> None:
    document = json.loads(run(folder, kind, VERB, "doctor", "--json").stdout)
    assert (document["missing"], document["tuned"], document["vault"]) == ([], "no", "none")
    assert any("give a folder that only you can use" in sentence for sentence in document["advice"])


@pytest.mark.parametrize("kind", KINDS)
def test_tune_says_at_once_that_it_needs_a_file(folder: Path, kind: str) -> None:
    result = run(folder, kind, VERB, "tune", "--seconds", "0.000001", fails=True)
    assert "tuned constants" in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("name", ["HETORCH_VAULT", "HETORCH_TUNING"])
def test_the_home_of_a_user_who_is_not_there(folder: Path, name: str) -> None:
    kind = "HOME does not exist"
    chosen = {name: "~no-such-user/x"}
    if name == "HETORCH_TUNING":
        assert run(folder, kind, WORK, folder / "vault", chosen=chosen).stdout.startswith("default")
    else:
        plan = folder / "small0.hetorch"
        assert "no-such-user" in run(folder, kind, VERB, "keygen", plan, fails=True, chosen=chosen).stderr
