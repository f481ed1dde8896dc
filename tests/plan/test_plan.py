from __future__ import annotations

import copy
import operator
import re
from dataclasses import replace

import numpy as np
import pytest

import hetorch
from hetorch.errors import PlanError, PlanFormatError, PlanUseError
from hetorch.plan.signposts import SIGNPOSTS
from tests.compiler.networks import plan


def test_weights_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="read-only"):
        plan("mlp").weights["transform.1.values"][0, 0] = 1


def test_an_inconsistent_plan_cannot_be_made() -> None:
    made = plan("mlp")
    with pytest.raises(PlanFormatError, match="slots"):
        replace(made, parameters=plan("linear").parameters)
    with pytest.raises(PlanError, match="missing"):
        replace(made, weights={})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("run_cleartext", "hetorch.simulate(plan, x)"),
        ("simulate", "hetorch.simulate(plan, x)"),
        ("run_encrypted", "hetorch.run_encrypted(plan, x)"),
        ("predict", "hetorch.Client(url).predict(x)"),
        ("encrypt", "hetorch.Client(url).predict(x)"),
        ("keygen", "hetorch.Client(url).make_keys()"),
        ("compile", "hetorch.compile(model, calibration_inputs)"),
        ("serve", "plan.save(folder)"),
        ("summary", "print(plan)"),
        ("state_dict", "no torch.nn.Module"),
        ("ring_degree", "it is plan.parameters.ring_degree"),
        ("slot_count", "it is plan.parameters.slot_count"),
        ("predicted_error", "it is plan.report.predicted_error"),
        ("evaluation_key_bytes", "it is plan.public().evaluation_key_bytes"),
        ("sav", "did you mean plan.save?"),
        ("predcit", "hetorch.Client(url).predict(x)"),
        ("qqq", "it has batch_size, "),
    ],
)
def test_a_name_that_a_plan_does_not_have_leads_to_the_right_one(name: str, sentence: str) -> None:
    made = plan("linear")
    with pytest.raises(PlanUseError) as refused:
        getattr(made, name)
    assert sentence in str(refused.value)
    assert isinstance(refused.value, AttributeError) and not hasattr(made, name)


def test_a_plan_is_not_called() -> None:
    with pytest.raises(PlanUseError, match=r"hetorch\.run_encrypted\(plan, x\)"):
        plan("linear")(np.zeros(3))


def test_signposts_hide_nothing_and_lead_to_calls_that_exist() -> None:
    """A plan may get an attribute of such a name one day; then the signpost goes."""
    made = plan("linear")
    assert not set(SIGNPOSTS) & set(dir(made))
    for sentence in set(SIGNPOSTS.values()):
        calls = re.findall(r"(hetorch(?:\.\w+)+|plan\.\w+)", sentence.replace("torch.nn", ""))
        assert calls or "Module" in sentence
        for call in calls:
            owner, _, names = call.partition(".")
            operator.attrgetter(names)(hetorch if owner == "hetorch" else made)


def test_copies_and_probes_of_a_plan_work() -> None:
    made = plan("linear")
    assert copy.copy(made).fingerprint == made.fingerprint
    with pytest.raises(AttributeError, match="_repr_png_"):
        getattr(made, "_repr_png_")  # noqa: B009
    assert made.notes == made.report.notes
    assert (made.input_shape, made.output_shape) == (made.public().input_shape, made.public().output_shape)
