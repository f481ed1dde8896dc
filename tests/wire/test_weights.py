"""The message with encrypted weights: it comes back, its size is known before, and nothing else is accepted."""

from __future__ import annotations

import functools
import hashlib
import struct
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hetorch.engine.native import Ciphertext
from hetorch.engine.secret import SecretKey
from hetorch.errors import PlanError, WireError
from hetorch.model_owner.encrypt import weights_message
from hetorch.params.insecure import insecure_small
from hetorch.plan import Plan
from hetorch.wire.frame import HEADER_BYTES, Kind, dump_frame
from hetorch.wire.weights import WeightsFormat, read_weights_header
from tests.server.small_plan import INPUTS, OUTPUTS, matrix, outsourced_plan, small_plan

KEY_ID = "ab" * 32
ERROR = 2.0**-20
"""Public-key encryption leaves 3.19 N sqrt(4/3) / scale = 2^-27 at N = 2^11 and scale 2^40, one standard deviation."""


@functools.cache
def plan() -> Plan:
    return outsourced_plan()


@functools.cache
def secret() -> SecretKey:
    return SecretKey.generate(plan().parameters)


@functools.cache
def message(seeded: bool) -> bytes:
    return b"".join(weights_message(plan(), secret() if seeded else secret().public_key(), KEY_ID))


@functools.cache
def form() -> WeightsFormat:
    return WeightsFormat.of(plan())


def diagonals() -> Iterator[NDArray[np.float64]]:
    """Yield the diagonals of the matrix by their definition, each rotated right by its giant step."""
    weights, _ = matrix()
    for d in range(INPUTS):
        period = np.zeros(INPUTS)
        for row in range(OUTPUTS):
            period[row] = weights[row, (row + d) % INPUTS]
        yield np.roll(np.tile(period, plan().parameters.slot_count // INPUTS), d // 4 * 4)


@pytest.mark.parametrize("seeded", [True, False])
def test_weights_come_back_and_their_size_is_known_before(seeded: bool) -> None:
    data = message(seeded)
    assert len(data) == form().message_bytes(seeded=seeded)
    assert len(data) == (form().limits.smallest if seeded else form().limits.largest)
    loaded = form().load(data)
    assert loaded.key_id == KEY_ID
    held = loaded.weights.diagonals["dense"]
    assert len(held) == INPUTS and all(c.level == plan().input_level for c in held)
    for ciphertext, expected in zip(held, diagonals(), strict=True):
        assert np.abs(secret().decrypt(ciphertext) - expected).max() < ERROR
    bias = secret().decrypt(loaded.weights.biases["bias"])
    assert np.abs(bias[:OUTPUTS] - matrix()[1]).max() < ERROR


def test_the_size_follows_from_the_plan_without_its_weights() -> None:
    hidden = WeightsFormat.of(plan().without_weights())
    assert (hidden.places, hidden.fingerprint) == (form().places, form().fingerprint)
    assert hidden.load(message(True)).key_id == KEY_ID
    public = plan().public()
    overhead = form().message_bytes(seeded=False) - public.encrypted_weight_bytes
    assert 0 < overhead < 100 * (len(form().places) + 2)  # headers and checksums


def test_it_is_written_piece_by_piece() -> None:
    pieces = weights_message(plan(), secret(), KEY_ID)
    assert len(next(pieces)) == HEADER_BYTES
    assert max(len(piece) for piece in pieces) < len(message(True)) / 5


def test_two_messages_of_the_same_weights_share_nothing() -> None:
    again = b"".join(weights_message(plan(), secret(), KEY_ID))
    differing = np.frombuffer(again, np.uint8) != np.frombuffer(message(True), np.uint8)
    assert differing[2000:].mean() > 0.9


def test_another_plan_is_refused() -> None:
    other = WeightsFormat.of(outsourced_plan(seed=1, parameters=insecure_small(1 << 11, 3)))
    with pytest.raises(WireError, match="this is 'small'"):
        other.load(message(True))
    with pytest.raises(WireError, match="fetch the public plan again"):
        read_weights_header("other", "cd" * 32, message(True))
    with pytest.raises(PlanError, match='weights="encrypted"'):
        WeightsFormat.of(small_plan())


def test_the_values_of_the_weights_do_not_show_in_the_message_s_plan() -> None:
    assert WeightsFormat.of(outsourced_plan(seed=1)).fingerprint == form().fingerprint


def resealed(data: bytes) -> bytes:
    """Append the right checksum again, as a forger does."""
    return data[:-32] + hashlib.sha256(data[:-32]).digest()


def test_another_kind_is_refused() -> None:
    data = message(True)
    changed = data[:6] + struct.pack("<H", Kind.PUBLIC_KEY) + data[8:]
    with pytest.raises(WireError, match="kind encrypted_weights, got p"):
        form().load(resealed(changed))
    without_digest = data[:6] + struct.pack("<H", Kind.PREDICT_REQUEST) + data[8:-32]
    with pytest.raises(WireError, match="kind encrypted_weights, got p"):
        form().load(without_digest)


@pytest.mark.parametrize(("level", "scale"), [(1, None), (2, 2.0**39)])
def test_another_level_or_scale_is_refused(level: int, scale: float | None) -> None:
    slots = np.zeros(plan().parameters.slot_count)

    def wrong() -> Iterator[Ciphertext]:
        for index, place in enumerate(form().places):
            chosen = (level, scale or place.scale) if index == 3 else (place.level, place.scale)
            yield secret().encrypt(slots, level=chosen[0], scale=chosen[1])

    with pytest.raises(WireError, match=r"ciphertext 3 .*the plan says"):
        form().load(b"".join(form().dump(KEY_ID, wrong())))


def test_a_ciphertext_too_few_or_too_many_is_noticed_when_written() -> None:
    zeros = [secret().encrypt(np.zeros(1024), level=2, scale=2.0**40)]
    count = len(form().places)
    for wrong_count in (count - 1, count + 1):
        with pytest.raises(WireError, match=f"of {count} blobs was begun"):
            b"".join(form().dump(KEY_ID, zeros * wrong_count))


def test_ciphertexts_that_changed_places_are_noticed() -> None:
    data = message(True)
    length = 8 + int.from_bytes(data[HEADER_BYTES : HEADER_BYTES + 8], "little")
    first, second = (data[HEADER_BYTES + i * length : HEADER_BYTES + (i + 1) * length] for i in (0, 1))
    swapped = data[:HEADER_BYTES] + second + first + data[HEADER_BYTES + 2 * length :]
    with pytest.raises(WireError, match="checksum"):
        form().load(swapped)


def test_residues_are_checked_by_the_codec() -> None:
    """A forger makes right checksums: only the check of residues against their primes can refuse this."""
    data = bytearray(message(False))
    start = HEADER_BYTES + 8
    length = int.from_bytes(data[HEADER_BYTES:start], "little")
    data[start + 200 : start + length - 100] = b"\xff" * (length - 300)
    data[start + length - 32 : start + length] = hashlib.sha256(data[start : start + length - 32]).digest()
    with pytest.raises(WireError, match="residue"):
        form().load(resealed(bytes(data)))


def test_a_length_out_of_the_plan_is_refused_before_anything_is_copied() -> None:
    blobs = [b"x"] * len(form().places)
    data = dump_frame(Kind.ENCRYPTED_WEIGHTS, bytes.fromhex(form().fingerprint), bytes.fromhex(KEY_ID), blobs)
    with pytest.raises(WireError, match="ciphertext 0 says it has 1 byte, the plan says"):
        form().load(data)


@pytest.mark.fuzz
@given(st.data())
def test_flips_and_cuts_are_refused(data: st.DataObject) -> None:
    original = message(data.draw(st.booleans()))
    broken = bytearray(original)
    broken[data.draw(st.integers(0, len(original) - 1))] ^= data.draw(st.integers(1, 255))
    cut = data.draw(st.integers(0, len(original)))
    for bad in (bytes(broken), original[:cut] if cut < len(original) else original + b"\0"):
        with pytest.raises(WireError):
            form().load(bad)


@pytest.mark.fuzz
@given(st.binary(max_size=400), st.integers(0, 200))
def test_noise_behind_a_right_beginning_is_refused(noise: bytes, kept: int) -> None:
    with pytest.raises(WireError):
        form().load(message(True)[:kept] + noise)
