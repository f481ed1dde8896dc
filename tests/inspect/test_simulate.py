from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from hetorch import simulate
from hetorch.errors import InputError
from tests.compiler.networks import inputs, plan


def test_one_sample_or_a_batch() -> None:
    made, x = plan("mlp"), inputs("mlp")
    assert simulate(made, x[0]).shape == (5,)
    assert simulate(made, x[:3]).shape == (3, 5)
    assert simulate(made, x[:0]).shape == (0, 5)
    for wrong in (x[:, :7], np.full((1, 50), np.inf), "text", [["a"] * 50], np.zeros((1, 50), dtype=complex)):
        with pytest.raises(InputError):
            simulate(made, wrong)


@pytest.mark.parametrize("seed", [-1, 0.5, "1"])
def test_a_seed_is_a_whole_number(seed: object) -> None:
    with pytest.raises(InputError, match="seed must be a whole number"):
        simulate(plan("mlp"), inputs("mlp")[0], seed=seed)  # type: ignore[arg-type]


def test_no_module_for_secret_keys_is_loaded() -> None:
    """A process that has simulated a plan can still become a server."""
    code = "import sys, hetorch; hetorch.simulate; print('\\n'.join(sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()
    assert "hetorch.inspect.simulate" in loaded and not [
        name for name in loaded if "secret" in name and "hetorch" in name
    ]
