from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import chebyshev

from hetorch.engine.cleartext import CleartextCiphertext, CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.noise import NoiseModel
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import HetorchError, InputError, KeyMissingError, LevelError
from hetorch.params.insecure import insecure_small

PARAMETERS = insecure_small()
SLOTS = PARAMETERS.slot_count
SCALE = 2.0**40
X = np.linspace(-1, 1, SLOTS)


def pair(noise: bool = False) -> tuple[CleartextEngine, CleartextCiphertext]:
    engine = CleartextEngine(PARAMETERS, noise=noise)
    return engine, engine.encrypt(X, scale=SCALE)


def transform(seed: int = 0) -> DiagonalTransform:
    generator = np.random.default_rng(seed)
    zero = np.zeros(4, dtype=np.int32)
    return DiagonalTransform(
        SLOTS,
        1,
        1,
        zero,
        zero,
        np.array([0, 0, 8, 8], dtype=np.int32),
        np.array([0, 1, 0, 1], dtype=np.int32),
        generator.standard_normal((4, 16)),
    )


def test_values_levels_and_scales() -> None:
    engine, a = pair()
    assert (a.level, a.scale) == (3, SCALE)
    p = engine.encode(X * 2, level=3, scale=SCALE)
    last = PARAMETERS.modulus_chain[3]
    cases: list[tuple[CleartextCiphertext, np.ndarray[tuple[int, ...], np.dtype[np.float64]], int, float]] = [
        (engine.add(a, a), 2 * X, 3, SCALE),
        (engine.subtract(a, engine.drop_level(a, 1)), 0 * X, 1, SCALE),
        (engine.negate(a), -X, 3, SCALE),
        (engine.add_plaintext(a, p), 3 * X, 3, SCALE),
        (engine.multiply_plaintext(a, p), 2 * X * X, 3, SCALE * SCALE),
        (engine.rescale(engine.multiply(a, a)), X * X, 2, SCALE * SCALE / last),
        (engine.rotate(a, 3), np.roll(X, -3), 3, SCALE),
        (engine.rotate(a, -SLOTS), X, 3, SCALE),
        (engine.conjugate(a), X, 3, SCALE),
    ]
    for made, values, level, scale in cases:
        np.testing.assert_allclose(engine.decrypt(made), values, atol=1e-12)
        assert (made.level, made.scale) == (level, scale)


def test_transform_and_polynomial() -> None:
    engine, a = pair()
    diagonals = transform()
    prepared = engine.prepare_transform(diagonals, level=3, input_scale=SCALE, output_scale=2.0**37)
    made = engine.linear_transform(prepared, [a])[0]
    assert (made.level, made.scale) == (2, 2.0**37)
    np.testing.assert_allclose(made.values, diagonals.apply([X])[0])
    series = [0.1, 0.5, -0.2, 0.3, 0.7]
    poly = engine.polynomial(a, series, output_scale=2.0**39)
    assert (poly.level, poly.scale) == (0, 2.0**39)
    np.testing.assert_allclose(poly.values, chebyshev.chebval(X, series))


WRONG: dict[str, tuple[type[HetorchError], Callable[[CleartextEngine, CleartextCiphertext], object]]] = {
    "no level": (LevelError, lambda e, a: e.rescale(e.drop_level(a, 0))),
    "drop up": (LevelError, lambda e, a: e.drop_level(e.drop_level(a, 1), 2)),
    "scales": (LevelError, lambda e, a: e.add(a, e.encrypt(X, scale=SCALE * 1.01))),
    "plaintext level": (LevelError, lambda e, a: e.add_plaintext(a, e.encode(X, level=1, scale=SCALE))),
    "plaintext factor": (LevelError, lambda e, a: e.multiply_plaintext(a, e.encode(X, level=1, scale=SCALE))),
    "level 9": (LevelError, lambda e, a: e.encode(X, level=9, scale=SCALE)),
    "slots": (InputError, lambda e, a: e.encode(X[:5], level=1, scale=SCALE)),
    "too large": (InputError, lambda e, a: e.encode(X * 1e6, level=0, scale=SCALE)),
    "nan": (InputError, lambda e, a: e.encode(X * np.nan, level=0, scale=SCALE)),
    "product": (LevelError, lambda e, a: e.multiply(*[e.encrypt(X, level=0, scale=2.0**30)] * 2)),
    "plaintext product": (
        LevelError,
        lambda e, a: e.multiply_plaintext(
            e.encrypt(X, level=0, scale=2.0**30), e.encode(X, level=0, scale=2.0**30)
        ),
    ),
    "diagonals": (
        LevelError,
        lambda e, a: e.prepare_transform(transform(), level=1, input_scale=1.0, output_scale=2.0**90),
    ),
    "depth": (LevelError, lambda e, a: e.polynomial(a, [0.0] * 16 + [1.0], output_scale=SCALE)),
    "transform level": (
        LevelError,
        lambda e, a: e.prepare_transform(transform(), level=0, input_scale=1.0, output_scale=1.0),
    ),
    "transform input": (
        LevelError,
        lambda e, a: e.linear_transform(
            e.prepare_transform(transform(), level=2, input_scale=SCALE, output_scale=SCALE), [a]
        ),
    ),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_wrong_use(case: str) -> None:
    error, call = WRONG[case]
    with pytest.raises(error):
        call(*pair())


def test_keys() -> None:
    engine = CleartextEngine(PARAMETERS, key_spec=EvaluationKeySpec.from_rotations({1: 2}, 2 * SLOTS, 1))
    a = engine.encrypt(X, scale=SCALE)
    engine.rotate(engine.drop_level(a, 2), 1)
    low = engine.drop_level(a, 1)
    engine.multiply(low, low)
    calls: tuple[Callable[[], object], ...] = (
        lambda: engine.rotate(a, 1),
        lambda: engine.rotate(low, 2),
        lambda: engine.multiply(a, a),
        lambda: engine.conjugate(a),
        lambda: engine.polynomial(a, [0.0, 0.0, 1.0], output_scale=SCALE),
    )
    for call in calls:
        with pytest.raises(KeyMissingError):
            call()


def test_noise_has_the_modelled_size_and_a_seed() -> None:
    engine, a = pair(noise=True)
    model = NoiseModel.of(PARAMETERS)
    for values, expected, truth in (
        (a.values, model.fresh(), X),
        (
            engine.rotate(engine.encrypt(X, scale=SCALE), 1).values,
            np.hypot(model.fresh(), model.key_switch(3)),
            np.roll(X, -1),
        ),
    ):
        assert np.std(values - truth) * SCALE == pytest.approx(expected, rel=0.2)
    again = CleartextEngine(PARAMETERS, seed=0).encrypt(X, scale=SCALE)
    other = CleartextEngine(PARAMETERS, seed=1).encrypt(X, scale=SCALE)
    np.testing.assert_array_equal(again.values, a.values)
    assert not np.array_equal(other.values, a.values)


@pytest.mark.parametrize(
    "operation", ["multiply", "multiply_plaintext", "polynomial", "coefficient", "transform"]
)
def test_it_refuses_the_scales_that_the_core_refuses(operation: str) -> None:
    """On both sides of the modulus, and a thousandth of a bit from it."""
    chain = PARAMETERS.modulus_chain
    key = SecretKey.generate(PARAMETERS)
    spec = EvaluationKeySpec.from_rotations({}, PARAMETERS.ring_degree, PARAMETERS.max_level)
    native = NativeEngine(PARAMETERS, evaluation_keys=key.evaluation_keys(spec))
    cleartext = CleartextEngine(PARAMETERS, noise=False)

    def use(engine: Any, owner: Any, excess: float) -> str:
        """Return the outcome where the number in question is 2^excess times the modulus of its level."""
        over = 2.0**excess
        small = np.full(SLOTS, 2.0**-40)
        try:
            if operation == "polynomial":  # the result times q_1, at level 1
                engine.polynomial(
                    owner.encrypt(small, level=3, scale=SCALE),
                    [0.0] * 6 + [1e-3],
                    output_scale=chain[0] * over,
                )
            elif operation == "coefficient":
                engine.polynomial(
                    owner.encrypt(small, level=1, scale=SCALE), [0.0, 8.0], output_scale=chain[0] * over / 8
                )
            elif (
                operation == "transform"
            ):  # a number in all slots is its own coefficient; half is for the sign
                zero = np.zeros(1, dtype=np.int32)
                diagonal = DiagonalTransform(SLOTS, 1, 1, zero, zero, zero, zero, np.full((1, 2), 2.0**-30))
                scale = 2.0**29 * chain[0] * chain[1] * over
                engine.prepare_transform(diagonal, level=1, input_scale=chain[1], output_scale=scale)
            else:
                a = owner.encrypt(small, level=0, scale=SCALE)
                factor = chain[0] / SCALE * over
                if operation == "multiply":
                    engine.multiply(a, owner.encrypt(small, level=0, scale=factor))
                else:
                    engine.multiply_plaintext(a, engine.encode(small, level=0, scale=factor))
        except LevelError:
            return "refused"
        return "taken"

    for excess, outcome in ((-0.001, "taken"), (0.001, "refused")):
        assert use(native, key, excess) == use(cleartext, cleartext, excess) == outcome
