"""Whatever the bytes, the readers of SEAL's format raise WireError or return an object, within a bound of memory."""

from __future__ import annotations

import struct
import tracemalloc
import zlib
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.errors import WireError
from hetorch.interop.seal_format import (
    SealParameters,
    dump_ciphertext,
    dump_galois_keys,
    dump_plaintext,
    dump_public_key,
    dump_relin_keys,
    load_ciphertext,
    load_galois_keys,
    load_plaintext,
    load_public_key,
    load_relin_keys,
)
from hetorch.interop.seal_format.secret_key import (
    dump_secret_key,
    dump_seeded_relin_keys,
    encrypt_seeded,
    load_secret_key,
    make_public_key,
)
from hetorch.interop.seal_format.stream import HEADER_BYTES
from tests.interop.seal_format.peers import SCALE, parameters

pytestmark = pytest.mark.fuzz

OWN = parameters(bits=(40, 30, 40))
MEGABYTE = 1 << 20
LOADERS: dict[str, Callable[[bytes], object]] = {
    "parameters": SealParameters.load,
    "plaintext": lambda data: load_plaintext(OWN, data),
    "ciphertext": lambda data: load_ciphertext(OWN, data),
    "seeded ciphertext": lambda data: load_ciphertext(OWN, data),
    "public key": lambda data: load_public_key(OWN, data),
    "secret key": lambda data: load_secret_key(OWN, data),
    "relin keys": lambda data: load_relin_keys(OWN, data),
    "seeded relin keys": lambda data: load_relin_keys(OWN, data),
    "galois keys": lambda data: load_galois_keys(OWN, data),
}


@lru_cache(maxsize=1)
def samples() -> dict[str, bytes]:
    """Uncompressed bytes of every kind."""
    key = SecretKey.generate(OWN)
    keys = key.evaluation_keys(EvaluationKeySpec(1, ((3, 1),)))
    assert keys.relinearisation is not None
    values = np.full(OWN.slot_count, 0.5)
    return {
        "parameters": SealParameters.of(OWN).dump(),
        "plaintext": dump_plaintext(OWN, NativeEngine(OWN).encode(values, level=1, scale=SCALE)),
        "ciphertext": dump_ciphertext(OWN, key.encrypt(values, scale=SCALE)),
        "seeded ciphertext": encrypt_seeded(key, values, scale=SCALE),
        "public key": dump_public_key(make_public_key(key)),
        "secret key": dump_secret_key(key),
        "relin keys": dump_relin_keys(OWN, keys.relinearisation),
        "seeded relin keys": dump_seeded_relin_keys(key),
        "galois keys": dump_galois_keys(OWN, {3: keys.galois(3)}),
    }


def compressed(data: bytes, mode: int, body: bytes | None = None) -> bytes:
    """The frame of `data` with its content, or `body`, compressed."""
    content = data[HEADER_BYTES:]
    if body is None:
        body = zlib.compress(content) if mode == 1 else zstandard.ZstdCompressor().compress(content)
    return data[:5] + bytes([mode]) + data[6:8] + struct.pack("<Q", HEADER_BYTES + len(body)) + body


def resized(data: bytes) -> bytes:
    """Return the bytes with the right size in the header."""
    return data[:8] + struct.pack("<Q", len(data)) + data[HEADER_BYTES:]


def refused(kind: str, data: bytes) -> str:
    with pytest.raises(WireError) as caught:
        LOADERS[kind](data)
    message = str(caught.value)
    assert 10 < len(message) < 300
    return message


def survived(kind: str, data: bytes) -> bool:
    """Whether an object came of it; nothing but WireError may be raised."""
    try:
        LOADERS[kind](data)
    except WireError:
        return False
    return True


@pytest.mark.parametrize("kind", LOADERS)
def test_the_samples_are_sound(kind: str) -> None:
    for data in (samples()[kind], compressed(samples()[kind], 1), compressed(samples()[kind], 2)):
        assert survived(kind, data)


@pytest.mark.parametrize("kind", LOADERS)
def test_truncations_and_additions(kind: str) -> None:
    data = samples()[kind]
    lengths = {*range(0, min(len(data), 300), 3), len(data) // 2, *(len(data) - k for k in (1, 2, 8, 64))}
    for length in sorted(lengths):
        refused(kind, data[:length])
        if length >= HEADER_BYTES:
            refused(kind, resized(data[:length]))
    refused(kind, data + b"\0")
    refused(kind, resized(data + b"\0"))
    for mode in (1, 2):
        packed = compressed(data, mode)
        for cut in (1, 4, 9, len(packed) - HEADER_BYTES - 2):
            refused(kind, resized(packed[:-cut]))
        assert "does not end with the frame" in refused(kind, resized(packed + b"\0"))
        refused(kind, resized(packed + packed[HEADER_BYTES:]))


@pytest.mark.parametrize("kind", LOADERS)
def test_every_bit_of_the_header(kind: str) -> None:
    data = samples()[kind]
    # Not the minor version (byte 4) and the two bytes that SEAL leaves free (6 and 7).
    for byte in (0, 1, 2, 3, 5, *range(8, 16)):
        for bit in range(8):
            broken = bytearray(data)
            broken[byte] ^= 1 << bit
            refused(kind, bytes(broken))


@pytest.mark.parametrize("kind", LOADERS)
@settings(max_examples=60, deadline=None)
@given(draw=st.data())
def test_flips_in_what_stands_before_the_residues(kind: str, draw: st.DataObject) -> None:
    data = bytearray(samples()[kind])
    end = min(len(data), 300)
    for at in draw.draw(st.lists(st.integers(HEADER_BYTES, end - 1), min_size=1, max_size=4)):
        data[at] ^= draw.draw(st.integers(1, 255))
    survived(kind, bytes(data))


@pytest.mark.parametrize("kind", LOADERS)
@settings(max_examples=30, deadline=None)
@given(draw=st.data())
def test_flips_in_compressed_bytes(kind: str, draw: st.DataObject) -> None:
    data = bytearray(compressed(samples()[kind], draw.draw(st.sampled_from([1, 2]))))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] ^= draw.draw(st.integers(1, 255))
    survived(kind, bytes(data))


@pytest.mark.parametrize("kind", LOADERS)
@pytest.mark.parametrize("claim", [0, 2**32 - 1, 2**40, 2**64 - 1])
def test_huge_and_small_claims(kind: str, claim: int) -> None:
    """Every aligned word of the structure in turn claims to be `claim`; nothing of that size is made."""
    data = samples()[kind]
    starts = {at + shift for at in range(HEADER_BYTES, 280, 8) for shift in (0, 1)}
    tracemalloc.start()
    for at in sorted(starts):
        if at + 8 > len(data):
            continue
        survived(kind, data[:at] + struct.pack("<Q", claim) + data[at + 8 :])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * MEGABYTE


@lru_cache(maxsize=1)
def bombs() -> tuple[bytes, bytes]:
    """256 MB of zeros in a quarter of a megabyte of zlib and in some kilobytes of zstd."""
    zeros = bytes(16 * MEGABYTE)
    packer, writer = zlib.compressobj(9), zstandard.ZstdCompressor(level=1).compressobj()
    body = b"".join(packer.compress(zeros) for _ in range(16)) + packer.flush()
    return body, b"".join(writer.compress(zeros) for _ in range(16)) + writer.flush()


@pytest.mark.parametrize("kind", LOADERS)
def test_bombs(kind: str) -> None:
    data = samples()[kind]
    for mode, bomb in enumerate(bombs(), start=1):
        tracemalloc.start()
        message = refused(kind, compressed(data, mode, bomb))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert "decompresses to more" in message
        # The bound of the object (a Galois key at every place of N = 2^10 for the largest) and zstd's step.
        limit = {"galois keys": 8 * len(bomb)}.get(kind, MEGABYTE)
        assert peak < 48 * MEGABYTE + limit


@pytest.mark.parametrize("mode", ["zlib", "zstd"])
def test_zeros_that_compress_to_nothing_are_refused(mode: str) -> None:
    """Each within the bound of one ciphertext; but messages of TenSEAL hold many, and would grow a thousandfold."""
    engine = NativeEngine(OWN)
    key = SecretKey.generate(OWN)
    ciphertext = key.encrypt(np.ones(OWN.slot_count), scale=SCALE)
    zeros = engine.subtract(ciphertext, ciphertext)
    packed = compressed(dump_ciphertext(OWN, zeros), ("zlib", "zstd").index(mode) + 1)
    assert len(packed) < 1000
    assert "decompresses to more" in refused("ciphertext", packed)
    # Our own writer does not make them.
    written = dump_ciphertext(OWN, zeros, compression=mode)
    assert survived("ciphertext", written)
    assert not np.asarray(key.decrypt(load_ciphertext(OWN, written))).any()
    # What is encrypted compresses.
    assert len(dump_ciphertext(OWN, ciphertext, compression=mode)) < len(dump_ciphertext(OWN, ciphertext))


@pytest.mark.parametrize("named", [False, True])
def test_frames_that_name_their_size_and_others(named: bool) -> None:
    """Both are read; a name that claims more than is possible, or than there is, is an error and not an allocation."""
    data = samples()["ciphertext"]
    body = zstandard.ZstdCompressor(write_content_size=named).compress(data[HEADER_BYTES:])
    assert (zstandard.frame_content_size(body) > 0) is named
    assert survived("ciphertext", compressed(data, 2, body))
    if not named:
        return
    # The size stands behind the magic number and the descriptor, which says in how many bytes.
    size = {0: 1, 1: 2, 2: 4, 3: 8}[body[4] >> 6]
    for claim in (2 ** (8 * size) - 1, 2 ** (8 * size - 1), 0):
        tracemalloc.start()
        refused(
            "ciphertext", compressed(data, 2, body[:5] + claim.to_bytes(size, "little") + body[5 + size :])
        )
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 8 * MEGABYTE


def test_a_window_that_takes_all_memory_is_refused() -> None:
    """zstd frames may ask for a window of 2 GB before they give a byte."""
    # Magic, frame header without content size, window descriptor: exponent 31, then an empty last block.
    body = struct.pack("<IBB", 0xFD2FB528, 0, (31 - 10) << 3) + b"\x01\0\0"
    assert "zstd stream" in refused("ciphertext", compressed(samples()["ciphertext"], 2, body))


def test_residues_above_their_prime() -> None:
    for kind, offset in (("ciphertext", 16 + 32 + 1 + 24 + 16 + 24), ("plaintext", 16 + 48 + 24)):
        data = samples()[kind]
        for value in (OWN.modulus_chain[0], 2**64 - 1):
            broken = data[:offset] + struct.pack("<Q", value) + data[offset + 8 :]
            assert "not below its prime" in refused(kind, broken)


def test_a_secret_key_that_is_not_ternary() -> None:
    data = bytearray(samples()["secret key"])
    offset = 16 + 48 + 24
    (value,) = struct.unpack_from("<Q", data, offset)
    struct.pack_into("<Q", data, offset, (value + 1) % OWN.modulus_chain[0])
    assert "-1, 0, 1" in refused("secret key", bytes(data))


def test_other_parameters() -> None:
    other = parameters(bits=(40, 31, 40))
    for kind, load in (
        ("ciphertext", load_ciphertext),
        ("plaintext", load_plaintext),
        ("public key", load_public_key),
        ("secret key", load_secret_key),
        ("relin keys", load_relin_keys),
        ("galois keys", load_galois_keys),
    ):
        with pytest.raises(WireError, match="parms_id"):
            load(other, samples()[kind])


def test_kinds_are_not_mixed_up() -> None:
    for kind in LOADERS:
        for other, data in samples().items():
            if kind.replace("seeded ", "") != other.replace("seeded ", ""):
                assert not survived(kind, data), (kind, other)
