"""A program that compares the blocks of cpp/federated, on the path of this process, with those of the oracle."""

from __future__ import annotations

import numpy as np

from hetorch.engine import _native, _secret
from hetorch.federated.ring import (
    BLOCK_BYTES,
    ERROR_BOUND,
    GAUSSIAN_BYTES,
    PRIME,
    RING_DEGREE,
    UNIFORM_BYTES,
    error_shift,
    largest_integer,
)
from tests.federated import oracle

COUNT = 5
PARTIES = 4


def main() -> None:
    """Compare; AssertionError if a bit differs."""
    rng = np.random.default_rng(11)
    shift, largest = error_shift(PARTIES), largest_integer(PARTIES)
    integers = rng.integers(-largest, largest + 1, (COUNT, RING_DEGREE))
    integers[0, :2] = largest, -largest
    secret = oracle.gaussian(rng.bytes(GAUSSIAN_BYTES))[0]
    uniform, random = rng.bytes(COUNT * UNIFORM_BYTES), rng.bytes(COUNT * GAUSSIAN_BYTES)
    factors = rng.bytes(_secret.RoundTag.random_bytes(COUNT))
    expected = oracle.encrypt(integers, secret, oracle.uniform(uniform), oracle.gaussian(random), 1 << shift)

    held, tag = _secret.RoundSecret(secret), _secret.RoundTag(factors, COUNT)
    packed = bytearray(COUNT * BLOCK_BYTES)
    for first, end in ((0, 3), (3, COUNT)):
        _secret.encrypt_blocks(
            memoryview(packed)[first * BLOCK_BYTES : end * BLOCK_BYTES],
            integers[first:end],
            held,
            uniform[first * UNIFORM_BYTES : end * UNIFORM_BYTES],
            random[first * GAUSSIAN_BYTES : end * GAUSSIAN_BYTES],
            tag,
            first,
            shift,
        )
    assert packed == oracle.pack(expected)
    assert tag.value() == oracle.tag(expected, oracle.uniform(factors))
    again = _secret.RoundTag(factors, COUNT)
    again.add_packed(packed, 0)
    assert again.value() == tag.value()

    total = np.zeros((COUNT, RING_DEGREE), dtype=np.int64)
    for _ in range(2):
        _native.add_blocks(total, packed)
    assert np.array_equal(total, 2 * expected)
    twice = bytearray(len(packed))
    _native.pack_sums(twice, total)
    assert np.array_equal(_native.unpack_blocks(twice), oracle.add(expected, expected))

    opened = np.empty_like(integers)
    both = _secret.weighted_sum(np.stack([secret, secret]), [1, PRIME - 2])
    assert np.array_equal(both[0], -secret % PRIME)
    assert _secret.decrypt_blocks(
        opened, twice, _secret.RoundSecret(2 * secret), uniform, shift, 2 * ERROR_BOUND
    )
    assert np.array_equal(opened, 2 * integers)
    assert not _secret.decrypt_blocks(
        opened, packed, _secret.RoundSecret(2 * secret), uniform, shift, ERROR_BOUND
    )


if __name__ == "__main__":
    main()
