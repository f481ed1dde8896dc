from __future__ import annotations

import numpy as np

from hetorch.ir.cleartext_network.noise import Noise, normal_pool
from hetorch.ir.cleartext_network.sparse_map import SparseMap, Triplets
from hetorch.ir.cleartext_network.steps import MapStep, Operand


def test_a_sample_that_explodes_adds_no_noise_to_the_others() -> None:
    eye = Triplets(np.arange(4), np.arange(4), np.ones(4), (4, 4))
    step = MapStep(1, (Operand(0, None),), SparseMap.of(eye), None, np.full(4, 1e-12), np.full((4, 1), 1e-12))
    x = np.random.default_rng(0).normal(size=(4, 64))
    x[:, 5] = 1e200
    registers = {0: x}
    with np.errstate(over="ignore"):
        step.run(registers, Noise(normal_pool(0), np.random.Generator(np.random.SFC64(0))))
    others = np.delete(np.arange(64), 5)
    assert np.max(np.abs(registers[1] - x[step.matrix.rows])[:, others]) < 1e-4
