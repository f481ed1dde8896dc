"""The engine on SEAL: each operation against numpy and the native engine, and what it refuses."""

from __future__ import annotations

import sys
import threading
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.protocol import Engine
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import InputError, KeyMissingError, LevelError, MissingPackageError, PlanError
from hetorch.interop.seal.engine import SealEngine
from hetorch.interop.seal.library import seal_library
from hetorch.params import ParameterSet, Security
from hetorch.params.insecure import insecure_small
from tests.engine import noise

SCALE = 2.0**40
STEPS = {1: 4, 5: 4, -3: 2, 64: 4}


class Sides:
    """The same keys in the native engine and in SEAL, in one of the two orders of slots."""

    def __init__(self, slot_generator: int) -> None:
        n = 1 << 11
        self.parameters = ParameterSet.from_bits(
            n, [49, 40, 40, 40, 40], [49], security=Security.NONE, slot_generator=slot_generator
        )
        spec = EvaluationKeySpec.from_rotations(STEPS, n, 4, slot_generator=slot_generator)
        spec = EvaluationKeySpec(4, tuple(sorted((*spec.galois, (2 * n - 1, 4)))))
        self.key = SecretKey.generate(self.parameters)
        keys = self.key.evaluation_keys(spec)
        self.native = NativeEngine(self.parameters, evaluation_keys=keys)
        self.seal = SealEngine(self.parameters, evaluation_keys=keys)

    def values(self, seed: int = 0) -> NDArray[np.float64]:
        return np.random.default_rng(seed).uniform(-1, 1, self.parameters.slot_count)

    def encrypt(self, values: NDArray[Any], level: int = 4, scale: float = SCALE) -> Any:
        return self.seal.take(self.key.encrypt(values, level=level, scale=scale))

    def decrypt(self, ciphertext: Any) -> NDArray[np.complex128]:
        assert ciphertext.core.coeff_modulus_size() == ciphertext.level + 1
        return self.key.decrypt_complex(self.seal.give(ciphertext))

    def close(self, ciphertext: Any, expected: NDArray[Any]) -> None:
        """A dozen bits beyond a key switch with SEAL's digits: their mean of q/2 times an error of 3.2 over P = q_0 is
        about 3.2 N at slots near zeta = 1, so 2^13 / 2^40; a wrong step, level or scale is off by 2^-3 or more."""
        assert np.max(np.abs(self.decrypt(ciphertext) - expected)) < 2.0**-18


@pytest.fixture(scope="module", params=[5, 3])
def sides(request: pytest.FixtureRequest) -> Sides:
    return Sides(request.param)


def test_it_is_an_engine(sides: Sides) -> None:
    assert isinstance(sides.seal, Engine) and sides.seal.name == "seal"


@pytest.mark.parametrize("level", [0, 2, 4])
def test_in_and_out_keep_bits(sides: Sides, level: int) -> None:
    values = sides.values()
    ciphertext = sides.key.encrypt(values, level=level, scale=SCALE)
    back = sides.seal.give(sides.seal.take(ciphertext))
    assert (back.level, back.scale) == (level, SCALE)
    np.testing.assert_array_equal(back.row(1, 0), ciphertext.row(1, 0))
    noise.assert_error(sides.key.decrypt(back), values, noise.fresh(sides.parameters) / SCALE)


def test_sums(sides: Sides) -> None:
    x, y = sides.values(1), sides.values(2)
    a, b = sides.encrypt(x), sides.encrypt(y, level=2, scale=SCALE * (1 + 2.0**-21))
    total = sides.seal.add(a, b)
    assert (total.level, total.scale) == (2, SCALE)
    sides.close(total, x + y)
    sides.close(sides.seal.subtract(b, a), y - x)
    sides.close(sides.seal.negate(a), -x)
    plaintext = sides.seal.encode(y, level=4, scale=SCALE)
    sides.close(sides.seal.add_plaintext(sides.encrypt(x, level=1), plaintext), x + y)
    zero = sides.seal.encode(0 * y, level=4, scale=SCALE)
    sides.close(sides.seal.add_plaintext(a, zero), x)
    # The operands are as they were.
    sides.close(a, x)
    sides.close(b, y)


def test_products_and_levels(sides: Sides) -> None:
    x, y = sides.values(3), sides.values(4)
    a, b = sides.encrypt(x), sides.encrypt(y, level=3)
    product = sides.seal.rescale(sides.seal.multiply(a, b))
    assert product.level == 2
    assert product.scale == SCALE * SCALE / sides.parameters.modulus_chain[3]
    sides.close(product, x * y)
    square = sides.seal.rescale(sides.seal.multiply(a, a))
    sides.close(square, x * x)
    plain = sides.seal.encode(y, level=4, scale=2.0**38)
    scaled = sides.seal.multiply_plaintext(a, plain)
    assert scaled.scale == 2.0**78
    sides.close(sides.seal.rescale(scaled), x * y)
    low = sides.seal.drop_level(a, 1)
    assert (low.level, low.scale) == (1, SCALE)
    sides.close(low, x)
    sides.close(sides.seal.multiply(sides.seal.drop_level(product, 1), low), x * x * y)


@pytest.mark.parametrize("steps", [*STEPS, 0])
def test_rotations(sides: Sides, steps: int) -> None:
    x = sides.values(5)
    turned = sides.seal.rotate(sides.encrypt(x, level=STEPS.get(steps, 4)), steps)
    sides.close(turned, np.roll(x, -steps))


def test_conjugation(sides: Sides) -> None:
    x = sides.values(6) * np.complex128(1j) + sides.values(7)
    sides.close(sides.seal.conjugate(sides.encrypt(x)), x.conj())


@pytest.mark.parametrize("period", [4, 1 << 10])
def test_linear_transforms(sides: Sides, period: int) -> None:
    """Two inputs, two outputs, baby and giant steps, a diagonal of zeros, against the definition."""
    draw = np.random.default_rng(period)
    diagonals = draw.uniform(-1, 1, (6, period))
    diagonals[2] = 0
    transform = DiagonalTransform(
        sides.parameters.slot_count,
        2,
        2,
        np.array([0, 0, 0, 0, 1, 1], dtype=np.int32),
        np.array([0, 0, 1, 1, 1, 0], dtype=np.int32),
        np.array([0, 0, 64, 64, 0, 64], dtype=np.int32),
        np.array([0, 1, 5, 1, 5, 0], dtype=np.int32),
        diagonals,
    )
    x, y = sides.values(8), sides.values(9)
    prepared = sides.seal.prepare_transform(transform, level=3, input_scale=SCALE, output_scale=2.0**39)
    assert prepared.byte_count == 5 * 8 * 4 * sides.parameters.ring_degree
    made = sides.seal.linear_transform(prepared, [sides.encrypt(x, level=3), sides.encrypt(y, level=3)])
    for seen, expected in zip(made, transform.apply([x, y]), strict=True):
        assert (seen.level, seen.scale) == (2, 2.0**39)
        sides.close(seen, expected)


def test_giant_steps_need_the_key_of_the_shortest_turn_alone() -> None:
    """To the left 16, 32 and 48, to the right 16 and 32: by Horner's rule, with gaps where a diagonal is zero."""
    own = ParameterSet.from_bits(1 << 10, [49, 40, 40], [49], security=Security.NONE)
    slots = own.slot_count
    giants = np.array([0, 16, 32, 48, slots - 16, slots - 32], dtype=np.int32)
    zeros = np.zeros(6, dtype=np.int32)
    values = np.random.default_rng(0).uniform(-1, 1, (6, slots))
    values[2] = 0
    transform = DiagonalTransform(slots, 1, 1, zeros, zeros, giants, zeros, values)
    key = SecretKey.generate(own)
    spec = EvaluationKeySpec.from_rotations({16: 2, -16: 2}, own.ring_degree)
    engine = SealEngine(own, evaluation_keys=key.evaluation_keys(spec))
    x = np.random.default_rng(1).uniform(-1, 1, slots)
    prepared = engine.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
    (made,) = engine.linear_transform(prepared, [engine.take(key.encrypt(x, scale=SCALE))])
    seen = key.decrypt(engine.give(made))
    assert np.max(np.abs(seen - transform.apply([x])[0])) < 2.0**-18


def test_sums_of_products(sides: Sides) -> None:
    values = [sides.values(seed) for seed in range(4)]
    a = [sides.encrypt(v, level=level) for v, level in zip(values, (4, 3, 4, 2), strict=True)]
    total = sides.seal.sum_of_products(a[:2], a[2:])
    assert (total.level, total.scale) == (2, SCALE * SCALE)
    sides.close(sides.seal.rescale(total), values[0] * values[2] + values[1] * values[3])
    with pytest.raises(InputError, match="as many factors"):
        sides.seal.sum_of_products(a[:1], a[2:])


@pytest.mark.parametrize("degree", [1, 2, 3, 4, 7, 9, 15])
def test_polynomials_have_the_levels_and_scales_of_the_core(sides: Sides, degree: int) -> None:
    x = sides.values(10)
    coefficients = np.random.default_rng(degree).uniform(-1, 1, degree + 1)
    coefficients[degree // 2] = 0 if degree > 2 else coefficients[degree // 2]
    here = sides.native.polynomial(
        sides.key.encrypt(x, scale=SCALE), list(coefficients), output_scale=2.0**39
    )
    there = sides.seal.polynomial(sides.encrypt(x), list(coefficients), output_scale=2.0**39)
    assert (there.level, there.scale) == (here.level, here.scale)
    # Errors grow by the coefficients and twice a product, less than 2^6 for degree 15 and |c| <= 1.
    expected = chebyshev.chebval(x, coefficients)
    assert np.max(np.abs(sides.decrypt(there) - expected)) < 2.0**-14
    assert np.max(np.abs(sides.decrypt(there) - sides.key.decrypt_complex(here))) < 2.0**-14


def test_wrong_levels_and_scales(sides: Sides) -> None:
    engine, a = sides.seal, sides.encrypt(sides.values())
    other = sides.encrypt(sides.values(), scale=2.0**38)
    for operation in (engine.add, engine.subtract):
        with pytest.raises(LevelError, match="scales differ"):
            operation(a, other)
    bottom = sides.encrypt(sides.values(), level=0)
    with pytest.raises(LevelError, match="level 0"):
        engine.rescale(bottom)
    with pytest.raises(LevelError, match="cannot go up"):
        engine.drop_level(bottom, 1)
    with pytest.raises(LevelError, match="does not exist"):
        engine.drop_level(a, 5)
    with pytest.raises(LevelError, match="does not exist"):
        engine.encode(sides.values(), level=5, scale=SCALE)
    with pytest.raises(LevelError, match="plaintext at level 1"):
        engine.multiply_plaintext(a, engine.encode(sides.values(), level=1, scale=2.0**30))
    with pytest.raises(LevelError, match="SEAL says"):
        engine.multiply(bottom, bottom)  # 80 bits of scale in a modulus of 49
    with pytest.raises(LevelError, match="takes 3 levels"):
        engine.polynomial(sides.encrypt(sides.values(), level=2), [1.0] * 8, output_scale=SCALE)
    with pytest.raises(InputError, match="degree 1 or more"):
        engine.polynomial(a, [1.0], output_scale=SCALE)


def test_missing_keys(sides: Sides) -> None:
    a = sides.encrypt(sides.values())
    with pytest.raises(KeyMissingError, match="Galois element"):
        sides.seal.rotate(a, 7)
    with pytest.raises(KeyMissingError, match="at level 4"):
        sides.seal.rotate(a, -3)  # made for level 2: SEAL itself would compute nonsense
    without = SealEngine(sides.parameters)
    for missing in ("multiply", "rotate", "conjugate"):
        operands = {"multiply": (a, a), "rotate": (a, 1), "conjugate": (a,)}[missing]
        with pytest.raises(KeyMissingError):
            getattr(without, missing)(*operands)


def test_what_does_not_depend_on_the_input(sides: Sides) -> None:
    a = sides.encrypt(sides.values())
    zero = sides.seal.encode(np.zeros(sides.parameters.slot_count), level=4, scale=SCALE)
    with pytest.raises(PlanError, match="engine 'native'"):
        sides.seal.subtract(a, a)
    with pytest.raises(PlanError, match="engine 'native'"):
        sides.seal.multiply_plaintext(a, zero)
    with pytest.raises(PlanError, match="engine 'native'"):
        sides.seal.polynomial(a, [1.0, 0.0], output_scale=SCALE)
    one = np.zeros(1, dtype=np.int32)
    nothing = DiagonalTransform(sides.parameters.slot_count, 1, 1, one, one, one, one, np.zeros((1, 2)))
    with pytest.raises(PlanError, match="all zero"):
        sides.seal.prepare_transform(nothing, level=2, input_scale=SCALE, output_scale=SCALE)


def test_parameters_that_seal_does_not_have() -> None:
    for wrong in (
        insecure_small(digit_size=2),
        insecure_small(special_prime_count=2),
        insecure_small(digit_size=2, special_prime_count=3),
    ):
        with pytest.raises(PlanError, match='engine="seal"'):
            SealEngine(wrong)
    large = ParameterSet.from_bits(1 << 16, [40, 40], [40], security=Security.NONE)
    with pytest.raises(PlanError, match="rings up to 2\\^15"):
        SealEngine(large)


def test_without_seal_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "seal", None)
    seal_library.cache_clear()
    with pytest.raises(MissingPackageError, match=r"hetorch\[seal\]"):
        SealEngine(insecure_small())


def test_many_threads_use_one_engine(sides: Sides) -> None:
    x = sides.values(11)
    a = sides.encrypt(x)
    results: list[Any] = []

    def work() -> None:
        results.append(sides.seal.rotate(sides.seal.rescale(sides.seal.multiply(a, a)), 1))

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for result in results:
        sides.close(result, np.roll(x * x, -1))
