"""Secret and error distributions: the table of the Gaussian made anew with 60 digits, and what many samples
look like.
"""

from __future__ import annotations

import decimal
import itertools
import math
import struct

import numpy as np
import pytest
from numpy.typing import NDArray

from hetorch.engine import _native, _secret
from hetorch.engine.context import core_context
from hetorch.engine.random import keystream, random_seed
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.engine.uniform import uniform_piece
from hetorch.params import ParameterSet, Security
from tests.engine import noise
from tests.interop.seal_bridge import coefficients_of_row, first_root

SIGMA = decimal.Decimal("3.19")


def one_prime(n: int) -> ParameterSet:
    return ParameterSet.from_bits(n, [40], [41], security=Security.NONE)


def coefficients(parameters: ParameterSet, plaintext: _native.Plaintext) -> NDArray[np.int64]:
    q = parameters.modulus_chain[0]
    values = np.array(coefficients_of_row(plaintext.row(0), q, first_root(parameters.ring_degree, q)))
    return np.where(values > q // 2, values - q, values)


def errors_of(parameters: ParameterSet, random: bytes) -> NDArray[np.int64]:
    """The error polynomial that the core makes of these bytes: zero encrypted under a key that is zero."""
    context = core_context(parameters)
    n = parameters.ring_degree
    key = _secret.SecretKey.from_coefficients(context, np.zeros(n, np.int8))
    zero = _native.lift(context, np.zeros(n), 0, 1.0)
    seed = bytes(32)
    ciphertext = _secret.encrypt(
        context, key, zero, seed, lambda i, length: uniform_piece(seed, i, length), random
    )
    return coefficients(parameters, _secret.decrypt(context, key, ciphertext))


def table() -> list[int]:
    """floor(2^63 P(|X| <= k)), P(k) = exp(-k^2 / (2 sigma^2)) / S, until all 63 bits are used up."""
    with decimal.localcontext() as context:
        context.prec = 60
        weights = [(-(decimal.Decimal(k) ** 2) / (2 * SIGMA**2)).exp() for k in range(120)]
        total = weights[0] + 2 * sum(weights[1:])
        bounds: list[int] = []
        sum_so_far = decimal.Decimal(0)
        for k, weight in enumerate(weights):
            sum_so_far += weight if k == 0 else 2 * weight
            bound = int(sum_so_far / total * 2**63)
            if bound >= 2**63 - 1:
                break
            bounds.append(bound)
    return bounds


def test_gaussian_table() -> None:
    # Each word's low 63 bits are a uniform number u; the magnitude is how many bounds are <= u; the top bit is
    # the sign.
    bounds = table()
    assert len(bounds) == 29
    words = [0, 1 << 63, 2**63 - 1, 2**64 - 1]
    expected = [0, 0, 29, -29]
    for k, bound in enumerate(bounds):
        for word, magnitude in ((bound - 1, k), (bound, k + 1), (bound + 1, k + 1)):
            words += [word, word | 1 << 63]
            expected += [magnitude, -magnitude]
    # Bounds next to each other at the end of the table are more than 1 apart, so that bound + 1 is no bound itself.
    assert all(b - a > 1 for a, b in itertools.pairwise(bounds))
    n = 1 << 10
    random = struct.pack(f"<{n}Q", *words, *[0] * (n - len(words)))
    assert errors_of(one_prime(n), random)[: len(words)].tolist() == expected


def test_gaussian_moments() -> None:
    parameters = one_prime(1 << 13)
    samples = np.concatenate(
        [errors_of(parameters, keystream(random_seed(), 8 << 13, domain=b"test")) for _ in range(8)]
    )
    count, sigma = len(samples), float(SIGMA)
    # Six standard errors each: fails by chance once in 10^8.
    assert abs(samples.mean()) < 6 * sigma / math.sqrt(count)
    assert abs(samples.var() / sigma**2 - 1) < 6 * math.sqrt(2 / count)
    assert abs((samples**4).mean() / sigma**4 - 3) < 6 * math.sqrt(96 / count)
    assert abs((samples**3).mean() / sigma**3) < 6 * math.sqrt(15 / count)
    assert np.abs(samples).max() <= 29
    # Neighbours are independent.
    assert abs(np.mean(samples[1:] * samples[:-1])) < 6 * sigma**2 / math.sqrt(count)


def ternary_of(parameters: ParameterSet, key: SecretKey) -> NDArray[np.int64]:
    """The coefficients of a key: what the ciphertext (0, 1) decrypts to."""
    n = parameters.ring_degree
    rows = np.stack([np.zeros((1, n), np.uint64), np.ones((1, n), np.uint64)])
    unit = _native.ciphertext_of_rows(core_context(parameters), 0, 2, 1.0, rows)
    return coefficients(parameters, _secret.decrypt(core_context(parameters), key._core, unit))


def test_ternary_keys_are_uniform() -> None:
    parameters = one_prime(1 << 14)
    s = ternary_of(parameters, SecretKey.generate(parameters))
    counts = np.array([np.sum(s == v) for v in (-1, 0, 1)])
    assert counts.sum() == len(s)
    # Chi-square with two degrees of freedom exceeds x with probability exp(-x / 2).
    third = len(s) / 3
    assert float(np.sum((counts - third) ** 2) / third) < 40
    assert abs(np.sum(s[1:] * s[:-1])) < 6 * math.sqrt(len(s)) * 2 / 3


def test_ternary_at_the_borders() -> None:
    # floor(3 w / 2^64) - 1 for words around 2^64 / 3 and 2^65 / 3.
    n = 1 << 10
    parameters = one_prime(n)
    third = 2**64 // 3
    words = [0, third, third + 1, 2 * third, 2 * third + 1, 2**64 - 1]
    expected = [-1, -1, 0, 0, 1, 1]
    core = _secret.SecretKey(core_context(parameters), struct.pack(f"<{n}Q", *words, *[0] * (n - len(words))))
    s = ternary_of(parameters, SecretKey(parameters, core, None))
    assert s[: len(words)].tolist() == expected and set(s[len(words) :].tolist()) == {-1}


@pytest.mark.parametrize("public", [False, True])
def test_fresh_errors_have_the_right_size(public: bool) -> None:
    # Two-sided: too small an error is as wrong as too large a one. 16 encryptions of zero, all slots.
    parameters = one_prime(1 << 11)
    key = SecretKey.generate(parameters)
    public_key = key.public_key()
    zeros = np.zeros(parameters.slot_count)
    slots = []
    for _ in range(16):
        if public:
            ciphertext = encrypt_with_public_key(parameters, public_key, zeros, scale=1.0)
        else:
            ciphertext = key.encrypt(zeros, scale=1.0)
        slots.append(key.decrypt_complex(ciphertext))
    n = parameters.ring_degree
    variance = noise.SIGMA**2 * (1 + 2 * n * noise.TERNARY if public else 1)
    seen = float(np.mean(np.abs(np.array(slots)) ** 2))
    # 2^14 slots; with the public key they share one key, whose norm varies by 1 / sqrt(N): 10 percent is 4
    # sigma of that.
    assert abs(seen / (n * variance) - 1) < (0.2 if public else 0.06)


def test_two_encryptions_differ_everywhere() -> None:
    parameters = one_prime(1 << 10)
    key = SecretKey.generate(parameters)
    a, b = (key.encrypt(np.zeros(512), scale=2.0**20) for _ in range(2))
    for part in range(2):
        assert np.mean(a.row(part, 0) == b.row(part, 0)) < 0.01
    first, second = key.public_key(), key.public_key()
    context = core_context(parameters)
    assert _native.dump_public_key(context, first)[:32] != _native.dump_public_key(context, second)[:32]
