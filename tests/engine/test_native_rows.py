"""Objects from and to arrays of residues: what other libraries' formats are read and written through."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.engine import _native
from hetorch.engine.context import core_context, flat_context
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.errors import InputError, LevelError, ParameterError
from hetorch.params import ParameterSet
from hetorch.params.insecure import insecure_small
from tests.engine import noise

SCALE = 2.0**40


@pytest.fixture(scope="module", params=[(1, 1), (2, 2)], ids=["digit1", "digit2"])
def own(request: pytest.FixtureRequest) -> ParameterSet:
    size, special = request.param
    return insecure_small(digit_size=size, special_prime_count=special, prime_bits=24 if size == 2 else 40)


def test_everything_comes_back_as_it_was(own: ParameterSet) -> None:
    """Taken apart and put together again, keys and ciphertexts do what they did."""
    context, scale = core_context(own), 2.0**20
    key = SecretKey.generate(own)
    values = np.linspace(-1, 1, own.slot_count)
    keys = key.evaluation_keys(EvaluationKeySpec.from_rotations({1: 2}, own.ring_degree, 2))
    assert keys.relinearisation is not None
    rows = np.asarray(_native.switching_key_rows(keys.relinearisation))
    digits = own.digit_count(2)
    assert rows.shape == (digits, 2, 3 + len(own.special_primes), own.ring_degree)
    again = _native.EvaluationKeys(
        _native.switching_key_of_rows(context, 2, rows),
        [
            (
                element,
                _native.switching_key_of_rows(
                    context, 2, np.asarray(_native.switching_key_rows(keys.galois(element)))
                ),
            )
            for element in keys.galois_elements()
        ],
    )
    ciphertext = key.encrypt(values, scale=scale, level=2)
    first, second = (NativeEngine(own, evaluation_keys=made) for made in (keys, again))
    np.testing.assert_array_equal(
        _native.ciphertext_rows(first.multiply(ciphertext, ciphertext)),
        _native.ciphertext_rows(second.multiply(ciphertext, ciphertext)),
    )
    np.testing.assert_array_equal(
        _native.ciphertext_rows(first.rotate(ciphertext, 1)),
        _native.ciphertext_rows(second.rotate(ciphertext, 1)),
    )
    public = key.public_key()
    for made, extra in ((public, 0), (key.public_key(extended=True), len(own.special_primes))):
        halves = np.asarray(_native.public_key_rows(made))
        assert halves.shape == (2, own.max_level + 1 + extra, own.ring_degree)
        copied = _native.public_key_of_rows(context, halves)
        error = noise.fresh_public(own) / scale
        noise.assert_error(
            key.decrypt(encrypt_with_public_key(own, copied, values, scale=scale)), values, error
        )
    plaintext = first.encode(values, level=1, scale=scale)
    copy = _native.plaintext_of_rows(context, scale, np.asarray(_native.plaintext_rows(plaintext)))
    np.testing.assert_array_equal(_native.decode(context, copy), _native.decode(context, plaintext))


def test_a_secret_key_by_its_rows(own: ParameterSet) -> None:
    key = SecretKey.generate(own)
    primes = len(own.modulus_chain) + len(own.special_primes)
    lifted = _native.lift(flat_context(own), key.coefficients().astype(np.float64), primes - 1, 1.0)
    rows = np.asarray(_native.plaintext_rows(lifted))
    np.testing.assert_array_equal(SecretKey.from_rows(own, rows).coefficients(), key.coefficients())
    coefficients = np.random.default_rng(0).integers(-1, 2, own.ring_degree).astype(np.int8)
    again = SecretKey.from_coefficients(own, coefficients)
    np.testing.assert_array_equal(again.coefficients(), coefficients)
    for broken in (
        rows + np.uint64(3),
        np.roll(rows, 1, axis=0),
        np.zeros_like(rows) + rows[:1] // np.uint64(2),
    ):
        with pytest.raises(InputError, match="-1, 0, 1"):
            SecretKey.from_rows(own, broken)
    for shape in (rows[:-1], rows[:, :-2], rows[:, ::2]):
        with pytest.raises(InputError, match="a row of"):
            SecretKey.from_rows(own, shape)


def test_wrong_shapes_and_residues(own: ParameterSet) -> None:
    context, n = core_context(own), own.ring_degree
    top, special, digits = own.max_level, len(own.special_primes), own.digit_count(1)
    for shape in ((2, 2, n), (3, top + 1, n), (2, top + 1, n // 2), (2, top + 2 + special, n)):
        with pytest.raises(ParameterError):
            _native.public_key_of_rows(context, np.zeros(shape, dtype=np.uint64))
    good = (digits, 2, 2 + special, n)
    wrong = [(digits + 1, *good[1:]), (digits, 3, *good[2:])]
    wrong += [(digits, 2, 3 + special, n), (digits, 2, 2 + special, 2 * n)]
    for sizes in wrong:
        with pytest.raises(ParameterError):
            _native.switching_key_of_rows(context, 1, np.zeros(sizes, dtype=np.uint64))
    with pytest.raises(ParameterError, match="above the chain"):
        _native.switching_key_of_rows(context, top + 1, np.zeros(good, dtype=np.uint64))
    with pytest.raises(ParameterError, match="special primes"):
        _native.switching_key_of_rows(flat_context(own), 1, np.zeros(good, dtype=np.uint64))
    for rows in (np.zeros((0, n), dtype=np.uint64), np.zeros((top + 2, n), dtype=np.uint64)):
        with pytest.raises(ParameterError):
            _native.plaintext_of_rows(context, SCALE, rows)
    for scale in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(LevelError, match="scale"):
            _native.plaintext_of_rows(context, scale, np.zeros((1, n), dtype=np.uint64))
    above = np.zeros((2, n), dtype=np.uint64)
    above[1, -1] = own.modulus_chain[1]
    with pytest.raises(ParameterError, match="not below its prime"):
        _native.plaintext_of_rows(context, SCALE, above)
    key = np.zeros(good, dtype=np.uint64)
    key[-1, 1, -1, 0] = own.special_primes[-1]
    with pytest.raises(ParameterError, match="not below its prime"):
        _native.switching_key_of_rows(context, 1, key)
