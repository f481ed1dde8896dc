"""The data owner's public key as a file: bound to the parameters, the plan and the evaluation keys."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.errors import WireError
from hetorch.params.insecure import insecure_small
from hetorch.plan.public import PublicPlan
from hetorch.wire.public_key import (
    NamedPublicKey,
    dump_named_public_key,
    load_named_public_key,
    public_key_limits,
)
from tests.server.small_plan import outsourced_plan

KEY_ID = "cd" * 32


@functools.cache
def plan() -> PublicPlan:
    return outsourced_plan().public()


@functools.cache
def secret() -> SecretKey:
    return SecretKey.generate(plan().parameters)


@functools.cache
def message() -> bytes:
    return dump_named_public_key(plan(), NamedPublicKey(KEY_ID, secret().public_key()))


def test_a_key_comes_back_and_encrypts_for_its_owner() -> None:
    limits = public_key_limits(plan().parameters)
    assert len(message()) == limits.smallest == limits.largest
    loaded = load_named_public_key(plan(), message())
    assert loaded.key_id == KEY_ID
    slots = np.linspace(-1, 1, plan().slot_count)
    made = encrypt_with_public_key(plan().parameters, loaded.key, slots, scale=2.0**40)
    assert np.abs(secret().decrypt(made) - slots).max() < 2.0**-20


def test_other_plans_and_parameters_are_refused() -> None:
    other = outsourced_plan(parameters=insecure_small(1 << 11, 3)).public()
    with pytest.raises(WireError, match="the plan says"):
        load_named_public_key(other, message())
    foreign = SecretKey.generate(insecure_small(1 << 11, 2, special_prime_count=2)).public_key()
    same_size = outsourced_plan(parameters=insecure_small(1 << 11, 2, special_prime_count=2)).public()
    data = dump_named_public_key(same_size, NamedPublicKey(KEY_ID, foreign))
    assert len(data) == len(message())
    with pytest.raises(WireError, match="for the plan"):
        load_named_public_key(plan(), data)


@pytest.mark.fuzz
@given(st.data())
def test_flips_and_cuts_are_refused(data: st.DataObject) -> None:
    original = message()
    broken = bytearray(original)
    broken[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(original)))
    for bad in (bytes(broken), original[:cut] if cut < len(original) else original + b"\0"):
        with pytest.raises(WireError):
            load_named_public_key(plan(), bad)
