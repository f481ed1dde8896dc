"""Shamir's secret sharing of polynomials of R_q, coefficient by coefficient: t shares of n give the secret.

Party j has the share at the point j + 1. Shares of several secrets add up to shares of their sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hetorch.engine import _secret
from hetorch.federated.party.sampling import uniform
from hetorch.federated.residues import Residues
from hetorch.federated.ring import PRIME


def deal(secret: Residues, threshold: int, party_count: int, seed: bytes) -> list[Residues]:
    """Return a share of `secret` (N,), in residues or Gaussian integers, for each party in their order; `seed`: 32
    secret bytes for this alone."""
    drawn = uniform(seed, threshold - 1, domain=b"federated shares")
    coefficients = np.concatenate([secret[None], drawn])
    drawn.fill(0)
    shares = [
        _secret.weighted_sum(coefficients, [pow(party + 1, power, PRIME) for power in range(threshold)])[0]
        for party in range(party_count)
    ]
    coefficients.fill(0)
    return shares


def sum_of(shares: Residues, parties: Sequence[int]) -> Residues:
    """Return the sum (N,) of the shares (n, N) of these parties' secrets."""
    chosen = shares[list(parties)]
    total: Residues = _secret.weighted_sum(chosen, [1] * len(chosen))[0]
    chosen.fill(0)
    return total


def interpolate(shares: Mapping[int, Residues]) -> Residues:
    """Return the secret (N,) of the shares of these parties, by their index: of exactly as many as the threshold."""
    weights = []
    for party in shares:
        weight = 1
        for point in (other + 1 for other in shares if other != party):
            weight = weight * point * pow(point - (party + 1), -1, PRIME) % PRIME
        weights.append(weight)
    stacked = np.stack(list(shares.values()))
    secret: Residues = _secret.weighted_sum(stacked, weights)[0]
    stacked.fill(0)
    return secret
