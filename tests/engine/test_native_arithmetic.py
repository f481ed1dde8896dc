"""Encoding, encryption and arithmetic: homomorphism at random levels and scales, errors below the model of noise.py."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.secret import encrypt_with_public_key
from tests.engine import noise
from tests.engine.conftest import Owner
from tests.interop.seal_bridge import rows_of

EXAMPLES = settings(max_examples=20)


def log2_q(owner: Owner, level: int) -> float:
    return math.log2(math.prod(owner.parameters.modulus_chain[: level + 1]))


def draw_level(data: st.DataObject, owner: Owner, low: int = 0) -> int:
    return data.draw(st.integers(low, owner.parameters.max_level), label="level")


def draw_scale(data: st.DataObject, low: float, high: float) -> float:
    """Any double between 2^low and 2^high, not only powers of two."""
    return data.draw(st.floats(2.0**low, 2.0**high), label="scale")


def draw_values(data: st.DataObject, owner: Owner, bound: float = 1.0) -> NDArray[np.complex128]:
    generator = np.random.default_rng(data.draw(st.integers(0, 2**32), label="values"))
    kind = data.draw(st.sampled_from(["real", "complex", "one slot", "constant", "zero"]))
    slots = np.zeros(owner.slots, dtype=np.complex128)
    if kind == "real":
        slots += generator.uniform(-bound, bound, owner.slots)
    elif kind == "complex":
        slots += bound * np.exp(2j * np.pi * generator.uniform(0, 1, owner.slots))
    elif kind == "one slot":
        slots[generator.integers(owner.slots)] = -bound
    elif kind == "constant":
        slots += bound
    return slots


@EXAMPLES
@given(data=st.data())
def test_encode_and_decode(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner)
    bound = data.draw(st.sampled_from([1e-3, 1.0, 1000.0]))
    # The model takes roundings for independent: one value must spread over coefficients well above 1.
    scale = draw_scale(data, 30, min(log2_q(owner, level) - 2 - math.log2(max(bound, 1)), 100))
    values = draw_values(data, owner, bound)
    plaintext = owner.engine.encode(values, level=level, scale=scale)
    assert (plaintext.level, plaintext.scale) == (level, scale)
    seen = _native.decode(core_context(owner.parameters), plaintext)
    noise.assert_error(seen, values, noise.encoding(owner.parameters) / scale)


@EXAMPLES
@given(data=st.data())
def test_encrypt_and_decrypt(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner)
    scale = draw_scale(data, 25, log2_q(owner, level) - 2)
    values = draw_values(data, owner)
    ciphertext = owner.key.encrypt(values, level=level, scale=scale)
    assert (ciphertext.level, ciphertext.scale, ciphertext.size) == (level, scale, 2)
    deviation = noise.fresh(owner.parameters) / scale
    noise.assert_error(owner.key.decrypt_complex(ciphertext), values, deviation)
    noise.assert_error(owner.key.decrypt(ciphertext), values.real, deviation)


@EXAMPLES
@given(data=st.data())
def test_public_key_encryption(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner)
    scale = draw_scale(data, 30, log2_q(owner, level) - 2)
    values = draw_values(data, owner)
    ciphertext = encrypt_with_public_key(
        owner.parameters, owner.key.public_key(), values, scale=scale, level=level
    )
    assert (ciphertext.level, ciphertext.scale, ciphertext.seeded) == (level, scale, False)
    seen = owner.key.decrypt_complex(ciphertext)
    noise.assert_error(seen, values, noise.fresh_public(owner.parameters) / scale)


@EXAMPLES
@given(data=st.data())
def test_sums(owner: Owner, data: st.DataObject) -> None:
    scale = draw_scale(data, 30, 42)
    level_a, level_b = draw_level(data, owner), draw_level(data, owner)
    x, y = draw_values(data, owner), draw_values(data, owner)
    a = owner.key.encrypt(x, level=level_a, scale=scale)
    b = owner.key.encrypt(y, level=level_b, scale=scale)
    engine, p = owner.engine, owner.parameters
    fresh, level = noise.fresh(p) / scale, min(level_a, level_b)
    for result, expected in ((engine.add(a, b), x + y), (engine.subtract(a, b), x - y)):
        assert (result.level, result.scale) == (level, scale)
        noise.assert_error(owner.key.decrypt_complex(result), expected, math.sqrt(2) * fresh)
    negated = engine.negate(a)
    assert (negated.level, negated.scale) == (level_a, scale)
    noise.assert_error(owner.key.decrypt_complex(negated), -x, fresh)
    plaintext = engine.encode(y, level=level_b, scale=scale)
    result = engine.add_plaintext(a, plaintext)
    assert (result.level, result.scale) == (level, scale)
    deviation = math.hypot(noise.fresh(p), noise.encoding(p)) / scale
    noise.assert_error(owner.key.decrypt_complex(result), x + y, deviation)


def test_sums_have_the_laws_of_a_ring(owner: Owner) -> None:
    a, b = (owner.encrypt(owner.values(i), 2, 2.0**40) for i in (1, 2))
    engine = owner.engine
    np.testing.assert_array_equal(rows_of(engine.add(a, b)), rows_of(engine.add(b, a)))
    np.testing.assert_array_equal(rows_of(engine.subtract(a, b)), rows_of(engine.add(a, engine.negate(b))))
    assert not rows_of(engine.subtract(a, a)).any()
    np.testing.assert_array_equal(rows_of(engine.negate(engine.negate(a))), rows_of(a))


@EXAMPLES
@given(data=st.data())
def test_products_with_plaintexts(owner: Owner, data: st.DataObject) -> None:
    level_a, level_b = draw_level(data, owner, 1), draw_level(data, owner, 1)
    level = min(level_a, level_b)
    first = draw_scale(data, 30, 40)
    second = draw_scale(data, 20, min(log2_q(owner, level) - 3 - math.log2(first), 45))
    x, y = draw_values(data, owner), draw_values(data, owner)
    a = owner.key.encrypt(x, level=level_a, scale=first)
    p = owner.parameters
    result = owner.engine.multiply_plaintext(a, owner.engine.encode(y, level=level_b, scale=second))
    assert (result.level, result.scale) == (level, first * second)
    deviation = noise.product(1, noise.fresh(p) / first, 1, noise.encoding(p) / second)
    noise.assert_error(owner.key.decrypt_complex(result), x * y, deviation)


@EXAMPLES
@given(data=st.data())
def test_products(owner: Owner, data: st.DataObject) -> None:
    level_a, level_b = draw_level(data, owner, 1), draw_level(data, owner, 1)
    level = min(level_a, level_b)
    first = draw_scale(data, 32, 40)
    second = draw_scale(data, 32, min(log2_q(owner, level) - 3 - math.log2(first), 45))
    x, y = draw_values(data, owner), draw_values(data, owner)
    a = owner.key.encrypt(x, level=level_a, scale=first)
    b = owner.key.encrypt(y, level=level_b, scale=second)
    p = owner.parameters
    result = owner.engine.multiply(a, b)
    assert (result.level, result.scale, result.size) == (level, first * second, 2)
    deviation = math.hypot(
        noise.product(1, noise.fresh(p) / first, 1, noise.fresh(p) / second),
        noise.switching(p, level) / (first * second),
    )
    noise.assert_error(owner.key.decrypt_complex(result), x * y, deviation)
    # Without relinearisation there are three parts and no switching noise.
    raw = owner.engine._core.multiply_raw(a, b)
    assert (raw.level, raw.scale, raw.size) == (level, first * second, 3)
    noise.assert_error(
        owner.key.decrypt_complex(raw),
        x * y,
        noise.product(1, noise.fresh(p) / first, 1, noise.fresh(p) / second),
    )


@EXAMPLES
@given(data=st.data())
def test_squares_of_one_object(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner, 1)
    x = draw_values(data, owner)
    scale = draw_scale(data, 34, (log2_q(owner, level) - 3) / 2 if level == 1 else 42)
    a = owner.key.encrypt(x, level=level, scale=scale)
    p = owner.parameters
    # (x + e)^2 - x^2 = 2 x e + e^2
    fresh = noise.fresh(p) / scale
    deviation = math.hypot(2 * fresh + noise.LIMIT * fresh**2, noise.switching(p, level) / scale**2)
    noise.assert_error(owner.key.decrypt_complex(owner.engine.multiply(a, a)), x * x, deviation)


@EXAMPLES
@given(data=st.data())
def test_rescale(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner, 1)
    prime = owner.parameters.modulus_chain[level]
    scale = draw_scale(data, math.log2(prime) + 15, log2_q(owner, level) - 3)
    x = draw_values(data, owner)
    result = owner.engine.rescale(owner.key.encrypt(x, level=level, scale=scale))
    assert (result.level, result.scale) == (level - 1, scale / prime)
    p = owner.parameters
    deviation = math.hypot(noise.fresh(p) / scale, noise.division(p) / result.scale)
    noise.assert_error(owner.key.decrypt_complex(result), x, deviation)


@EXAMPLES
@given(data=st.data())
def test_drop_level(owner: Owner, data: st.DataObject) -> None:
    level = draw_level(data, owner)
    lower = data.draw(st.integers(0, level))
    scale = draw_scale(data, 30, log2_q(owner, lower) - 2)
    x = draw_values(data, owner)
    a = owner.key.encrypt(x, level=level, scale=scale)
    result = owner.engine.drop_level(a, lower)
    assert (result.level, result.scale) == (lower, scale)
    np.testing.assert_array_equal(rows_of(result), rows_of(a)[:, : lower + 1])
    noise.assert_error(owner.key.decrypt_complex(result), x, noise.fresh(owner.parameters) / scale)
