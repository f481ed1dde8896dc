"""Predict messages with real ciphertexts, and the refusals of a reader."""

from __future__ import annotations

import dataclasses
import functools
import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.engine.codec import ciphertext_blob_bytes
from hetorch.engine.native import Ciphertext
from hetorch.engine.secret import SecretKey
from hetorch.errors import WireError
from hetorch.params.insecure import insecure_small
from hetorch.plan.public import PublicPlan
from hetorch.wire.frame import Kind, dump_frame
from hetorch.wire.predict import (
    dump_request,
    dump_response,
    load_request,
    load_response,
    request_limits,
    response_limits,
)
from tests.server.small_plan import small_plan

KEY_ID = "ab" * 32


@functools.cache
def plan() -> PublicPlan:
    return small_plan().public()


@functools.cache
def secret() -> SecretKey:
    return SecretKey.generate(plan().parameters)


def encrypt(level: int | None = None, scale: float | None = None) -> Ciphertext:
    values = plan().pack(np.linspace(-1, 1, 8))[0]
    return secret().encrypt(
        values, level=plan().input_level if level is None else level, scale=scale or plan().input_scale
    )


@functools.cache
def request_bytes() -> bytes:
    return dump_request(plan(), KEY_ID, [encrypt()])


def test_a_request_comes_back_and_its_size_is_known_before() -> None:
    data = request_bytes()
    assert len(data) == request_limits(plan()).smallest  # seeded: the smaller of the two
    loaded = load_request(plan(), data)
    assert loaded.key_id == KEY_ID
    slots = secret().decrypt(loaded.ciphertexts[0])
    # 10 standard deviations of fresh encryption and rounding: 3.19 sqrt(N) + sqrt(N / 12), N = 2^11, scale 2^40.
    assert np.abs(plan().input_layout.unpack([slots]) - np.linspace(-1, 1, 8)).max() < 10 * 160 / 2**40


def test_a_response_has_the_output_level_and_scale() -> None:
    p = plan()
    fresh = secret().encrypt(np.zeros(p.slot_count), level=p.output_level, scale=p.output_scale)
    with pytest.raises(WireError, match="the plan says"):  # a fresh ciphertext is seeded: half as long
        load_response(p, dump_response(p, KEY_ID, [fresh], b"asked"), b"asked")
    assert response_limits(p).smallest == response_limits(p).largest


@pytest.mark.parametrize(("level", "scale"), [(1, None), (2, 2.0**39), (2, 2.0**40 * 1.001)])
def test_another_level_or_scale_is_refused(level: int, scale: float | None) -> None:
    with pytest.raises(WireError, match="the plan says"):
        load_request(plan(), dump_request(plan(), KEY_ID, [encrypt(level, scale)]))


def test_another_plan_is_refused() -> None:
    other = small_plan(seed=1).public()
    with pytest.raises(WireError, match="fetch the public plan again"):
        load_request(other, request_bytes())


def test_other_parameters_are_refused() -> None:
    p = dataclasses.replace(plan(), parameters=small_plan(parameters=None).public().parameters)
    assert load_request(p, request_bytes()).key_id == KEY_ID  # equal parameters, another object
    foreign = small_plan(parameters=insecure_small(1 << 11, 2, special_prime_count=2)).public()
    foreign = dataclasses.replace(foreign, fingerprint=plan().fingerprint)
    with pytest.raises(WireError, match="other parameters"):
        load_request(foreign, request_bytes())


def test_the_answer_to_another_request_is_refused_before_its_ciphertexts_are_parsed() -> None:
    p = plan()
    noise = np.random.default_rng(0).bytes(ciphertext_blob_bytes(p.parameters, p.output_level, seeded=False))
    ids = bytes.fromhex(p.fingerprint), bytes.fromhex(KEY_ID)
    answer = dump_frame(Kind.PREDICT_RESPONSE, *ids, [noise], hashlib.sha256(b"asked").digest())
    assert len(answer) == response_limits(p).largest
    with pytest.raises(WireError, match=r"for another request .*nothing was decrypted"):
        load_response(p, answer, b"Asked")
    with pytest.raises(WireError) as parsed:
        load_response(p, answer, b"asked")
    assert "another request" not in str(parsed.value)


def test_kinds_are_not_mixed() -> None:
    p = plan()
    fresh = encrypt()
    response = dump_response(p, KEY_ID, [fresh], b"asked")
    with pytest.raises(WireError, match="predict_request"):
        load_request(p, response)


def test_the_number_of_ciphertexts_is_checked_when_written() -> None:
    with pytest.raises(WireError, match="says 1 ciphertext, got 2"):
        dump_request(plan(), KEY_ID, [encrypt(), encrypt()])


@pytest.mark.fuzz
@given(st.data())
def test_flips_and_cuts_are_refused(data: st.DataObject) -> None:
    """Everything but the key id (compared with the header by the server) is checked: magic to checksum."""
    original = request_bytes()
    broken = bytearray(original)
    position = data.draw(st.integers(0, len(original) - 1).filter(lambda i: not 40 <= i < 72))
    broken[position] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(original)))
    for message in (bytes(broken), original[:cut] if cut < len(original) else original + b"\0"):
        with pytest.raises(WireError):
            load_request(plan(), message)
