"""The memory that SEAL takes, from formulas and from SEAL itself."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hetorch import run_encrypted
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.secret import SecretKey
from hetorch.errors import PlanUseError
from hetorch.interop.seal.backend import SEAL
from hetorch.interop.seal.engine import SealEngine
from hetorch.interop.seal.library import seal_keys
from hetorch.interop.seal.limits import key_bytes, plaintext_bytes
from hetorch.params.insecure import insecure_small
from hetorch.runtime.pieces import storage_within
from tests.server.small_plan import INPUTS, expected, small_plan

PARAMETERS = insecure_small(1 << 11, 3)


def test_an_encoded_diagonal() -> None:
    engine = SealEngine(PARAMETERS)
    values = np.linspace(-1, 1, PARAMETERS.slot_count)
    for level in range(PARAMETERS.max_level + 1):
        plaintext = engine.encode(values, level=level, scale=2.0**30)
        assert 8 * plaintext.core.coeff_count() == plaintext_bytes(PARAMETERS, level)


def test_keys_are_for_the_whole_chain() -> None:
    """Uncompressed, SEAL writes them as they are in memory, with a header for each ring element."""
    spec = EvaluationKeySpec(1, ((3, 2), (5, 0), (7, 3)))
    keys = seal_keys(PARAMETERS, SecretKey.generate(PARAMETERS).evaluation_keys(spec))
    written = len(keys.galois.to_string()) + len(keys.relinearisation.to_string())
    assert 0 < written / key_bytes(PARAMETERS, spec) - 1 < 0.01


def test_a_memory_limit_counts_these() -> None:
    plan = small_plan()
    with pytest.raises(PlanUseError, match="needs at least") as refused:
        storage_within(plan, 100_000, SEAL)
    least = int(re.search(r"at least [^(]*\((\d+) bytes\)", str(refused.value))[1])  # type: ignore[index]
    # All weights of the map belong to its one result, and the keys are in memory besides.
    weights = INPUTS * plaintext_bytes(plan.parameters, plan.input_level)
    assert least - weights > key_bytes(plan.parameters, plan.key_spec)
    x = np.linspace(-1, 1, INPUTS)
    result = run_encrypted(plan, x, engine="seal", memory_limit=least)
    assert np.max(np.abs(result - expected(x))) < 2.0**-20
    with pytest.raises(PlanUseError, match="the memory limit is"):
        run_encrypted(plan, x, engine="seal", memory_limit=least - 1)
