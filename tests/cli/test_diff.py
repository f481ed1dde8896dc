"""`hetorch diff`: exit codes as diff(1) has them, and the differences in words and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hetorch.plan import Plan
from tests.cli.command import hetorch, save_secure_plan, server_process


@pytest.fixture(scope="module")
def plans(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("plans")
    return save_secure_plan(folder, 0), save_secure_plan(folder, 1)


def test_equal_plans(plans: tuple[Path, Path], tmp_path: Path) -> None:
    Plan.load(plans[0]).save(tmp_path / "copy")
    assert "the plans are equal" in hetorch("diff", plans[0], tmp_path / "copy").stdout
    document = json.loads(hetorch("diff", plans[0], tmp_path / "copy", "--json").stdout)
    assert (document["equal"], document["changes"], document["layers"]) == (True, {}, [])


def test_other_weights(plans: tuple[Path, Path]) -> None:
    shown = hetorch("diff", *plans, code=1)
    assert "weights differ by up to" in shown.stdout and shown.stderr == ""
    document = json.loads(hetorch("diff", *plans, "--json", code=1).stdout)
    assert document["fingerprints"] == [Plan.load(path).fingerprint for path in plans]
    (layer,) = document["layers"]
    assert list(layer["changes"]) == ["weights"] and layer["largest_weight_change"] > 0.1


def test_errors_have_the_exit_code_of_diff(plans: tuple[Path, Path], tmp_path: Path) -> None:
    for arguments, message in (
        ((plans[0], tmp_path / "none"), "neither a plan folder nor an address"),
        ((plans[0], tmp_path), "is no plan folder: it has no manifest.json"),
        ((plans[0], "http://127.0.0.1:9"), "127.0.0.1:9"),
    ):
        shown = hetorch("diff", *arguments, code=2)
        assert message in shown.stderr and len(shown.stderr.splitlines()) == 1
    hetorch("diff", plans[0], code=2)
    # Other verbs keep theirs.
    hetorch("inspect", tmp_path / "none", code=1)


def test_a_plan_and_what_a_server_runs(plans: tuple[Path, Path], tmp_path: Path) -> None:
    with server_process([plans[0]], tmp_path) as (url, _):
        same = hetorch("diff", plans[0], url).stdout
        assert "the plans are equal" in same and "only the public parts were compared" in same
        other = hetorch("diff", url.replace("http://", "http://user:secret@"), plans[1], code=1)
        assert "fingerprint" in other.stdout and "secret" not in other.stdout + other.stderr
