"""Random blocks from secret seeds: discrete Gaussian integers of standard deviation SIGMA, and uniform residues."""

from __future__ import annotations

from hetorch.engine import _secret
from hetorch.engine.random import keystream, wipe
from hetorch.federated.residues import Residues
from hetorch.federated.ring import GAUSSIAN_BYTES, UNIFORM_BYTES


def gaussian(seed: bytes, block_count: int, *, domain: bytes) -> Residues:
    """Return Gaussian integers, (block_count, N), expanded from a secret seed (32 bytes) for one purpose."""
    random = keystream(seed, block_count * GAUSSIAN_BYTES, domain=domain)
    numbers = _secret.gaussian_blocks(random)
    wipe(random)
    return numbers


def uniform(seed: bytes, block_count: int, *, domain: bytes) -> Residues:
    """Return uniform residues, (block_count, N), expanded from a secret seed (32 bytes) for one purpose."""
    random = keystream(seed, block_count * UNIFORM_BYTES, domain=domain)
    residues = _secret.uniform_blocks(random)
    wipe(random)
    return residues
