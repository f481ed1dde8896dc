"""Discrete Gaussian integers of standard deviation SIGMA, for secrets and errors."""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import cache

import numpy as np

from hetorch.engine.random import keystream, wipe
from hetorch.federated.residues import Residues
from hetorch.federated.ring import ERROR_BOUND, RING_DEGREE, SIGMA

_BYTES = 8


@cache
def _cumulative() -> tuple[int, ...]:
    """Return floor(2^63 P(|X| <= k)) for k = 0 … ERROR_BOUND - 1, X the discrete Gaussian over all integers."""
    with localcontext() as context:
        context.prec = 60
        variance = Decimal(str(SIGMA)) ** 2
        weights = [(2 if k else 1) * (-Decimal(k * k) / (2 * variance)).exp() for k in range(200)]
        whole = sum(weights)
        parts = [sum(weights[: k + 1]) / whole for k in range(ERROR_BOUND)]
        return tuple(int(part * 2**63) for part in parts)


def gaussian(seed: bytes, block_count: int, *, domain: bytes) -> Residues:
    """Return Gaussian integers, (block_count, N), expanded from a secret seed (32 bytes) for one purpose.

    The table is inverted by comparing with every entry, so that the time does not depend on the result.
    """
    random = keystream(seed, block_count * RING_DEGREE * _BYTES, domain=domain)
    words = np.frombuffer(random, dtype="<u8")
    magnitude = (words >> np.uint64(1)).view(np.int64)
    sign = -(words & np.uint64(1)).view(np.int64)
    sizes = np.zeros(len(words), dtype=np.int64)
    for bound in _cumulative():
        sizes += magnitude >= bound
    wipe(random)
    result = ((sizes ^ sign) - sign).reshape(block_count, RING_DEGREE)
    for array in (magnitude, sign, sizes):
        array.fill(0)
    return result
