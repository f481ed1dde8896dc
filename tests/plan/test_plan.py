from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hetorch.errors import PlanError, PlanFormatError, PlanUseError
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


def test_a_plan_names_the_functions_that_run_it() -> None:
    made = plan("linear")
    with pytest.raises(PlanUseError, match=r"hetorch\.simulate\(plan, x\)"):
        made.run_cleartext(np.zeros(3), noise=False)
    with pytest.raises(PlanUseError, match=r"hetorch\.run_encrypted\(plan, x\)"):
        made.run_encrypted(np.zeros(3))
