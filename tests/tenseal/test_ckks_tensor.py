"""Tensors under TenSEAL and here: random shapes, broadcasting and products agree within the precision of the scale."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import hetorch.tenseal as ts
from tests.tenseal.twins import Twin, contexts, decrypted

seeds = st.integers(0, 2**32 - 1)
small = st.integers(1, 3)


@settings(max_examples=8, deadline=None)
@given(st.lists(small, min_size=1, max_size=3), st.data(), seeds)
def test_element_wise_with_broadcasting(shape: list[int], data: st.DataObject, seed: int) -> None:
    rng = np.random.default_rng(seed)
    other_shape = [data.draw(st.sampled_from([1, size])) for size in shape][
        data.draw(st.integers(0, len(shape) - 1)) :
    ]
    x = Twin.encrypt(contexts(), rng.uniform(-1, 1, shape), "ckks_tensor")
    plain = rng.uniform(-1, 1, other_shape)
    y = Twin.encrypt(contexts(), plain, "ckks_tensor")
    x.sum_with(operator.add, y).check()
    x.sum_with(operator.sub, plain).check()
    x.product_with(operator.mul, y).check()
    product = x.product_with(operator.mul, plain)
    product.sum_with(operator.add, x).check()
    product.product_with(operator.mul, y).sum_with(lambda a, b: b - a, 1.0).check()


def product_bound(x: Twin, inner: int) -> tuple[float, float]:
    """Size and error of sums of `inner` products of factors of size 1."""
    one = x.product_with(operator.mul, x)
    return inner * one.size, inner * one.error


@settings(max_examples=6, deadline=None)
@given(small, small, small, seeds)
def test_products_of_matrices_and_vectors(rows: int, inner: int, columns: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = contexts()
    a, b, c = (
        rng.uniform(-1, 1, (rows, inner)),
        rng.uniform(-1, 1, (inner, columns)),
        rng.uniform(-1, 1, inner),
    )
    x, y, z = (Twin.encrypt(pair, value, "ckks_tensor") for value in (a, b, c))
    size, error = inner * 1.0, product_bound(x, inner)[1] + inner * 4 * pair.unit
    cases: list[tuple[Any, Twin, Any, Any]] = [
        (lambda t, o: t.mm(o), x, y, a @ b),
        (lambda t, o: t.mm(o), x, b, a @ b),
        (lambda t, o: t @ o, x, b.tolist(), a @ b),
        (lambda t, o: t.dot(o), x, z, a @ c),
        (lambda t, o: t.dot(o), x, c, a @ c),
        (lambda t, o: t.dot(o), z, y, c @ b),
        (lambda t, o: t.dot(o), z, b, c @ b),
        (lambda t, o: t.dot(o), z, z, np.atleast_1d(c @ c)),
        (lambda t, o: t.dot(o), z, c, np.atleast_1d(c @ c)),
    ]
    for operation, left, right, exact in cases:
        ours = operation(left.ours, right.ours if isinstance(right, Twin) else right)
        theirs = operation(left.theirs, right.theirs if isinstance(right, Twin) else right)
        assert ours.shape == theirs.shape
        Twin(pair, theirs, ours, exact, size, error, 1).check()


@settings(max_examples=6, deadline=None)
@given(st.lists(small, min_size=2, max_size=3), seeds)
def test_sums_shapes_and_batches(shape: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    pair = contexts()
    values = rng.uniform(-1, 1, shape)
    x = Twin.encrypt(pair, values, "ckks_tensor")
    for axis, count in enumerate(shape):
        x.summed(operator.methodcaller("sum", axis), values.sum(axis), count).check()
    x._result(
        x.apply(lambda t: t.transpose() if not isinstance(t, np.ndarray) else t.T), 1, x.error, 0
    ).check()
    x._result(x.apply(lambda t: t.reshape([values.size])), 1, x.error, 0).check()
    x._result(x.apply(lambda t: t[0:1]), 1, x.error, 0).check()
    batch = Twin.encrypt(pair, values, "ckks_tensor", batch=True)
    assert batch.ours.shape == batch.theirs.shape == shape[1:]
    if 1 in shape:
        # With a dimension of 1, TenSEAL 0.3.18 decrypts a batch to copies of some of its values.
        assert np.abs(decrypted(batch.ours) - values).max() <= batch.error
        return
    batch.check()
    batch.product_with(operator.mul, batch).check()
    batch.summed(lambda t: t.sum(0), values.sum(0), shape[0]).check()
    batch.summed(lambda t: t.sum(1), values.sum(1), shape[1]).check()
    batch.summed(lambda t: t.sum_batch(), values.sum(0), shape[0]).check()
    coefficients = [0.25, -1.0, 0.5]
    exact = np.polynomial.polynomial.polyval(values, coefficients)
    three = x.apply(lambda t: t.polyval(coefficients) if not isinstance(t, np.ndarray) else exact)
    x._result(three, 2, 16 * pair.unit, 2).check()


def test_broadcast_slices_and_powers() -> None:
    pair = contexts()
    values = np.arange(6.0).reshape(2, 3) / 6
    x = Twin.encrypt(pair, values, "ckks_tensor")
    x._result(x.apply(lambda t: t[:, 1:2]), 1, x.error, 0).check()
    assert x.ours[0].shape == x.theirs[0].shape == [1, 3]
    row = Twin.encrypt(pair, values[0], "ckks_tensor")
    row._result(
        row.apply(lambda t: np.broadcast_to(t, (2, 3)) if isinstance(t, np.ndarray) else t.broadcast([2, 3])),
        1,
        row.error,
        0,
    ).check()
    for power in (0, 1, 2, 3, 4):
        x._result(x.apply(lambda t, power=power: t**power), 1, 16 * pair.unit, 2).check()
    changed = x.ours.copy()
    assert changed.reshape_([3, 2]).shape == [3, 2]
    assert changed.transpose_().shape == [2, 3]
    assert x.ours.shape == [2, 3]


def test_a_batch_meets_a_tensor_without_one_on_either_side() -> None:
    pair = contexts()
    batch = ts.ckks_tensor(pair.ours, [[1.0, 2.0], [3.0, 4.0]], batch=True)
    single = ts.ckks_tensor(pair.ours, [10.0, 20.0])
    for result in (batch + single, single + batch):
        assert np.abs(decrypted(result) - [[11, 22], [13, 24]]).max() < 40 * pair.unit


def test_beyond_the_shape_is_an_index_error() -> None:
    x = ts.ckks_tensor(contexts().ours, [[1.0, 2.0]])
    for index in (1, slice(0, 3), slice(1, 0), (slice(0, 1), slice(0, 3))):
        with pytest.raises(IndexError):
            x[index]
    with pytest.raises(TypeError, match="incompatible function arguments"):
        x[-1]
    with pytest.raises(RuntimeError, match="Too many slices for view"):
        x[(slice(0, 1),) * 3]


def test_the_most_dimensions_are_the_same_for_every_operation() -> None:
    context = contexts().ours
    x = ts.ckks_tensor(context, np.ones((2, *[1] * 31)), batch=True)
    for result in (x.sum_batch(), x**0, x.polyval([1, 1]), x.transpose(), x.sum(31)):
        assert np.allclose(decrypted(result).ravel()[0], decrypted(result).ravel()[-1], atol=1e-5)
    single = ts.ckks_tensor(context, [1.0])
    too_many: list[Callable[[], Any]] = [
        lambda: ts.ckks_tensor(context, np.ones([1] * 32)),
        lambda: single.reshape([1] * 32),
        lambda: single.broadcast([1] * 70),
    ]
    for refused in too_many:
        with pytest.raises(ValueError, match="at most 31 dimensions"):
            refused()
