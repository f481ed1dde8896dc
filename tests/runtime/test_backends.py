"""The same plan on the native engine, on SEAL and in clear."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch import run_encrypted, simulate
from hetorch.compiler.api import compile
from hetorch.errors import InputError, PlanUseError
from hetorch.params.insecure import insecure_small
from tests.compiler.networks import inputs, model
from tests.server.small_plan import expected, outsourced_plan, small_plan


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_engines_agree(name: str) -> None:
    """Compiled for SEAL; each encrypted run within the plan's predicted bound of the program in clear.

    SEAL's digits are uniform in [0, q), not centred: at a slot of root zeta their mean adds (q/2)^2 |2 / (1 -
    zeta)|^2 to the variance N q^2 / 12 of a digit there, and |1 - zeta| is pi / N at least.
    """
    plan = compile(model(name), inputs(name)[:64], activation_degree=3, engine="seal", security="none")
    assert (plan.parameters.digit_size, len(plan.parameters.special_primes)) == (1, 1)
    assert plan.parameters.slot_generator == 3
    x = inputs(name)[64:66]
    clear = simulate(plan, x, noise=False)
    bound = plan.report.predicted_error * plan.report.output_range
    means = np.sqrt(1 + 12 * plan.parameters.ring_degree / np.pi**2)
    for engine, factor in (("native", 1.0), ("seal", means)):
        error = np.max(np.abs(run_encrypted(plan, x, engine=engine) - clear))
        assert error < bound * factor, engine


def test_the_order_of_slots_does_not_matter_to_seal() -> None:
    x = np.linspace(-1, 1, 8)
    result = run_encrypted(small_plan(parameters=insecure_small(1 << 11, 2)), x, engine="seal")
    assert np.max(np.abs(result[0] - expected(x))) < 2.0**-20


def test_what_cannot_run() -> None:
    with pytest.raises(PlanUseError, match="digits of 2 primes"):
        run_encrypted(
            small_plan(parameters=insecure_small(1 << 11, 2, digit_size=2)), np.zeros(8), engine="seal"
        )
    with pytest.raises(InputError, match="engine must be"):
        run_encrypted(small_plan(), np.zeros(8), engine="lattigo")
    with pytest.raises(PlanUseError, match="encrypted weights do not run on the engine 'seal'"):
        run_encrypted(outsourced_plan(), np.zeros(8), engine="seal")


def test_compile_refuses_what_contradicts_it() -> None:
    for arguments, message in (
        ({"digit_size": 2}, "digit_size must be 1"),
        ({"ring_degree": 1 << 16}, "rings up to 2\\^15"),
    ):
        with pytest.raises(InputError, match=message):
            compile(model("mlp"), inputs("mlp")[:8], engine="seal", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="engine must be"):
        compile(model("mlp"), inputs("mlp")[:8], engine="openfhe")
