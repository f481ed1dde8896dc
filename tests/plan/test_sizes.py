from __future__ import annotations

import pytest

from hetorch.engine import codec
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.params import ParameterSet, Security
from hetorch.plan.sizes import ciphertext_bytes, evaluation_key_bytes

CIPHERTEXT_HEADER, KEY_HEADER = 11, 1
"""Bytes of the headers of a ciphertext (level, parts, seeded, scale) and of a key (level): cpp/codec/objects.h."""


def test_sizes_by_hand() -> None:
    parameters = ParameterSet.from_bits(4096, [30, 25, 25], [28, 28], digit_size=2, security=Security.NONE)
    bits = [prime.bit_length() for prime in parameters.modulus_chain]
    element = 4096 * sum(bits[:2]) // 8
    assert ciphertext_bytes(parameters, 1, seeded=False) == 2 * element
    assert ciphertext_bytes(parameters, 1, seeded=True) == element + 32
    special = sum(prime.bit_length() for prime in parameters.special_primes)
    spec = EvaluationKeySpec(2, ((5, 1),))
    expected = 32 + 2 * (4096 * (sum(bits) + special) // 8) + 32 + 4096 * (sum(bits[:2]) + special) // 8
    assert evaluation_key_bytes(parameters, spec) == expected


@pytest.mark.parametrize("seeded", [True, False])
def test_a_blob_is_its_frame_the_headers_of_its_objects_and_the_body(seeded: bool) -> None:
    """The sizes of a plan are exactly those of the codec's blobs without frame and headers."""
    parameters = ParameterSet.from_bits(4096, [30, 25, 25], [28, 28], digit_size=2, security=Security.NONE)
    for level in range(3):
        blob = codec.ciphertext_blob_bytes(parameters, level, seeded=seeded)
        assert blob == codec.FRAME_BYTES + CIPHERTEXT_HEADER + ciphertext_bytes(
            parameters, level, seeded=seeded
        )
    for spec, keys in ((EvaluationKeySpec(None, ((5, 1),)), 1), (EvaluationKeySpec(2, ((5, 1),)), 2)):
        blob = codec.evaluation_keys_blob_bytes(parameters, spec)
        assert blob == codec.FRAME_BYTES + KEY_HEADER * keys + evaluation_key_bytes(parameters, spec)
