"""The memory beside updates, messages and results does not grow with the update."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.federated import Identity
from hetorch.federated.party.encryption import CHUNK, decrypt, encrypt, pieces
from hetorch.federated.party.sampling import gaussian
from hetorch.federated.party.tag import TagKey
from hetorch.federated.party.update import decode, encode
from hetorch.federated.ring import PRIME, RING_DEGREE
from tests.federated.rounds import roster_of

IDENTITIES = [Identity.generate() for _ in range(4)]
BLOCKS = (4 * CHUNK, 16 * CHUNK)
ROUND = bytes(32)
ALLOWED = 1 << 16
"""Bytes by which the peaks may differ: a tag has 16 more for each block, lists and objects are small."""


class Peak:
    """The most memory of Python's and of the engine's pool in a block of code, in bytes above that at its beginning."""

    bytes = 0


@contextmanager
def peak_of() -> Iterator[Peak]:
    peak = Peak()
    _native.reset_pool_peak()
    before = _native.pool_statistics().in_use
    tracemalloc.start()
    try:
        yield peak
        peak.bytes = tracemalloc.get_traced_memory()[1] + _native.pool_statistics().peak - before
    finally:
        tracemalloc.stop()


def working_memory(blocks: int, dtype: type, most_norm: float | None) -> tuple[int, int, int]:
    """Return the peaks of encryption, of a tag and of decryption, without the ciphertext and the mean."""
    values: NDArray[Any] = np.zeros(blocks * RING_DEGREE - 2, dtype=dtype)
    roster = roster_of(IDENTITIES, {"w": values}, 3, most_norm=most_norm)
    assert roster.block_count == blocks
    secret = gaussian(ROUND, 1, domain=b"test")[0]
    key = TagKey({0: ROUND}, ROUND, blocks)
    with peak_of() as encrypting:
        packed, _ = encrypt(encode(roster, {"w": values}, 10, CHUNK), blocks, secret, ROUND, 4, key)
    with peak_of() as tagging:
        for index, piece in enumerate(pieces(packed)):
            TagKey({0: ROUND}, ROUND, blocks).add(piece, index * CHUNK)
    with peak_of() as opening:
        result = decode(roster, decrypt(packed, secret % PRIME, ROUND, 4, 1), (0,))
    assert not result.arrays["w"].any()
    return encrypting.bytes - len(packed), tagging.bytes, opening.bytes - result.arrays["w"].nbytes


@pytest.mark.parametrize(("dtype", "most_norm"), [(np.float64, None), (np.float32, 1.0)])
def test_it_is_that_of_a_chunk(dtype: type, most_norm: float | None) -> None:
    small, large = (working_memory(blocks, dtype, most_norm) for blocks in BLOCKS)
    for few, many in zip(small, large, strict=True):
        assert many < few + ALLOWED
