"""Blocks of residues packed into bytes, and sums of them. The work is done in C++ (cpp/federated)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.federated.ring import PRIME, RING_DEGREE

Residues = NDArray[np.int64]
"""Residues in [0, q); blocks have the shape (count, N)."""


def pack(residues: Residues) -> bytes:
    """Return blocks of residues as 45 bits each, the first in the lowest bits."""
    return _native.pack_blocks(residues)


def unpack(data: bytes | bytearray | memoryview) -> Residues:
    """Return the blocks of bytes from outside, (count, N); WireError unless each residue is below q."""
    return _native.unpack_blocks(data)


def new_blocks(block_count: int) -> Residues:
    """Return memory for blocks (block_count, N) from the engine's pool, with unspecified contents."""
    memory = _native.pool_memory(8 * block_count * RING_DEGREE)
    return memory.view(np.int64).reshape(block_count, RING_DEGREE)


def new_sum(block_count: int) -> Residues:
    """Return a sum of no blocks (block_count, N), for `add`."""
    total = new_blocks(block_count)
    total.fill(0)
    return total


def add(total: Residues, data: bytes | bytearray | memoryview) -> None:
    """Add packed blocks from outside to a sum of at most MOST_PARTIES, which is not reduced; a WireError leaves it as
    it was."""
    _native.add_blocks(total, data)


def pack_sum(out: memoryview, total: Residues) -> None:
    """Write the residues of a sum to `out`, packed."""
    _native.pack_sums(out, total)


def centred(values: Residues) -> Residues:
    """Return the representatives in (-q/2, q/2) of residues, without a branch."""
    half = (PRIME - 1) // 2
    return values - (PRIME & ((half - values) >> 63))
