"""Exact integers: BFV vectors and tensors on seal-python against numpy, and TenSEAL's bytes."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest
import tenseal

import hetorch.tenseal as ts
from hetorch.errors import HetorchError

T = 1032193


def make(package: Any) -> Any:
    context = package.context(package.SCHEME_TYPE.BFV, 8192, T, n_threads=1)
    context.generate_galois_keys()
    return context


@pytest.fixture(scope="module")
def context() -> Any:
    return make(ts)


def centred(values: Any) -> list[int]:
    result: list[int] = ((np.atleast_1d(values).astype(object) + T // 2) % T - T // 2).tolist()
    return result


def test_vectors(context: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(-T // 2, T // 2, (2, 7))
    x, y = ts.bfv_vector(context, a), ts.bfv_vector(context, b)
    wide_a, wide_b = a.astype(object), b.astype(object)
    assert x.decrypt() == a.tolist()
    for op in (operator.add, operator.sub, operator.mul):
        assert op(x, y).decrypt() == centred(op(wide_a, wide_b))
        assert op(x, b.tolist()).decrypt() == centred(op(wide_a, wide_b))
        assert op(x, 7).decrypt() == centred(op(wide_a, 7))
    assert (3 - x).decrypt() == centred(3 - wide_a)
    assert (-x).decrypt() == centred(-wide_a)
    assert (x - x).decrypt() == (x * 0).decrypt() == [0] * 7
    assert x.square().decrypt() == centred(wide_a**2)
    assert (x**3).decrypt() == centred(wide_a**3)
    assert (x**0).decrypt() == [1] * 7
    assert x.polyval([1, -2, 3]).decrypt() == centred(1 - 2 * wide_a + 3 * wide_a**2)
    assert x.polyval([0, 0]).decrypt() == [0] * 7
    assert x.sum().decrypt() == centred(wide_a.sum())
    assert x.dot(y).decrypt() == x.dot(b).decrypt() == centred(wide_a @ wide_b)
    assert ts.BFVVector.pack_vectors([x, y, x]).decrypt() == centred([*wide_a, *wide_b, *wide_a])


@pytest.mark.parametrize("size", [4096, 5000, 8192, 9000])
def test_sums_over_both_rows_and_several_ciphertexts(context: Any, size: int) -> None:
    values = np.arange(size) - 100
    x = ts.bfv_vector(context, values) + 1
    assert x.sum().decrypt() == centred(int((values + 1).sum()))


def test_tensors(context: Any) -> None:
    a = np.array([[1, -2], [3, 4]])
    x = ts.bfv_tensor(context, a)
    assert x.shape == [2, 2]
    assert (x + x).decrypt().tolist() == (a + a).tolist()
    assert (x * [5, 6]).decrypt().tolist() == (a * [5, 6]).tolist()
    assert x.mm(x).decrypt().tolist() == x.mm(a).decrypt().tolist() == (a @ a).tolist()
    assert x.dot([1, 2]).decrypt().tolist() == (a @ [1, 2]).tolist()
    assert x.sum(1).decrypt().tolist() == a.sum(1).tolist()
    assert x.transpose().reshape([4]).decrypt().tolist() == a.T.ravel().tolist()
    assert x.polyval([1, 2, 3]).decrypt().tolist() == (1 + 2 * a + 3 * a**2).tolist()
    batch = ts.bfv_tensor(context, a, batch=True)
    assert batch.decrypt().tolist() == a.tolist()
    assert batch.sum().decrypt().tolist() == a.sum(0).tolist()
    assert (batch * batch).decrypt().tolist() == (a * a).tolist()


@pytest.mark.parametrize(("writer", "reader"), [(ts, tenseal), (tenseal, ts)])
def test_bytes_of_the_other_package(writer: Any, reader: Any) -> None:
    private = make(writer)
    there = reader.context_from(private.serialize())
    x = reader.bfv_vector_from(there, writer.bfv_vector(private, [1, -2, 3]).serialize())
    assert writer.bfv_vector_from(private, (x * x).serialize()).decrypt() == [1, 4, 9]
    t = reader.bfv_tensor_from(there, writer.bfv_tensor(private, [[1], [2]], False).serialize())
    assert writer.bfv_tensor_from(private, (t + 5).serialize()).decrypt().raw == [6, 7]
    copy = reader.context_from(private.serialize(save_secret_key=True))
    assert reader.bfv_vector_from(copy, writer.bfv_vector(private, [4]).serialize()).decrypt() == [4]


def test_wrong_use(context: Any) -> None:
    x = ts.bfv_vector(context, [1, 2])
    public = context.copy()
    public.make_context_public()
    assert public.is_public() and context.is_private()
    cases: list[tuple[type, Any]] = [
        (TypeError, lambda: x * 1.5),
        (TypeError, lambda: x.polyval([0.5, 1])),
        (TypeError, lambda: x + "a"),
        (ValueError, lambda: x + [1]),  # noqa: RUF005
        (ValueError, lambda: x + ts.bfv_vector(context, [1])),
        (ValueError, lambda: ts.bfv_vector(context, [])),
        (ValueError, lambda: ts.ckks_vector(context, [1.0], scale=2.0)),
        (ValueError, lambda: ts.bfv_vector(public, [1]).decrypt()),
        (ValueError, lambda: public.generate_galois_keys()),
        (ValueError, lambda: ts.context(ts.SCHEME_TYPE.BFV, 8192, 1024)),
        (ValueError, lambda: ts.context(ts.SCHEME_TYPE.BFV, 8192, T, [60, 60, 60, 60])),
        (ValueError, lambda: ts.bfv_vector_from(context, b"abc")),
        (ValueError, lambda: ts.context(ts.SCHEME_TYPE.BFV, 8192)),
    ]
    for expected, action in cases:
        with pytest.raises(expected) as seen:
            action()
        assert isinstance(seen.value, HetorchError)
    assert ts.bfv_vector(public, [1]).decrypt(context.secret_key()) == [1]
