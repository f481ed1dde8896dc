"""The known backends: their records, and the same plan on each of them and in clear."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hetorch import run_encrypted, simulate
from hetorch.compiler.api import compile
from hetorch.engine.backend import AnyBackend
from hetorch.engine.protocol import Engine
from hetorch.engine.secret import SecretKey
from hetorch.errors import InputError, PlanUseError
from hetorch.interop.backends import BACKENDS, backend
from hetorch.params.insecure import insecure_small
from tests.compiler.networks import inputs, model
from tests.server.small_plan import expected, outsourced_plan, small_plan


def test_a_name_leads_to_its_record() -> None:
    assert [known.name for known in BACKENDS] == ["native", "seal"]
    for known in BACKENDS:
        assert backend(known.name) is known
    for unknown in ("lattigo", "", None, 1):
        with pytest.raises(InputError, match='engine must be "native" or "seal", got'):
            backend(unknown)


def test_records_are_light() -> None:
    code = "import sys, hetorch.interop.backends; print('\\n'.join(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"numpy", "seal", "hetorch.engine._native"} & set(result.stdout.split())


@pytest.mark.parametrize("known", BACKENDS, ids=lambda known: known.name)
def test_an_engine_takes_and_gives_native_ciphertexts(known: AnyBackend) -> None:
    parameters = insecure_small(1 << 11, 2)
    key = SecretKey.generate(parameters)
    engine = known.make(parameters, None)
    assert isinstance(engine, Engine) and engine.name == known.name and engine.parameters == parameters
    values = np.linspace(-1, 1, parameters.slot_count)
    ciphertext = known.take(engine, key.encrypt(values, level=1, scale=2.0**40))
    doubled = known.give(engine, engine.add(ciphertext, ciphertext))
    assert (doubled.level, doubled.scale) == (1, 2.0**40)
    assert np.max(np.abs(key.decrypt(doubled) - 2 * values)) < 2.0**-24


@pytest.mark.parametrize("known", BACKENDS, ids=lambda known: known.name)
def test_a_backend_refuses_parameters_beyond_its_record(known: AnyBackend) -> None:
    if known.digit_size is not None:
        with pytest.raises(PlanUseError, match="digits of 2 primes"):
            known.make(insecure_small(1 << 11, 2, digit_size=known.digit_size + 1), None)
    if known.largest_ring < 1 << 16:
        with pytest.raises(PlanUseError, match="rings up to"):
            known.make(insecure_small(2 * known.largest_ring, 2), None)


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
    assert np.max(np.abs(result - expected(x))) < 2.0**-20


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
        ({"ring_degree": 1 << 16}, "ring_degree must be at most 32768"),
    ):
        with pytest.raises(InputError, match=message):
            compile(model("mlp"), inputs("mlp")[:8], engine="seal", **arguments)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="engine must be"):
        compile(model("mlp"), inputs("mlp")[:8], engine="openfhe")
