"""Wrong usage: exit code 2 for the form, 1 for the content, one line, no traceback."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hetorch.cli.arrays import fit_samples, load_array, save_arrays
from hetorch.errors import InputError, StorageError
from tests.cli.command import hetorch, refusal, save_secure_plan, server_process

VERBS = (
    *("analyze", "compile", "keygen", "serve", "predict", "inspect", "demo", "doctor"),
    *("without-weights", "public-key", "encrypt-weights", "upload-weights"),
    *("diff", "trace", "sweep", "cache", "token"),
)
NOBODY = "http://127.0.0.1:9"


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_secure_plan(tmp_path_factory.mktemp("plans"))


def test_help_names_every_verb_and_every_verb_has_an_example() -> None:
    text = hetorch("--help").stdout
    assert all(verb in text for verb in VERBS)
    for verb in VERBS:
        assert "Example: hetorch" in hetorch(verb, "--help").stdout


def test_version() -> None:
    assert hetorch("--version").stdout.startswith("hetorch ")


@pytest.mark.parametrize(
    "arguments",
    [
        ["fly"],
        ["serve"],
        ["predict", NOBODY],
        ["serve", "x", "--port", "70000"],
        ["demo", "--samples", "0"],
        ["--fly"],
    ],
)
def test_wrong_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert hetorch(*arguments, code=2).stderr


def test_options_are_checked_before_files_are_read(tmp_path: Path) -> None:
    options = ("--calibration", "nosuch.npy", "-o", tmp_path / "p", "--activation-degree", 300)
    assert "--activation-degree must be a whole number from 1 to 127" in refusal(
        "compile", "nosuch.pt2", *options
    )


def test_inspect_shows_the_table(plan: Path) -> None:
    assert "dense" in hetorch("inspect", plan).stdout
    assert json.loads(hetorch("inspect", plan, "--json").stdout)["ring_degree"] == 8192


def test_no_plan(tmp_path: Path) -> None:
    assert "neither a plan folder nor an address" in refusal("inspect", tmp_path / "nothing")
    empty = f"{tmp_path} is no plan folder: it has no manifest.json"
    assert empty in refusal("inspect", tmp_path)
    assert empty in refusal("serve", tmp_path)
    absent = tmp_path / "xray.hetorch"
    for verb in (("serve",), ("evaluate", "--inputs", "x.npy"), ("without-weights", "-o", tmp_path / "out")):
        told = refusal(*verb, absent)
        assert f"there is no plan folder {absent}" in told and "address" not in told
    (tmp_path / "net.py").write_text("")
    assert f"{tmp_path / 'net.py'} is no plan folder but a file" in refusal("serve", tmp_path / "net.py")


def test_a_damaged_plan(plan: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.hetorch"
    copy.mkdir()
    (copy / "manifest.json").write_bytes((plan / "manifest.json").read_bytes())
    (copy / "weights.safetensors").write_bytes(b"\0" * 100)
    told = refusal("serve", copy)
    assert f"the plan in {copy} is damaged" in told and "does not belong" in told
    (copy / "manifest.json").write_text("{}")
    assert f"the plan in {copy} is damaged: manifest.json" in refusal("inspect", copy)


def test_two_plans_of_one_name(plan: Path) -> None:
    assert "two plans" in refusal("serve", plan, plan)


def test_a_port_that_is_taken(plan: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert "cannot listen" in refusal("serve", plan, "--port", taken.getsockname()[1])
    assert "cannot listen" in refusal("serve", plan, "--host", "no.such.host.invalid")


def test_nobody_serves(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(8))
    vault = tmp_path / "vault"
    assert "is `hetorch serve` running" in refusal("predict", NOBODY, tmp_path / "x.npy", vault=vault)
    assert "is `hetorch serve` running" in refusal("keygen", NOBODY, vault=vault)
    assert "is not an address" in refusal("predict", "nowhere", tmp_path / "x.npy", vault=vault)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("x.npy", b"", "is no .npy file"),
        ("x.npy", b"garbage that is long enough", "is no .npy file"),
        ("x.npz", b"garbage", "is no .npz file"),
        ("x.npy", b"\x93NUMPY\x01\x00", "no readable .npy"),
        ("x.npz", b"PK\x03\x04", "no readable .npz"),
        ("x.csv", b"a,b\nc,d\n", "no readable .csv"),
        ("x.csv", b"a,b\n1,2\n", "no readable .csv"),
        ("x.txt", b"1", "known endings"),
        ("missing/x.npy", None, "cannot read"),
    ],
)
def test_inputs_that_cannot_be_read(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises((InputError, StorageError), match=sentence):
        load_array(path)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_arrays_come_back(tmp_path: Path, suffix: str) -> None:
    array = np.random.default_rng(0).normal(size=(3, 8))
    save_arrays(tmp_path / f"x{suffix}", array)
    assert np.array_equal(load_array(tmp_path / f"x{suffix}"), array)


@pytest.mark.parametrize("suffix", [".npy", ".npz", ".csv"])
def test_results_are_for_their_owner_alone(tmp_path: Path, suffix: str) -> None:
    """A new file, one that others could read before, and one behind a link are private; nothing else is left."""
    new, old, link = (tmp_path / f"{name}{suffix}" for name in ("new", "old", "link"))
    old.write_bytes(b"what was there")
    old.chmod(0o644)
    link.symlink_to(old)
    for path in (new, link):
        save_arrays(path, np.ones((2, 3)))
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert np.array_equal(load_array(path), np.ones((2, 3)))
    assert link.is_symlink()
    assert {path.name for path in tmp_path.iterdir()} == {new.name, old.name, link.name}


def test_results_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write"):
        save_arrays(tmp_path / "missing" / "y.npy", np.ones(3))
    (tmp_path / "folder.npy").mkdir()
    with pytest.raises(StorageError, match="cannot write"):
        save_arrays(tmp_path / "folder.npy", np.ones(3))
    assert {path.name for path in tmp_path.iterdir()} == {"folder.npy"}


def test_rows_become_samples_only_where_they_fit() -> None:
    rows = np.arange(24.0).reshape(2, 12)
    assert fit_samples(rows, (3, 4)).shape == (2, 3, 4)
    assert fit_samples(rows, (2, 12)).shape == (2, 12)
    assert fit_samples(rows, (5,)).shape == (2, 12)


def test_pickled_arrays_are_not_opened(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    said = refusal("predict", NOBODY, tmp_path / "x.npy")
    assert "no readable .npy" in said and "Python objects" in said and "allow_pickle" not in said


def test_an_error_bound_belongs_to_sharing(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(8))
    assert "belongs to --for-sharing" in refusal(
        "predict", NOBODY, tmp_path / "x.npy", "--error-bound", "1e-3"
    )


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        ("net.py", "names no model"),
        ("net.py:", "names no model"),
        ("net.joblib", "is a pickle, which runs whatever it holds"),
        ("missing.py:make", "there is no file"),
        ("net.py:nothing", "has no 'nothing'"),
        ("broken.py:make", "cannot be imported: ZeroDivisionError"),
        ("net.py:fail", "failed: RuntimeError: no weights"),
        ("net.py:number", "is an int, not a model"),
        ("net.py:five", "is an int, not a model"),
        ("net.py:text", "is a str, not a model"),
        ("junk.pt2", "no model that torch.export.save wrote"),
    ],
)
def test_models_that_cannot_be_loaded(tmp_path: Path, source: str, sentence: str) -> None:
    (tmp_path / "net.py").write_text(
        "def fail():\n    raise RuntimeError('no weights')\ndef number():\n    return 5\nfive = 5\ntext = 'x'\n"
    )
    (tmp_path / "broken.py").write_text("1 / 0\n")
    (tmp_path / "junk.pt2").write_bytes(b"junk")
    np.save(tmp_path / "x.npy", np.zeros((4, 8)))
    out = tmp_path / "plan"
    assert sentence in refusal("compile", tmp_path / source, "--calibration", tmp_path / "x.npy", "-o", out)
    assert not out.exists()


def test_compile_from_a_file_and_from_an_export(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import torch\n"
        "def make():\n"
        "    torch.manual_seed(0)\n"
        "    return torch.nn.Sequential(torch.nn.Linear(8, 4), torch.nn.Sigmoid(), torch.nn.Linear(4, 2))\n"
        "if __name__ == '__main__':\n"
        "    torch.export.save(torch.export.export(make().eval(), (torch.zeros(4, 8),),\n"
        "        dynamic_shapes=({0: torch.export.Dim('batch')},)), 'net.pt2')\n"
    )
    subprocess.run([sys.executable, "net.py"], cwd=tmp_path, check=True, capture_output=True, timeout=120)
    np.save(tmp_path / "x.npy", np.random.default_rng(0).uniform(-1, 1, (4, 8)))
    tables = []
    for source in ("net.py:make", "net.pt2"):
        out = tmp_path / f"{source[-4:]}.hetorch"
        result = hetorch(
            "compile",
            tmp_path / source,
            "--calibration",
            tmp_path / "x.npy",
            "-o",
            out,
            "--name",
            "net",
            "--json",
        )
        document = json.loads(result.stdout)
        assert document["path"] == str(out)
        tables.append({key: document[key] for key in ("ring_degree", "log2_qp", "evaluation_key_bytes")})
        assert "Linear" in hetorch("inspect", out).stdout
    assert tables[0] == tables[1]
    options = ("--activation-precision", "0.01", "--activation-ranges", "interval", "--weights", "encrypted")
    more = ("--activation-agreement", "0", "--activation-tolerance", "0.5")
    given = (tmp_path / "net.py:make", "--calibration", tmp_path / "x.npy", "-o", tmp_path / "o.hetorch")
    finer = json.loads(hetorch("compile", *given, *options, *more, "--json").stdout)
    assert finer["log2_qp"] != tables[0]["log2_qp"]
    assert "--activation-ranges must" in refusal("compile", *given, "--activation-ranges", "none")
    assert "--activation-agreement must" in refusal("compile", *given, "--activation-agreement", "2")


def test_an_input_that_does_not_fit_the_plan(plan: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros(7))
    with server_process([plan], tmp_path) as (url, _):
        assert "shape (7,)" in refusal("predict", url, tmp_path / "x.npy", vault=tmp_path / "vault")


def test_help_shows_what_it_says() -> None:
    """Rich takes brackets for markup, and drops any that it does not know."""
    assert "hetorch[seal]" in "".join(hetorch("serve", "--help").stdout.replace("│", "").split())
    for verb in ("keygen", "predict"):
        assert "$HETORCH_VAULT" in hetorch(verb, "--help").stdout
    assert "ONNX" in hetorch("compile", "--help").stdout
    assert "4,000" in hetorch("demo", "--help").stdout


def test_an_estimator_of_a_file_compiles(tmp_path: Path) -> None:
    (tmp_path / "net.py").write_text(
        "import numpy as np\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "x = np.random.default_rng(0).normal(size=(40, 4))\n"
        "fitted = LogisticRegression().fit(x, x[:, 0] > 0)\n"
    )
    np.save(tmp_path / "x.npy", np.random.default_rng(1).normal(size=(40, 4)))
    shown = hetorch(
        "compile", tmp_path / "net.py:fitted", "--calibration", tmp_path / "x.npy", "-o", tmp_path / "plan"
    ).stdout
    assert "LogisticRegression: results are scores" in shown


def test_doctor_tells_what_is_there(tmp_path: Path) -> None:
    document = json.loads(hetorch("doctor", "--json", vault=tmp_path / "vault").stdout)
    assert document["missing"] == []
    assert document["kernel_path"] in document["kernel_paths"].split()
    assert document["threads"] >= 1
    packages = {"numpy", "torch", "cryptography", "onnx", "scikit-learn", "seal-python", "zstandard"}
    assert packages <= document["versions"].keys()
    assert ("hetorch tune" in " ".join(document["advice"])) == (document["tuned"] == "no")


def test_doctor_fails_on_a_vault_that_cannot_be_used(tmp_path: Path) -> None:
    vault = tmp_path / "vault"
    vault.mkdir()
    vault.chmod(0o777)
    assert "chmod 700" in hetorch("doctor", vault=vault, code=1).stdout
