"""Shamir's secret sharing of polynomials of R_q, coefficient by coefficient: t shares of n give the secret.

Party j has the share at the point j + 1. Shares of several secrets add up to shares of their sum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hetorch.engine.random import keystream, wipe
from hetorch.federated.residues import Residues, add, multiply, uniform
from hetorch.federated.ring import PRIME, RING_DEGREE

_UNIFORM_BYTES = 16


def deal(secret: Residues, threshold: int, party_count: int, seed: bytes) -> list[Residues]:
    """Return a share of `secret` (N,) for each party, in their order; `seed`: 32 secret bytes for this alone."""
    random = keystream(seed, (threshold - 1) * RING_DEGREE * _UNIFORM_BYTES, domain=b"federated shares")
    coefficients = uniform(random).reshape(threshold - 1, RING_DEGREE)
    wipe(random)
    shares = []
    for party in range(party_count):
        share = np.zeros(RING_DEGREE, dtype=np.int64)
        for coefficient in coefficients[::-1]:  # Horner's rule
            share = multiply(add(share, coefficient), party + 1)
        shares.append(add(share, secret))
    coefficients.fill(0)
    return shares


def interpolate(shares: Mapping[int, Residues]) -> Residues:
    """Return the secret (N,) of the shares of these parties, by their index: of exactly as many as the threshold."""
    secret = np.zeros(RING_DEGREE, dtype=np.int64)
    for party, share in shares.items():
        others = [other + 1 for other in shares if other != party]
        weight = 1
        for point in others:
            weight = weight * point * pow(point - (party + 1), -1, PRIME) % PRIME
        secret = add(secret, multiply(share, weight))
    return secret
