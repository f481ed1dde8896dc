"""Messages that reach the command line name flags, where Python's names its arguments."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from hetorch.cli.main import VERBS, app
from hetorch.cli.option_names import COMPILE, OptionNames, spelled
from hetorch.compiler.options import CompileOptions
from tests.cli.command import hetorch, refusal

NET = """
import torch
from torch import nn
torch.manual_seed(0)
class Square(nn.Module):
    def forward(self, x):
        return x * x
net = nn.Sequential(nn.Linear(8, 8), Square(), nn.Linear(8, 2))
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[object, ...]:
    folder = tmp_path_factory.mktemp("net")
    (folder / "net.py").write_text(NET)
    np.save(folder / "x.npy", np.random.default_rng(0).uniform(-1, 1, (20, 8)))
    return (folder / "net.py:net", "--calibration", folder / "x.npy", "-o", folder / "plan")


@pytest.mark.parametrize("name", CompileOptions.model_fields)
def test_every_option_of_compile_is_spelled_as_its_flag(name: str) -> None:
    flag = "--" + name.replace("_", "-")
    assert OptionNames.of(app, "compile").own[name] == flag == COMPILE[name]
    assert spelled(f"pass a larger {name}=, please") == f"pass a larger {flag}, please"
    assert spelled(f'{name}="some" helps') == f"{flag} some helps"
    assert spelled(f"{name} must be 3, got 4") == f"{flag} must be 3, got 4"


def test_the_calibration_inputs_are_a_flag_too() -> None:
    for verb in ("compile", "analyze", "sweep"):
        names = OptionNames.of(app, verb)
        assert names.spell("calibration_inputs hold NaN") == "--calibration hold NaN"
    assert OptionNames.of(app, "predict").spell("calibration_inputs hold") == "calibration_inputs hold"


def test_values_have_the_unit_of_the_flag() -> None:
    assert spelled("what helps: key_limit=12412345; more") == "what helps: --key-limit 12.412345; more"
    assert spelled("compile with digit_size=1") == "compile with --digit-size 1"
    assert spelled("key_limit=auto, precision=0.1: no") == "--key-limit auto, --precision 0.1: no"


@pytest.mark.parametrize(
    "text", ["/tmp/key_limit/plan", "'key_limit' is there", "a precision of 2^-11", "N = 2^13", "no_such=3"]
)
def test_other_words_stay(text: str) -> None:
    assert spelled(text) == text


def test_bare_names_are_those_of_the_verb_alone() -> None:
    """The manifest of a plan has fields of such names."""
    assert OptionNames.of(app, "inspect").spell("ring_degree is missing") == "ring_degree is missing"
    assert OptionNames.of(app, "inspect").spell("use ring_degree=") == "use --ring-degree"
    assert all(OptionNames.of(app, verb).own["as_json"] == "--json" for verb in VERBS if verb != "demo")


def test_refusals_name_flags(given: tuple[object, ...]) -> None:
    sentence = refusal("compile", *given, "--key-limit", "0.002")
    assert "2 kB are allowed by --key-limit; what helps: --key-limit " in sentence and "=" not in sentence
    least = sentence.partition("what helps: --key-limit ")[2].partition(";")[0]
    hetorch("compile", *given, "--key-limit", least)
    sentence = refusal("compile", *given, "--ring-degree", "2048")
    assert "a larger --ring-degree or none" in sentence and "a larger --precision" in sentence
    assert "--objective must be" in refusal("compile", *given, "--objective", "none")
    assert "--digit-size must be 1 with --engine seal" in refusal(
        "compile", *given, "--engine", "seal", "--digit-size", "2"
    )


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["compile", "--key-limi", "3"], "Possible options: --key-limit"),
        (["compile", "--key_limit", "3"], "Possible options: --key-limit"),
        (["analyze", "--activation-tolerence", "3"], "--activation-tolerance"),
        (["complie"], "Did you mean 'compile'"),
    ],
)
def test_unknown_options_and_verbs_lead_to_the_nearest(arguments: list[str], sentence: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.output.replace("│", "").split())


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["compile", "n.py:n", "--calibration", "x.npy", "-o", "o", "--key-limit"],
        ["serve", "x", "--key-memory"],
        ["serve", "x", "--memory-limit"],
    ],
)
def test_sizes_that_are_none_are_wrong_usage(arguments: list[str], value: str) -> None:
    result = CliRunner().invoke(app, [*arguments, value])
    assert result.exit_code == 2 and f"'{arguments[-1]}'" in result.output


def test_parameters_without_security_are_told_once(given: tuple[object, ...]) -> None:
    lines = hetorch("compile", *given, "--security", "none").stderr.splitlines()
    assert len([line for line in lines if "protect nothing" in line]) == 1
    assert Path(str(given[-1])).is_dir()
