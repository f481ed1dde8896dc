from __future__ import annotations

import pytest

from hetorch.engine import codec
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.random import SEED_BYTES
from hetorch.params import ParameterSet, Security
from hetorch.plan.sizes import ciphertext_bytes, evaluation_key_bytes


def test_sizes_by_hand() -> None:
    parameters = ParameterSet.from_bits(4096, [30, 25, 25], [28, 28], digit_size=2, security=Security.NONE)
    bits = [prime.bit_length() for prime in parameters.modulus_chain]
    element = 4096 * sum(bits[:2]) // 8
    assert ciphertext_bytes(parameters, 1, seeded=False) == 2 * element
    assert ciphertext_bytes(parameters, 1, seeded=True) == element + 32
    special = sum(prime.bit_length() for prime in parameters.special_primes)
    spec = EvaluationKeySpec(2, ((5, 1),))
    expected = 2 * (4096 * (sum(bits) + special) // 8 + 32) + (4096 * (sum(bits[:2]) + special) // 8 + 32)
    assert evaluation_key_bytes(parameters, spec) == expected


@pytest.mark.parametrize("seeded", [True, False])
def test_a_blob_is_the_body_and_a_small_header(seeded: bool) -> None:
    """The sizes of a plan are those of the codec's blobs, less its frame and the headers of the objects."""
    parameters = ParameterSet.from_bits(4096, [30, 25, 25], [28, 28], digit_size=2, security=Security.NONE)
    headers = {
        codec.ciphertext_blob_bytes(parameters, level, seeded=seeded)
        - ciphertext_bytes(parameters, level, seeded=seeded)
        for level in range(3)
    }
    assert len(headers) == 1 and codec.FRAME_BYTES < headers.pop() < 2 * codec.FRAME_BYTES
    for spec, keys, digits in (
        (EvaluationKeySpec(None, ((5, 1),)), 1, 1),
        (EvaluationKeySpec(2, ((5, 1),)), 2, 3),
    ):
        more = codec.evaluation_keys_blob_bytes(parameters, spec) - evaluation_key_bytes(parameters, spec)
        assert codec.FRAME_BYTES <= more + SEED_BYTES * (digits - keys) < 2 * codec.FRAME_BYTES
