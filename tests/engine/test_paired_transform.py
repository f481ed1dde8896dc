"""Linear maps whose diagonals are multiplied in pairs, on ciphertexts, and the bootstrap after them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hetorch.engine.bootstrap_keys import bootstrap_keys
from hetorch.engine.bootstrap_noise import bootstrap_noise
from hetorch.engine.keys import EvaluationKeySpec, main_family, rotation_link
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import ParameterError
from hetorch.params.map_family import map_family
from tests.engine.bootstrap_case import SCALE, Case, small_set

BOOT = small_set(1 << 11, (4, 3, 3), (3, 3, 2, 2))
PARAMETERS, SLOTS = BOOT.parameters, BOOT.parameters.slot_count
LEVEL = BOOT.input_level + 1


def transform(pair: int, count: int = 8) -> DiagonalTransform:
    """Return a map of `count` diagonals, half of them `pair` slots after the others, with rows of a sum below 1."""
    first = np.arange(count // 2, dtype=np.int64)
    babies = np.concatenate([first % 2, first % 2 + pair]).astype(np.int32)
    giants = np.tile(first // 2 * 2, 2).astype(np.int32)
    values = np.random.default_rng(0).uniform(-1, 1, size=(count, SLOTS)) / count
    zeros = np.zeros(count, dtype=np.int32)
    return DiagonalTransform(SLOTS, 1, 1, zeros, zeros, giants, babies, values, pair=pair)


def keys_of(paired: DiagonalTransform) -> EvaluationKeySpec:
    family = map_family(PARAMETERS, LEVEL)
    links = [rotation_link(PARAMETERS, steps, family, LEVEL) for steps in paired.rotations]
    turn = rotation_link(PARAMETERS, paired.pair, main_family(PARAMETERS), LEVEL)
    return EvaluationKeySpec.collected(PARAMETERS, [*links, turn])


@pytest.mark.parametrize("pair", [SLOTS // 2, SLOTS // 4])
def test_half_the_products_give_the_real_part(pair: int) -> None:
    paired, key = transform(pair), SecretKey.generate(PARAMETERS)
    # Baby step 1 and giant step 2, whose chain needs no other key.
    assert paired.rotations == {1, 2}
    engine = NativeEngine(PARAMETERS, evaluation_keys=key.evaluation_keys(keys_of(paired)))
    x = np.random.default_rng(1).uniform(-1, 1, SLOTS)
    encrypted = key.encrypt(x, scale=SCALE, level=LEVEL)
    results, sizes = [], []
    for coefficients in (False, True):
        prepared = engine.prepare_transform(
            paired, level=LEVEL, input_scale=SCALE, output_scale=SCALE, coefficients=coefficients
        )
        (result,) = engine.linear_transform(prepared, [encrypted])
        assert (result.level, result.scale) == (LEVEL - 1, SCALE)
        results.append(key.decrypt_complex(result))
        sizes.append(prepared.byte_count)
    np.testing.assert_array_equal(results[0], results[1])
    assert sizes[1] == 4 * PARAMETERS.ring_degree * 8
    # Diagonals have the scale of a prime of 40 bits, so most noise is the rounding of rescaling and of key switching:
    # the variance N / 24 (1 + 2 N / 3) in a slot, six times at most. No Gaussian is beyond 8 deviations.
    n = PARAMETERS.ring_degree
    bound = 8 * math.sqrt(6 * n / 24 * (1 + 2 * n / 3)) / SCALE
    np.testing.assert_allclose(results[0].real, paired.apply([x])[0], atol=bound)
    assert np.abs(results[0].imag).max() > 0.1


def test_a_bootstrap_drops_the_imaginary_part() -> None:
    case, paired = Case.make(BOOT), transform(SLOTS // 2)
    spec = keys_of(paired).merged(PARAMETERS, bootstrap_keys(BOOT))
    engine = NativeEngine(PARAMETERS, evaluation_keys=case.key.evaluation_keys(spec))
    x = np.random.default_rng(2).uniform(-1, 1, SLOTS)
    prepared = engine.prepare_transform(paired, level=LEVEL, input_scale=SCALE, output_scale=SCALE)
    (result,) = engine.linear_transform(prepared, [case.key.encrypt(x, scale=SCALE, level=LEVEL)])
    assert np.abs(case.key.decrypt_complex(result).imag).max() > 0.1
    found = case.key.decrypt_complex(engine.bootstrap(case.prepared, result))
    deviation = bootstrap_noise(case.prepared)
    assert np.abs(found.real - case.expected(paired.apply([x])[0])).max() < 16 * deviation
    assert np.abs(found.imag).max() < 16 * deviation


@pytest.mark.parametrize("pair", [1, 3, SLOTS])
def test_a_pair_step_divides_the_slots(pair: int) -> None:
    zero = np.zeros(1, dtype=np.int32)
    with pytest.raises(ParameterError, match="pair step"):
        DiagonalTransform(SLOTS, 1, 1, zero, zero, zero, zero, np.ones((1, SLOTS)), pair=pair)
