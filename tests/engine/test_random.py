from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hetorch.engine.random import MAX_KEYSTREAM_BYTES, Keystream, keystream, random_seed
from hetorch.errors import InputError

ROUNDS = [(0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15)]
ROUNDS += [(0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14)]
MASK = 0xFFFFFFFF


def chacha20_block(key: bytes, counter: int) -> bytes:
    """Return a block of ChaCha20 with a nonce of zero, written for this test from RFC 8439, section 2.3."""

    def words(data: bytes) -> list[int]:
        return [int.from_bytes(data[i : i + 4], "little") for i in range(0, len(data), 4)]

    initial = words(b"expand 32-byte k") + words(key) + [counter, 0, 0, 0]
    state = list(initial)
    for _ in range(10):
        for a, b, c, d in ROUNDS:
            for x, y, z, shift in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
                state[x] = (state[x] + state[y]) & MASK
                mixed = state[z] ^ state[x]
                state[z] = (mixed << shift | mixed >> (32 - shift)) & MASK
    return b"".join(((s + i) & MASK).to_bytes(4, "little") for s, i in zip(state, initial, strict=True))


def test_block_function_of_this_test() -> None:
    # RFC 8439, appendix A.1, test vectors 1 and 2.
    assert chacha20_block(bytes(32), 0).hex().startswith("76b8e0ada0f13d90405d6ae55386bd28")
    assert chacha20_block(bytes(32), 1).hex().startswith("9f07e7be5551387a98ba977c732d080d")


@given(st.binary(min_size=32, max_size=32), st.integers(0, 300), st.binary(min_size=1, max_size=20))
def test_definition(seed: bytes, length: int, domain: bytes) -> None:
    key = hashlib.sha256(domain + seed).digest()
    expected = b"".join(chacha20_block(key, block) for block in range(-(-length // 64)))[:length]
    assert keystream(seed, length, domain=domain) == expected


def test_known_answer() -> None:
    # A change here changes every key and ciphertext that carries a seed.
    assert keystream(bytes(32), 16, domain=b"x").hex() == "3d401443ac386365adfeb6a26cc54c97"


def test_domains_and_seeds_separate() -> None:
    seed, other = random_seed(), random_seed()
    streams = {
        keystream(seed, 32, domain=b"a"),
        keystream(seed, 32, domain=b"b"),
        keystream(other, 32, domain=b"a"),
        keystream(other, 32, domain=b"b"),
    }
    assert len(streams) == 4


def test_seeds_are_fresh() -> None:
    seeds = {random_seed() for _ in range(100)}
    assert len(seeds) == 100
    assert {len(seed) for seed in seeds} == {32}


@pytest.mark.parametrize(
    ("seed", "length", "domain", "message"),
    [
        (bytes(31), 8, b"x", "32 bytes, got 31"),
        (b"", 8, b"x", "32 bytes, got 0"),
        (bytes(32), 8, b"", "domain"),
        (bytes(32), -1, b"x", "got -1"),
        (bytes(32), (1 << 38) + 1, b"x", r"2\^38"),
    ],
)
def test_refusals(seed: bytes, length: int, domain: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        keystream(seed, length, domain=domain)


def test_pieces_of_a_keystream_are_the_keystream(monkeypatch: pytest.MonkeyPatch) -> None:
    seed, lengths = bytes(range(32)), (1, 0, 100_000, 65_536, 63)
    stream = Keystream(seed, domain=b"test")
    memory = bytearray(max(lengths))
    pieces = [bytes(stream.fill(memoryview(memory)[:length])) for length in lengths]
    assert b"".join(pieces) == keystream(seed, sum(lengths), domain=b"test")
    monkeypatch.setattr(stream, "_written", MAX_KEYSTREAM_BYTES)
    with pytest.raises(InputError, match="2\\^38"):
        stream.fill(memoryview(memory)[:1])
    with pytest.raises(InputError):
        Keystream(seed, domain=b"")
