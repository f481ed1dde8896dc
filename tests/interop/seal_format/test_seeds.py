"""SEAL's generators word for word, and its uniform sampling, rejections included."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from tenseal import sealapi

from hetorch.engine import _native
from hetorch.interop.seal_format import load_ciphertext
from hetorch.interop.seal_format.blake2xb import blake2xb
from hetorch.interop.seal_format.members import Members, frame_pieces
from hetorch.interop.seal_format.orders import to_seal
from hetorch.interop.seal_format.parameters import seal_parameters
from hetorch.interop.seal_format.secret_key import encrypt_seeded, load_secret_key
from hetorch.interop.seal_format.seeds import BLAKE2XB, SHAKE256, UniformSeed
from hetorch.params import ParameterSet, Security
from hetorch.params.primes import is_prime
from tests.engine import noise
from tests.interop.seal_format.peers import SCALE, TensealSeal, loaded, parameters, saved

SEEDS = ([0] * 8, list(range(1, 9)), [2**64 - 1] * 8)


@pytest.mark.parametrize("words", SEEDS)
@pytest.mark.parametrize("kind", [BLAKE2XB, SHAKE256])
def test_streams_are_those_of_seal(kind: int, words: list[int]) -> None:
    seed = UniformSeed(kind, np.array(words, dtype="<u8").tobytes())
    generator = (sealapi.Blake2xbPRNG if kind == BLAKE2XB else sealapi.Shake256PRNG)(words)
    # SEAL gives 32 bits at a time here; more than two blocks of 4096 bytes.
    halves = np.array([generator.generate() for _ in range(2100)], dtype="<u4")
    np.testing.assert_array_equal(seed.words(0, 1050), halves.view("<u8"))
    np.testing.assert_array_equal(seed.words(510, 4), halves.view("<u8")[510:514])


def test_outputs_of_blake2xb_are_apart() -> None:
    """What batching could mix up. The values themselves are compared with SEAL's above."""
    key, data = bytes(range(64)), bytes(range(256))
    one = blake2xb([data], key, 64)
    two = blake2xb([data, b"x"], key, 64)
    assert two[:64] == one and two[64:] == blake2xb([b"x"], key, 64)
    # The length is part of the hash: a longer output does not begin with a shorter one.
    assert blake2xb([data], key, 128)[:64] != one
    assert one != hashlib.blake2b(data, key=key).digest()


def prime_near(target: int, ring_degree: int) -> int:
    step = 2 * ring_degree
    candidate = target // step * step + 1
    while not is_prime(candidate):
        candidate += step
    return candidate


def awkward() -> ParameterSet:
    """Primes for which SEAL's sampling rejects often: 2^64 mod q is nearly q for q a little above 2^64 / (k + 1)."""
    n = 1 << 10
    primes = [prime_near(2**64 // k + 2**54, n) for k in (17, 18, 19)]
    assert all((2**64 % q) / 2**64 > 0.03 for q in primes)
    return ParameterSet(n, tuple(primes[:2]), tuple(primes[2:]), 1, Security.NONE, slot_generator=3)


@pytest.mark.parametrize("own", [parameters(), awkward()], ids=["usual", "many rejections"])
def test_seal_expands_as_we_do(own: ParameterSet) -> None:
    """Residue for residue: SEAL reads our seeded bytes and writes what it made of them."""
    side = TensealSeal(own)
    key = load_secret_key(own, saved(side.secret))
    values = np.random.default_rng(1).uniform(-1, 1, own.slot_count)
    seeded = encrypt_seeded(key, values, scale=SCALE, compression="zstd")
    expanded = saved(loaded(sealapi.Ciphertext(), side.context, seeded))
    assert len(expanded) > 1.5 * len(seeded)
    here, there = load_ciphertext(own, seeded), load_ciphertext(own, expanded)
    np.testing.assert_array_equal(_native.ciphertext_rows(here), _native.ciphertext_rows(there))
    noise.assert_error(key.decrypt(there), values, noise.fresh(own) / SCALE)


def test_seal_expands_shake256_as_we_do() -> None:
    own = parameters()
    side = TensealSeal(own)
    key = load_secret_key(own, saved(side.secret))
    primes = own.modulus_chain
    rows = to_seal(
        np.asarray(_native.ciphertext_rows(key.encrypt(np.zeros(own.slot_count), scale=SCALE))), primes
    )
    seed = UniformSeed(SHAKE256, bytes(range(64)))
    data = frame_pieces(Members(seal_parameters(own).parms_id(len(primes)), rows, SCALE).pieces(primes, seed))
    expanded = saved(loaded(sealapi.Ciphertext(), side.context, data))
    np.testing.assert_array_equal(
        _native.ciphertext_rows(load_ciphertext(own, data)),
        _native.ciphertext_rows(load_ciphertext(own, expanded)),
    )
