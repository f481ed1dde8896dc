"""What notebooks and print show of a plan, its public part, an evaluation and a vault."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from hetorch.client.vault import Vault
from hetorch.inspect.evaluation import Evaluation, Score
from hetorch.plan import Plan, PublicPlan
from tests.server.small_plan import small_plan

pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.InsecureParametersWarning")
SCRIPT = "<script>x</script>"


def test_notebooks_show_tables_with_escaped_text() -> None:
    plan = replace(small_plan(), name=SCRIPT)
    evaluation = Evaluation(SCRIPT, 3, None, Score(1.0), Score(1.0), 0.0, None, 1.0)
    shown: list[Plan | PublicPlan | Evaluation] = [plan, plan.public(), evaluation]
    for each in shown:
        page = each._repr_html_()
        assert page.startswith("<pre style=") and "&lt;script&gt;" in page and SCRIPT not in page
        assert "<pre>" not in page, "JupyterLab breaks its lines anywhere"


def test_the_public_plan_is_a_short_table() -> None:
    public = small_plan().public()
    lines = str(public).splitlines()
    assert len(lines) < 12 and max(map(len, lines)) < 120
    assert str(public.input_shape) in lines[0] and public.fingerprint in lines[-2]
    assert public.sha256 in lines[-1]


def test_both_fingerprints_are_text() -> None:
    assert small_plan().fingerprint == small_plan().public().fingerprint


def test_a_vault_names_its_folder(tmp_path: Path) -> None:
    assert repr(Vault(tmp_path / "keys")) == f"Vault({str(tmp_path / 'keys')!r})"
