"""Mistakes end in one of our errors, with a sentence that says what was seen; never in a crash, and no argument
changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import HetorchError, InputError, KeyMissingError, LevelError, ParameterError
from hetorch.params import ParameterSet, Security
from tests.engine.conftest import Owner
from tests.interop.seal_bridge import rows_of

SCALE = 2.0**36


def sentence(error: type[HetorchError], pattern: str, call: Callable[[], object]) -> None:
    with pytest.raises(error, match=pattern) as caught:
        call()
    assert len(str(caught.value)) > 20


def transform(slots: int, baby: int = 1, inputs: int = 1) -> DiagonalTransform:
    zero = np.zeros(1, np.int32)
    return DiagonalTransform(slots, inputs, 1, zero, zero, zero, zero + baby, np.ones((1, slots)))


def test_levels(owner: Owner) -> None:
    engine = owner.engine
    bottom, top = owner.encrypt(owner.values(1), 0, SCALE), owner.encrypt(owner.values(1), 6, SCALE)
    sentence(LevelError, "level 0", lambda: engine.rescale(bottom))
    sentence(LevelError, r"0.*1", lambda: engine.drop_level(bottom, 1))
    sentence(LevelError, "-1", lambda: engine.drop_level(top, -1))
    sentence(LevelError, "7.*0..6", lambda: engine.drop_level(top, 7))
    for level in (-1, 7):
        sentence(LevelError, str(level), lambda: engine.encode(owner.values(1), level=level, scale=SCALE))  # noqa: B023
        sentence(LevelError, str(level), lambda: owner.encrypt(owner.values(1), level, SCALE))  # noqa: B023
        sentence(
            LevelError,
            str(level),
            lambda: encrypt_with_public_key(
                owner.parameters,
                owner.key.public_key(),
                owner.values(1),
                scale=SCALE,
                level=level,  # noqa: B023
            ),
        )


def test_scales(owner: Owner) -> None:
    engine = owner.engine
    a, b = owner.encrypt(owner.values(1), 3, SCALE), owner.encrypt(owner.values(2), 3, SCALE * 1.001)
    for call in (engine.add, engine.subtract):
        sentence(LevelError, "scales differ", lambda: call(a, b))  # noqa: B023
    plaintext = engine.encode(owner.values(3), level=3, scale=SCALE / 2)
    sentence(LevelError, "scales differ", lambda: engine.add_plaintext(a, plaintext))
    for scale in (0.0, -SCALE, float("nan"), float("inf")):
        sentence(LevelError, "scale", lambda: engine.encode(owner.values(1), level=1, scale=scale))  # noqa: B023
        sentence(LevelError, "scale", lambda: owner.encrypt(owner.values(1), 1, scale))  # noqa: B023
        sentence(LevelError, "scale", lambda: engine.polynomial(a, [0, 1.0], output_scale=scale))  # noqa: B023
    # Within 2^-20 two scales count as one, whatever the roundings of their history; the first one's stays.
    near = owner.encrypt(owner.values(2), 3, SCALE * (1 + 2.0**-21))
    assert engine.add(a, near).scale == SCALE
    beyond = owner.encrypt(owner.values(2), 3, SCALE * (1 + 2.0**-19))
    sentence(LevelError, "scales differ", lambda: engine.add(a, beyond))


@pytest.mark.parametrize("wrong", [np.zeros(3), np.zeros(0), np.zeros((2, 512)), 1.0, np.zeros(2048)])
def test_slot_counts(owner: Owner, wrong: Any) -> None:
    sentence(InputError, "1024 slots", lambda: owner.engine.encode(wrong, level=1, scale=SCALE))
    sentence(InputError, "1024 slots", lambda: owner.encrypt(wrong, 1, SCALE))


@pytest.mark.parametrize("wrong", [["a"] * 1024, [[1], [1, 2]], None, [None] * 1024])
def test_what_is_not_a_number(owner: Owner, wrong: Any) -> None:
    sentence(InputError, "slots|finite", lambda: owner.engine.encode(wrong, level=1, scale=SCALE))


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), complex(0, float("nan"))])
def test_what_is_not_finite(owner: Owner, wrong: complex) -> None:
    values = np.zeros(owner.slots, dtype=np.complex128)
    values[17] = wrong
    sentence(InputError, "finite", lambda: owner.engine.encode(values, level=1, scale=SCALE))
    sentence(InputError, "finite", lambda: owner.encrypt(values, 1, SCALE))


@pytest.mark.parametrize("size", [2.0**30, 1e30, 1e200, 1e305])
def test_values_too_large_for_the_modulus(owner: Owner, size: float) -> None:
    values = np.full(owner.slots, size)
    sentence(LevelError, "scale", lambda: owner.engine.encode(values, level=0, scale=SCALE))
    sentence(LevelError, "scale", lambda: owner.encrypt(values, 0, SCALE))


def test_products_above_the_modulus(owner: Owner) -> None:
    """Level 0 holds one prime: the square of a scale above its root cannot be read any more."""
    scale = 2.0 ** (owner.parameters.modulus_chain[0].bit_length() / 2 + 1)
    a = owner.encrypt(np.zeros(owner.slots), 0, scale)
    p = owner.engine.encode(np.zeros(owner.slots), level=0, scale=scale)
    sentence(LevelError, "product would have scale.*rescale first", lambda: owner.engine.multiply(a, a))
    sentence(
        LevelError, "product would have scale.*rescale first", lambda: owner.engine.multiply_plaintext(a, p)
    )


def test_missing_keys(owner: Owner) -> None:
    a = owner.encrypt(owner.values(1), 2, SCALE)
    without = NativeEngine(owner.parameters)
    sentence(KeyMissingError, "no evaluation keys", lambda: without.rotate(a, 1))
    sentence(KeyMissingError, "no evaluation keys", lambda: without.conjugate(a))
    sentence(KeyMissingError, "relinearisation", lambda: without.multiply(a, a))
    sentence(
        KeyMissingError, "relinearisation", lambda: without.polynomial(a, [0, 0, 1.0], output_scale=SCALE)
    )
    sentence(KeyMissingError, "was not made", lambda: owner.engine.rotate(a, 77))
    t = without.prepare_transform(transform(owner.slots), level=2, input_scale=SCALE, output_scale=SCALE)
    sentence(KeyMissingError, "no evaluation keys", lambda: without.linear_transform(t, [a]))
    t = without.prepare_transform(transform(owner.slots, 77), level=2, input_scale=SCALE, output_scale=SCALE)
    sentence(KeyMissingError, "was not made", lambda: owner.engine.linear_transform(t, [a]))
    sentence(KeyMissingError, "77", lambda: owner.keys.galois(77))


def test_keys_of_a_lower_level(owner: Owner) -> None:
    spec = EvaluationKeySpec.from_rotations({1: 1}, owner.parameters.ring_degree, 1)
    engine = NativeEngine(owner.parameters, evaluation_keys=owner.key.evaluation_keys(spec))
    a = owner.encrypt(owner.values(1), 2, SCALE)
    sentence(KeyMissingError, "reaches level 1", lambda: engine.rotate(a, 1))
    sentence(KeyMissingError, "reaches level 1.*level 2", lambda: engine.multiply(a, a))
    t = engine.prepare_transform(transform(owner.slots), level=2, input_scale=SCALE, output_scale=SCALE)
    sentence(KeyMissingError, "reaches level 1", lambda: engine.linear_transform(t, [a]))


def test_specs_of_keys(owner: Owner) -> None:
    sentence(ParameterError, "level", lambda: owner.key.evaluation_keys(EvaluationKeySpec(7, ())))
    sentence(ParameterError, "level", lambda: owner.key.evaluation_keys(EvaluationKeySpec(None, ((5, 7),))))
    sentence(
        ParameterError,
        "ring degree",
        lambda: owner.key.evaluation_keys(EvaluationKeySpec(None, ((4097, 1),))),
    )
    for spec in (
        (-1, ()),
        (None, ((5, -1),)),
        (None, ((4, 1),)),
        (None, ((1, 1),)),
        (None, ((5, 1), (5, 1))),
    ):
        sentence(ParameterError, "galois|levels", lambda: EvaluationKeySpec(*spec))  # noqa: B023


def test_transforms(owner: Owner) -> None:
    engine, slots = owner.engine, owner.slots
    a = owner.encrypt(owner.values(1), 2, SCALE)

    def prepare(level: int = 2, scale: float = SCALE, size: int = slots, inputs: int = 1) -> Any:
        t = transform(size, inputs=inputs)
        return engine.prepare_transform(t, level=level, input_scale=scale, output_scale=SCALE)

    for level in (-1, 0, 7):
        sentence(LevelError, "level", lambda: prepare(level=level))  # noqa: B023
    for scale in (0.0, -1.0, float("nan")):
        sentence(LevelError, "scale", lambda: prepare(scale=scale))  # noqa: B023
    sentence(InputError, "512 slots", lambda: prepare(size=512))
    sentence(LevelError, "level 3.*level 2", lambda: engine.linear_transform(prepare(level=3), [a]))
    sentence(LevelError, "scale", lambda: engine.linear_transform(prepare(scale=SCALE * 2), [a]))
    three_parts = engine._core.multiply_raw(a, a)
    sentence(LevelError, "3 parts", lambda: engine.linear_transform(prepare(), [three_parts]))
    for inputs in ([], [a, a]):
        with pytest.raises((InputError, ParameterError), match="takes 1 ciphertext"):
            engine.linear_transform(prepare(), inputs)


def test_polynomials(owner: Owner) -> None:
    engine = owner.engine
    a = owner.encrypt(owner.values(1), 1, SCALE)
    sentence(LevelError, "2 levels.*level 1", lambda: engine.polynomial(a, [0, 0, 1.0], output_scale=SCALE))
    for wrong in ([], [1.0], [0.0, float("nan")], [float("inf"), 1.0]):
        with pytest.raises((InputError, ParameterError), match=r"degree|finite"):
            engine.polynomial(a, wrong, output_scale=SCALE)
    sentence(LevelError, "bits", lambda: engine.polynomial(a, [0.0, 1e30], output_scale=SCALE))


def test_three_parts_are_not_rotated_and_four_not_relinearised(owner: Owner) -> None:
    a = owner.encrypt(owner.values(1), 2, SCALE)
    three = owner.engine._core.multiply_raw(a, a)
    sentence(LevelError, "three parts, got 4", lambda: owner.engine.multiply(three, a))
    sentence(LevelError, "two parts", lambda: owner.engine.rotate(three, 1))


def test_objects_of_other_parameters() -> None:
    """Objects of another ring or a longer chain would be read or written beyond their end."""
    small = ParameterSet.from_bits(1 << 10, [40, 30, 30], [41], security=Security.NONE)
    large = ParameterSet.from_bits(1 << 13, [40, 30, 30, 30], [41], security=Security.NONE)
    spec = EvaluationKeySpec(2, ((5, 2),))
    sides = []
    for p in (small, large):
        key = SecretKey.generate(p)
        engine = NativeEngine(p, evaluation_keys=key.evaluation_keys(spec))
        sides.append((key, engine, key.encrypt(np.zeros(p.slot_count), scale=2.0**30, level=2)))
    for (key, engine, own), (other_key, other_engine, foreign) in (sides, sides[::-1]):
        p = engine.parameters
        foreign_plaintext = other_engine.encode(
            np.zeros(other_engine.parameters.slot_count), level=2, scale=2.0**30
        )
        prepared = other_engine.prepare_transform(
            transform(other_engine.parameters.slot_count), level=2, input_scale=2.0**30, output_scale=2.0**30
        )
        with_foreign_keys = NativeEngine(p, evaluation_keys=other_key.evaluation_keys(spec))
        calls: list[Callable[[], object]] = [
            lambda: engine.add(own, foreign),  # noqa: B023
            lambda: engine.add(foreign, own),  # noqa: B023
            lambda: engine.subtract(own, foreign),  # noqa: B023
            lambda: engine.negate(foreign),  # noqa: B023
            lambda: engine.multiply(own, foreign),  # noqa: B023
            lambda: engine.multiply(foreign, foreign),  # noqa: B023
            lambda: engine.add_plaintext(own, foreign_plaintext),  # noqa: B023
            lambda: engine.multiply_plaintext(own, foreign_plaintext),  # noqa: B023
            lambda: engine.rescale(foreign),  # noqa: B023
            lambda: engine.drop_level(foreign, 0),  # noqa: B023
            lambda: engine.rotate(foreign, 1),  # noqa: B023
            lambda: engine.rotate(foreign, 0),  # noqa: B023
            lambda: engine.polynomial(foreign, [0, 1.0], output_scale=2.0**30),  # noqa: B023
            lambda: engine.linear_transform(prepared, [own]),  # noqa: B023
            lambda: with_foreign_keys.rotate(own, 1),  # noqa: B023
            lambda: with_foreign_keys.multiply(own, own),  # noqa: B023
            lambda: key.decrypt(foreign),  # noqa: B023
            lambda: encrypt_with_public_key(p, other_key.public_key(), np.zeros(p.slot_count), scale=2.0**30),  # noqa: B023
        ]
        for call in calls:
            sentence(ParameterError, "other parameters", call)


def test_none_is_no_object(owner: Owner) -> None:
    nothing: Any = None
    engine = owner.engine
    prepared = engine.prepare_transform(
        transform(owner.slots), level=2, input_scale=SCALE, output_scale=SCALE
    )
    sentence(ParameterError, "None", lambda: engine.linear_transform(prepared, [nothing]))
    sentence(ParameterError, "5 is None", lambda: _native.EvaluationKeys(None, [(5, nothing)]))
    with pytest.raises(TypeError):
        engine.add(nothing, nothing)


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_rows_of_no_ciphertext(owner: Owner, scale: float) -> None:
    context, n = core_context(owner.parameters), owner.parameters.ring_degree
    rows = np.zeros((2, 2, n), np.uint64)
    sentence(LevelError, "scale", lambda: _native.ciphertext_of_rows(context, 1, 2, scale, rows))
    sentence(ParameterError, "shape", lambda: _native.ciphertext_of_rows(context, 0, 2, SCALE, rows))
    rows[1, 1, 7] = owner.parameters.modulus_chain[1]
    sentence(
        ParameterError, "not below its prime", lambda: _native.ciphertext_of_rows(context, 1, 2, SCALE, rows)
    )


def test_no_operation_changes_its_arguments(owner: Owner) -> None:
    engine = owner.engine
    a, b = owner.encrypt(owner.values(1), 3, SCALE), owner.encrypt(owner.values(2), 2, SCALE)
    plaintext = engine.encode(owner.values(3), level=3, scale=SCALE)
    before = [rows_of(a), rows_of(b), [plaintext.row(r) for r in range(4)], (a.scale, a.level, a.seeded)]
    prepared = engine.prepare_transform(
        transform(owner.slots), level=3, input_scale=SCALE, output_scale=SCALE
    )
    for _ in (
        engine.add(a, b), engine.subtract(a, b), engine.negate(a), engine.add_plaintext(a, plaintext),
        engine.multiply_plaintext(a, plaintext), engine.multiply(a, b), engine.multiply(a, a), engine.rescale(a),
        engine.drop_level(a, 1), engine.rotate(a, 1), engine.rotate(a, 0), engine.conjugate(a),
        engine.linear_transform(prepared, [a]), engine.polynomial(a, [1.0, 2, 3, 4], output_scale=SCALE),
        owner.key.decrypt(a),
    ):  # fmt: skip
        after = [rows_of(a), rows_of(b), [plaintext.row(r) for r in range(4)], (a.scale, a.level, a.seeded)]
        for x, y in zip(before, after, strict=True):
            np.testing.assert_array_equal(x, y)
