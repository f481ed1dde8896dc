"""Objects come back as they were, and their sizes are those that were announced."""

from __future__ import annotations

import hashlib
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hetorch.engine import _native, codec
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.errors import KeyMissingError, ParameterError
from hetorch.params import ParameterSet, Security
from tests.engine.codec_samples import DIGEST_BYTES, HEADER_BYTES, KINDS, parameters, sample
from tests.engine.conftest import Owner
from tests.engine.key_blobs import blob_of
from tests.interop.seal_bridge import rows_of


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_bytes_again(kind: str) -> None:
    blob = sample(kind)
    assert blob.again(blob.data) == blob.data


def test_the_frame() -> None:
    # Written out by hand from the format's description, not by the code under test.
    p = parameters()
    data = sample("fresh").data
    body = data[HEADER_BYTES:-DIGEST_BYTES]
    head = b"HTCH" + bytes([1, 1, 0, 0]) + p.fingerprint() + struct.pack("<Q", len(body))
    assert data[:HEADER_BYTES] == head
    assert data[-DIGEST_BYTES:] == hashlib.sha256(head + body).digest()
    assert body[:3] == bytes([p.max_level, 2, 1]) and struct.unpack("<d", body[3:11]) == (2.0**30,)


def test_residues_are_packed_without_gaps() -> None:
    # A big little-endian number whose digits are the residues, as many bits each as their prime has.
    p = parameters()
    ciphertext = codec.load_ciphertext(p, sample("computed").data)
    expected = b""
    for part in range(2):
        for r, q in enumerate(p.modulus_chain):
            number = sum(int(v) << (q.bit_length() * i) for i, v in enumerate(ciphertext.row(part, r)))
            expected += number.to_bytes((p.ring_degree * q.bit_length() + 7) // 8, "little")
    assert sample("computed").body[11:] == expected


@settings(max_examples=15)
@given(data=st.data())
def test_ciphertexts_of_every_level(owner: Owner, data: st.DataObject) -> None:
    p = owner.parameters
    level = data.draw(st.integers(0, p.max_level))
    parts = data.draw(st.sampled_from(["seeded", "two", "three", "public"]))
    # A square must stay below the modulus of level 0.
    scale = data.draw(st.floats(2.0**8, 2.0**14) if parts == "three" else st.floats(2.0**20, 2.0**30))
    values = owner.values(level)
    if parts == "public":
        ciphertext = encrypt_with_public_key(p, owner.key.public_key(), values, scale=scale, level=level)
    else:
        ciphertext = owner.encrypt(values, level, scale)
    if parts == "two":
        ciphertext = owner.engine.negate(ciphertext)
    if parts == "three":
        ciphertext = owner.engine._core.multiply_raw(ciphertext, ciphertext)
    blob = codec.dump_ciphertext(p, ciphertext)
    seeded = parts == "seeded"
    assert ciphertext.seeded == seeded
    assert len(blob) == codec.ciphertext_blob_bytes(p, level, seeded=seeded, parts=ciphertext.size)
    # The promise of the format: ceil(N * bits / 8) bytes for each prime, and a 32-byte seed for the half that
    # is uniform.
    one = sum((p.ring_degree * q.bit_length() + 7) // 8 for q in p.modulus_chain[: level + 1])
    assert len(blob) == 48 + 32 + 11 + (one + 32 if seeded else ciphertext.size * one)
    loaded = codec.load_ciphertext(p, blob)
    assert (loaded.level, loaded.scale, loaded.seeded) == (level, ciphertext.scale, seeded)
    np.testing.assert_array_equal(rows_of(loaded), rows_of(ciphertext))


def test_computing_on_a_fresh_ciphertext_drops_its_seed(owner: Owner) -> None:
    # Otherwise the second half would be replaced by the expansion of a seed that no longer belongs to it.
    p, engine = owner.parameters, owner.engine
    fresh = owner.encrypt(owner.values(1), 2, 2.0**52)
    plaintext = engine.encode(owner.values(2), level=2, scale=2.0**52)
    results = {
        "add": engine.add(fresh, fresh),
        "subtract": engine.subtract(fresh, fresh),
        "negate": engine.negate(fresh),
        "add_plaintext": engine.add_plaintext(fresh, plaintext),
        "multiply_plaintext": engine.multiply_plaintext(fresh, plaintext),
        "multiply": engine.multiply(fresh, fresh),
        "rescale": engine.rescale(fresh),
        "drop_level": engine.drop_level(fresh, 1),
        "rotate": engine.rotate(fresh, 1),
        "conjugate": engine.conjugate(fresh),
    }
    for name, result in results.items():
        loaded = codec.load_ciphertext(p, codec.dump_ciphertext(p, result))
        np.testing.assert_array_equal(rows_of(loaded), rows_of(result), err_msg=name)


def test_loaded_keys_work_and_have_the_announced_size(owner: Owner) -> None:
    p = owner.parameters
    spec = EvaluationKeySpec.from_rotations({1: 2, 5: 0, 1000: p.max_level}, p.ring_degree, 3)
    blob = blob_of(p, spec, keys := owner.key.evaluation_keys(spec))
    assert len(blob) == codec.evaluation_keys_blob_bytes(p, spec)
    loaded = codec.load_evaluation_keys(p, spec, blob)
    assert loaded.galois_elements() == keys.galois_elements() == [element for element, _ in spec.galois]
    assert [loaded.galois(e).level for e, _ in spec.galois] == [level for _, level in spec.galois]
    assert loaded.relinearisation is not None and loaded.relinearisation.level == 3
    # The same keys: the same bits come out.
    before, after = NativeEngine(p, evaluation_keys=keys), NativeEngine(p, evaluation_keys=loaded)
    x = owner.encrypt(owner.values(3), 3, 2.0**30)
    np.testing.assert_array_equal(rows_of(before.rotate(x, 1000)), rows_of(after.rotate(x, 1000)))
    np.testing.assert_array_equal(rows_of(before.multiply(x, x)), rows_of(after.multiply(x, x)))


def test_keys_for_a_lower_level_are_smaller(owner: Owner) -> None:
    sizes = [
        codec.evaluation_keys_blob_bytes(owner.parameters, EvaluationKeySpec(level, ())) for level in range(7)
    ]
    assert sizes == sorted(set(sizes))


def test_public_keys_work_after_loading(owner: Owner) -> None:
    p = owner.parameters
    blob = codec.dump_public_key(p, owner.key.public_key())
    assert len(blob) == codec.public_key_blob_bytes(p)
    values = owner.values(4)
    ciphertext = encrypt_with_public_key(p, codec.load_public_key(p, blob), values, scale=2.0**30)
    np.testing.assert_allclose(owner.key.decrypt(ciphertext), values, atol=1e-3)


def test_only_the_keys_of_the_spec_are_dumped() -> None:
    p = parameters()
    keys = SecretKey.generate(p).evaluation_keys(EvaluationKeySpec(None, ((5, 1),)))
    with pytest.raises(KeyMissingError, match="25"):
        blob_of(p, EvaluationKeySpec(None, ((5, 1), (25, 0))), keys)
    with pytest.raises(KeyMissingError, match="element=25"):
        list(codec.dump_evaluation_keys(p, EvaluationKeySpec(None, ((5, 1), (25, 0))), [keys.galois(5)]))
    with pytest.raises(KeyMissingError, match="element=5"):  # of another level
        list(codec.dump_evaluation_keys(p, EvaluationKeySpec(None, ((5, 0),)), [keys.galois(5)]))


@pytest.mark.parametrize("level", [-1, 2, 99, 10**6])
def test_sizes_are_asked_for_levels_that_exist(level: int) -> None:
    with pytest.raises(ParameterError, match=r"levels? "):
        codec.ciphertext_blob_bytes(parameters(), level, seeded=True)
    with pytest.raises(ParameterError, match=r"level"):
        codec.evaluation_keys_blob_bytes(parameters(), EvaluationKeySpec(abs(level) + 2, ()))


def test_nothing_is_dumped_under_other_parameters() -> None:
    # Reading a small object with a large set's sizes would send what lies behind it in memory.
    small = parameters()
    large = ParameterSet.from_bits(1 << 12, [36, 30, 30], [37], security=Security.NONE)
    key = SecretKey.generate(small)
    ciphertext = key.encrypt(np.zeros(small.slot_count), scale=2.0**20)
    with pytest.raises(ParameterError, match="other parameters"):
        codec.dump_ciphertext(large, ciphertext)
    with pytest.raises(ParameterError, match="other parameters"):
        codec.dump_public_key(large, key.public_key())
    spec = EvaluationKeySpec(1, ())
    with pytest.raises(ParameterError, match="other parameters"):
        list(codec.dump_evaluation_keys(large, spec, key.switching_keys(spec)))


def test_core_sizes_refuse_levels_beyond_the_chain() -> None:
    context = core_context(parameters())
    with pytest.raises(ParameterError):
        _native.ciphertext_bytes(context, 2, 2, True)
    with pytest.raises(ParameterError):
        _native.switching_key_bytes(context, 2)
