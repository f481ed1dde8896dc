"""Whatever the bytes, the readers raise WireError or return an object that dumps to exactly those bytes."""

from __future__ import annotations

import itertools
import math
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetorch.engine import codec
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import WireError
from hetorch.params import ParameterSet, Security
from tests.engine.codec_samples import (
    DIGEST_BYTES,
    HEADER_BYTES,
    KINDS,
    SPEC,
    Sample,
    flipped,
    parameters,
    sample,
    sealed,
)

pytestmark = pytest.mark.fuzz


@pytest.fixture(scope="module", params=KINDS)
def blob(request: pytest.FixtureRequest) -> Sample:
    return sample(request.param)


def refused(blob: Sample, data: bytes) -> str:
    with pytest.raises(WireError) as caught:
        blob.again(data)
    message = str(caught.value)
    assert 10 < len(message) < 300
    return message


def refused_or_same(blob: Sample, data: bytes) -> bool:
    """True when refused."""
    try:
        assert blob.again(data) == data
    except WireError:
        return True
    return False


# Without a right checksum nothing passes.


def test_every_bit_of_header_and_digest(blob: Sample) -> None:
    for bit in range(8 * HEADER_BYTES):
        refused(blob, flipped(blob.data, bit))
    end = 8 * len(blob.data)
    for bit in range(end - 8 * DIGEST_BYTES, end):
        assert "checksum" in refused(blob, flipped(blob.data, bit))


@given(data=st.data())
def test_flips_anywhere(blob: Sample, data: st.DataObject) -> None:
    bits = data.draw(st.sets(st.integers(0, 8 * len(blob.data) - 1), min_size=1, max_size=20))
    broken = blob.data
    for bit in bits:
        broken = flipped(broken, bit)
    refused(blob, broken)


# Every boundary of the header, the body's own header and the first residues; then anywhere.
def test_truncations(blob: Sample) -> None:
    boundaries = {0, 1, 3, 4, 5, 6, 8, 39, 40, 47, 48, 49, 50, 51, 58, 59, 60, 79, 80, 81, 91, 92, 112}
    boundaries |= {len(blob.data) - k for k in (1, 2, 31, 32, 33, 64)} | {len(blob.data) // 2}
    for length in sorted(boundaries):
        refused(blob, blob.data[:length])
        if length >= HEADER_BYTES + DIGEST_BYTES:
            refused(blob, blob.framed(blob.data[HEADER_BYTES : length - DIGEST_BYTES]))


@given(data=st.data())
def test_shortened_and_extended_bodies(blob: Sample, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(blob.body) - 1))
    refused(blob, blob.framed(blob.body[:cut]))
    refused(blob, blob.framed(blob.body + data.draw(st.binary(min_size=1, max_size=100))))
    refused(blob, blob.data + data.draw(st.binary(min_size=1, max_size=100)))


@given(data=st.binary(max_size=2000))
def test_noise(blob: Sample, data: bytes) -> None:
    refused(blob, data)
    refused(blob, blob.framed(data))


# With the checksum made right, the parsers behind it see the damage.


def test_claims_in_the_header(blob: Sample) -> None:
    for length in (0, 1, len(blob.body) - 1, len(blob.body) + 1, 2**31, 2**32, 2**63, 2**64 - 1):
        head = blob.data[: HEADER_BYTES - 8] + struct.pack("<Q", length)
        assert "claims a body" in refused(blob, sealed(head + blob.data[HEADER_BYTES:]))
    for position, wrong in itertools.product((0, 3, 4, 5, 6, 7, 8, 39), (0, 2, 3, 4, 127, 255)):
        changed = bytearray(blob.data)
        if changed[position] != wrong:
            changed[position] = wrong
            refused(blob, sealed(bytes(changed)))


@pytest.mark.parametrize("kind", ["fresh", "computed", "three parts"])
def test_claims_of_a_ciphertext(kind: str) -> None:
    blob = sample(kind)
    level, parts, seeded = blob.body[:3]
    for claim in itertools.product((0, 1, 2, 127, 255), (0, 1, 2, 3, 4, 255), (0, 1, 2, 255)):
        if claim != (level, parts, seeded):
            refused(blob, blob.framed(bytes(claim) + blob.body[3:]))
    for scale in (0.0, -0.0, -1.0, 0.5, math.nan, math.inf, -math.inf, 5e-324):
        message = refused(blob, blob.framed(blob.body[:3] + struct.pack("<d", scale) + blob.body[11:]))
        assert "scale" in message


def test_residues_not_below_their_prime() -> None:
    # The first residue of each row, set to q and to all ones.
    p = parameters()
    blob = sample("computed")
    start = 11
    for q in p.modulus_chain * 2:
        width = q.bit_length()
        for value in (q, (1 << width) - 1):
            body = bytearray(blob.body)
            word = int.from_bytes(body[start : start + 8], "little")
            word = word >> width << width | value
            body[start : start + 8] = word.to_bytes(8, "little")
            assert str(q) in refused(blob, blob.framed(bytes(body)))
        start += p.ring_degree * width // 8


@given(data=st.data())
def test_flips_behind_the_checksum(blob: Sample, data: st.DataObject) -> None:
    bits = data.draw(st.sets(st.integers(0, 8 * len(blob.body) - 1), min_size=1, max_size=20))
    body = blob.body
    for bit in bits:
        body = flipped(body, bit)
    refused_or_same(blob, blob.framed(body))


def test_every_bit_before_the_residues(blob: Sample) -> None:
    # Level, parts, seeded, scale; or the key's level and seed. Only the scale and the seed may change at all.
    for bit in range(8 * 43):
        refused_or_same(blob, blob.framed(flipped(blob.body, bit)))
    if blob.name == "evaluation keys":
        for bit in range(8):
            assert "level" in refused(blob, blob.framed(flipped(blob.body, bit)))


def test_kinds_are_not_mixed_up(blob: Sample) -> None:
    for other in map(sample, KINDS):
        if other.data[5] != blob.data[5]:
            assert "expected" in refused(blob, other.data)
            # And with the kind changed to the expected one.
            forged = other.data[:5] + blob.data[5:6] + other.data[6:]
            refused(blob, sealed(forged))


def test_foreign_parameters(blob: Sample) -> None:
    p = parameters()
    others = [
        ParameterSet(p.ring_degree, p.modulus_chain[::-1], p.special_primes, 1, Security.NONE),
        ParameterSet(p.ring_degree, p.modulus_chain[:1], p.special_primes, 1, Security.NONE),
        ParameterSet.from_bits(1 << 11, [36, 30], [37], security=Security.NONE),
        ParameterSet.from_bits(1 << 10, [36, 30], [38], security=Security.NONE),
    ]
    for other in others:
        with pytest.raises(WireError, match="other parameters"):
            if blob.name == "evaluation keys":
                spec = EvaluationKeySpec(0, ())
                sized = blob.framed(
                    bytes(codec.evaluation_keys_blob_bytes(other, spec) - HEADER_BYTES - DIGEST_BYTES)
                )
                codec.load_evaluation_keys(other, spec, sized)
            elif blob.name == "public key":
                codec.load_public_key(other, blob.data)
            else:
                codec.load_ciphertext(other, blob.data)
        # When the fingerprint is forged too, sizes and residues are still held against the reader's own parameters.
        forged = sealed(blob.data[:8] + other.fingerprint() + blob.data[40:])
        if other.ring_degree != p.ring_degree or other.max_level != p.max_level:
            with pytest.raises(WireError):
                if blob.name == "public key":
                    codec.load_public_key(other, forged)
                elif blob.name == "evaluation keys":
                    codec.load_evaluation_keys(other, EvaluationKeySpec(0, ((5, 0),)), forged)
                else:
                    codec.load_ciphertext(other, forged)


def test_keys_of_another_spec() -> None:
    p = parameters()
    blob = sample("evaluation keys")
    for spec in (
        EvaluationKeySpec(None, SPEC.galois),
        EvaluationKeySpec(0, SPEC.galois),
        EvaluationKeySpec(1, SPEC.galois[:2]),
        EvaluationKeySpec(1, (*SPEC.galois[:2], (2045, 0), (2047, 1))),
        EvaluationKeySpec(1, ()),
        EvaluationKeySpec(1, ((5, 0), (25, 1), (2047, 1))),  # the same size, levels swapped
    ):
        with pytest.raises(WireError):
            codec.load_evaluation_keys(p, spec, blob.data)


@pytest.mark.slow
@settings(max_examples=5000)
@given(data=st.data())
def test_long_run(blob: Sample, data: st.DataObject) -> None:
    """Cuts, flips, moved pieces, runs of one byte, all behind a right checksum."""
    body = bytearray(blob.body)
    for _ in range(data.draw(st.integers(1, 4))):
        kind = data.draw(st.sampled_from(["flip", "fill", "move", "cut", "grow"]))
        start = data.draw(st.integers(0, max(0, len(body) - 1)))
        size = data.draw(st.integers(1, 64))
        if kind == "flip" and body:
            body[start] ^= data.draw(st.integers(1, 255))
        elif kind == "fill":
            body[start : start + size] = bytes([data.draw(st.integers(0, 255))]) * len(
                body[start : start + size]
            )
        elif kind == "move":
            other = data.draw(st.integers(0, max(0, len(body) - 1)))
            body[start : start + size] = body[other : other + len(body[start : start + size])]
        elif kind == "cut":
            del body[start : start + size]
        else:
            body[start:start] = data.draw(st.binary(min_size=1, max_size=64))
    refused_or_same(blob, blob.framed(bytes(body)))
