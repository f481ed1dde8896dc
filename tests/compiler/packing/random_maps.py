"""Random sparse maps between random placements."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.packing.placements import Placement


def random_map(
    seed: int, log_in: int, log_out: int, density: float
) -> tuple[sparse.csr_array, Placement, Placement]:
    """Return a matrix, and the placements of its input and result in random slots of 2^log_in and 2^log_out."""
    generator = np.random.default_rng(seed)
    placements = []
    for log_period in (log_in, log_out):
        period = 1 << log_period
        count = int(generator.integers(1, period + 1))
        placements.append(
            Placement(generator.permutation(period)[None, :count].astype(np.int64), period, "random")
        )
    source, result = placements
    shape = (result.positions.shape[1], source.positions.shape[1])
    dense = generator.standard_normal(shape) * (generator.random(shape) < density)
    return sparse.csr_array(dense), source, result
