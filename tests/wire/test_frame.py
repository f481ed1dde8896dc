"""The frame: dumped bytes are loaded again, and all others are refused."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.errors import WireError
from hetorch.wire.frame import HEADER_BYTES, FrameLimits, Kind, dump_frame, load_frame

MODEL, KEY = bytes(range(32)), bytes(range(32, 64))
LIMITS = FrameLimits(2, frozenset({5, 9}))


def frame() -> bytes:
    return dump_frame(Kind.PREDICT_REQUEST, MODEL, KEY, [b"12345", b"123456789"])


@given(
    st.lists(st.binary(max_size=64), max_size=8), st.binary(min_size=32, max_size=32), st.sampled_from(Kind)
)
def test_round_trip(blobs: list[bytes], key_id: bytes, kind: Kind) -> None:
    limits = FrameLimits(len(blobs), frozenset(len(b) for b in blobs))
    loaded = load_frame(dump_frame(kind, MODEL, key_id, blobs, bytes(kind.request_bytes)), limits)
    assert (loaded.kind, loaded.model, loaded.key_id) == (kind, MODEL, key_id)
    assert [bytes(b) for b in loaded.blobs] == blobs


def test_limits_give_the_exact_sizes() -> None:
    assert LIMITS.smallest == HEADER_BYTES + 2 * (8 + 5)
    assert LIMITS.largest == HEADER_BYTES + 2 * (8 + 9)
    assert LIMITS.smallest <= len(frame()) <= LIMITS.largest


def test_blobs_are_views_that_cannot_change_the_message() -> None:
    data = bytearray(frame())
    blob = load_frame(data, LIMITS).blobs[0]
    with pytest.raises(TypeError):
        blob[0] = 1


@pytest.mark.parametrize("size", range(len(frame())))
def test_every_truncation_is_refused(size: int) -> None:
    with pytest.raises(WireError):
        load_frame(frame()[:size], LIMITS)


@pytest.mark.parametrize(
    ("offset", "patch", "sentence"),
    [
        (0, b"X", "no hetorch message"),
        (4, b"\2", "version 2"),
        (6, b"\x63", "unknown kind 99"),
        (72, b"\3", "holds 3 ciphertexts"),
        (72, b"\xff\xff\xff\xff", "holds 4294967295 ciphertexts"),
        (76, b"\6", "says it has 6 bytes"),
        (76, b"\xff" * 8, f"says it has {2**64 - 1} bytes"),
    ],
)
def test_a_wrong_field_is_named(offset: int, patch: bytes, sentence: str) -> None:
    data = frame()
    with pytest.raises(WireError, match=sentence):
        load_frame(data[:offset] + patch + data[offset + len(patch) :], LIMITS)


def test_trailing_bytes_are_refused() -> None:
    with pytest.raises(WireError, match=r"there is more: 1 byte$"):
        load_frame(frame() + b"\0", LIMITS)


def test_a_huge_count_within_the_limits_reads_nothing_it_does_not_have() -> None:
    header = struct.pack("<4sHH32s32sI", b"HTWM", Kind(1).version, 1, MODEL, KEY, 2**32 - 1)
    with pytest.raises(WireError, match="ends inside the length of ciphertext 0"):
        load_frame(header, FrameLimits(2**32 - 1, frozenset({5})))


def test_dump_refuses_identities_of_a_wrong_length() -> None:
    with pytest.raises(WireError, match="key id has 32 bytes, got 5"):
        dump_frame(Kind.PREDICT_REQUEST, MODEL, b"short", [])


@pytest.mark.fuzz
@given(st.binary(max_size=400))
def test_noise_is_refused(data: bytes) -> None:
    with pytest.raises(WireError):
        load_frame(data, LIMITS)


@pytest.mark.fuzz
@given(st.integers(0, len(frame()) * 8 - 1))
def test_a_flipped_bit_is_refused_or_lands_in_content(bit: int) -> None:
    """The frame guards structure; fingerprint, key id and blobs are compared or checksummed by their readers."""
    data = bytearray(frame())
    data[bit // 8] ^= 1 << bit % 8
    try:
        loaded = load_frame(data, LIMITS)
    except WireError:
        return
    again = dump_frame(
        loaded.kind, loaded.model, loaded.key_id, [bytes(b) for b in loaded.blobs], loaded.request
    )
    assert again == bytes(data)
