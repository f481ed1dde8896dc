"""Transforms of one number a diagonal, without rotations: sums of whole ciphertexts, with no key at all."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hetorch.engine.cleartext import CleartextEngine
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.noise import NoiseModel
from hetorch.engine.secret import SecretKey
from hetorch.engine.transform import DiagonalTransform
from hetorch.errors import LevelError
from hetorch.params import ParameterSet, Security

SCALE = 2.0**36


@pytest.fixture(scope="module")
def parameters() -> ParameterSet:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ParameterSet.from_bits(1024, [46, 36, 36, 36], [46], security=Security.NONE)


@pytest.fixture(scope="module")
def key(parameters: ParameterSet) -> SecretKey:
    return SecretKey.generate(parameters)


def weights(
    generator: np.random.Generator, outputs: int, inputs: int, slots: int
) -> tuple[DiagonalTransform, np.ndarray]:
    dense = generator.standard_normal((outputs, inputs)) * (generator.random((outputs, inputs)) < 0.7)
    dense[0, 0] = 1.0
    rows, columns = (index.astype(np.int32) for index in np.nonzero(dense))
    zeros = np.zeros(len(rows), dtype=np.int32)
    values = dense[rows, columns][:, None]
    return DiagonalTransform(slots, inputs, outputs, rows, columns, zeros, zeros, values), dense


@given(st.integers(0, 2**31), st.integers(1, 12), st.integers(1, 80), st.integers(1, 3))
@settings(max_examples=25, deadline=None)
def test_sums_are_those_of_the_matrix(
    parameters: ParameterSet, key: SecretKey, seed: int, outputs: int, inputs: int, level: int
) -> None:
    generator = np.random.default_rng(seed)
    transform, dense = weights(generator, outputs, inputs, parameters.slot_count)
    x = generator.uniform(-1, 1, (inputs, parameters.slot_count))
    engine = NativeEngine(parameters)
    prepared = engine.prepare_transform(transform, level=level, input_scale=SCALE, output_scale=SCALE)
    found = engine.linear_transform(prepared, [key.encrypt(row, level=level, scale=SCALE) for row in x])
    assert [(c.level, c.scale) for c in found] == [(level - 1, SCALE)] * outputs
    decrypted = np.stack([key.decrypt(c) for c in found])
    model = NoiseModel.of(parameters)
    # The fresh errors times the weights, the rescale, and half a unit at each rounded weight: 7 standard deviations.
    fresh = (dense**2).sum(axis=1)[:, None] * model.fresh() ** 2
    spread = np.sqrt(fresh + rescale_deviations(key) ** 2 + inputs)
    assert np.all(np.abs(decrypted - dense @ x) < 7 * spread / SCALE)


def rescale_deviations(key: SecretKey) -> NDArray[np.float64]:
    """Return the standard deviation of the real part of each slot after a rescaling.

    The rounding tau_0 + tau_1 s has coefficients uniform in [-1/2, 1/2], so a variance of N / 24 (1 + |s|^2) with this
    key's s in the slot. Its average over keys is NoiseModel.rounding, but some slot of 512 has about six times the
    average of |s|^2.
    """
    n = key.parameters.ring_degree
    exponents = np.array([pow(5, j, 2 * n) for j in range(n // 2)])
    roots = np.exp(1j * np.pi * (np.outer(exponents, np.arange(n)) % (2 * n)) / n)
    deviations: NDArray[np.float64] = np.sqrt(n / 24 * (1 + np.abs(roots @ key.coefficients()) ** 2))
    return deviations


def test_the_cleartext_engine_and_the_diagonals_agree(parameters: ParameterSet) -> None:
    generator = np.random.default_rng(1)
    transform, dense = weights(generator, 5, 9, parameters.slot_count)
    x = generator.uniform(-1, 1, (9, parameters.slot_count))
    np.testing.assert_allclose(np.stack(transform.apply(list(x))), dense @ x, atol=1e-12)
    engine = CleartextEngine(parameters, noise=False, key_spec=EvaluationKeySpec(None, ()))
    prepared = engine.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
    found = engine.linear_transform(prepared, [engine.encrypt(row, level=2, scale=SCALE) for row in x])
    np.testing.assert_allclose(np.stack([engine.decrypt(c) for c in found]), dense @ x, atol=1e-12)


def test_wrong_levels_and_scales_are_refused(parameters: ParameterSet, key: SecretKey) -> None:
    transform, _ = weights(np.random.default_rng(2), 2, 2, parameters.slot_count)
    engine = NativeEngine(parameters)
    prepared = engine.prepare_transform(transform, level=2, input_scale=SCALE, output_scale=SCALE)
    zeros = np.zeros(parameters.slot_count)
    with pytest.raises(LevelError, match="level 2"):
        engine.linear_transform(prepared, [key.encrypt(zeros, level=1, scale=SCALE)] * 2)
    with pytest.raises(LevelError, match="scale"):
        engine.linear_transform(prepared, [key.encrypt(zeros, level=2, scale=2 * SCALE)] * 2)
    with pytest.raises(LevelError):
        engine.prepare_transform(transform, level=0, input_scale=SCALE, output_scale=SCALE)
