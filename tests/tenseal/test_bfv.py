"""Exact integers: BFV vectors and tensors on seal-python against numpy, and TenSEAL's bytes."""

from __future__ import annotations

import dataclasses
import functools
import operator
import tracemalloc
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import seal
import tenseal

import hetorch.tenseal as ts
from hetorch.errors import LegacySecurityWarning, SecurityError
from hetorch.interop.seal_format.stream import HEADER_BYTES, frame
from hetorch.interop.tenseal_format import BfvVectorMessage, ContextMessage, PrivateMessage

# SEAL's default primes for N = 8192 have 218 bits, those for 4096 have 109.
pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.LegacySecurityWarning")

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
        (TypeError, lambda: x + 10**30),
        (ValueError, lambda: x + ts.lazy_bfv_vector_from(x.serialize())),
        (ValueError, lambda: ts.lazy_bfv_vector_from(x.serialize()) + x),
        (ValueError, lambda: x + [1]),  # noqa: RUF005
        (ValueError, lambda: x + ts.bfv_vector(context, [1])),
        (ValueError, lambda: ts.bfv_vector(context, [])),
        (ValueError, lambda: ts.ckks_vector(context, [1.0], scale=2.0)),
        (ValueError, lambda: ts.bfv_vector(public, [1]).decrypt()),
        (ValueError, lambda: public.generate_galois_keys()),
        (ValueError, lambda: ts.bfv_vector(ts.context(ts.SCHEME_TYPE.BFV, 8192, 1024), [1])),
        (ValueError, lambda: ts.context(ts.SCHEME_TYPE.BFV, 8192, T, [60, 60, 60, 60])),
        (ValueError, lambda: ts.bfv_vector_from(context, b"abc")),
        (ValueError, lambda: ts.context(ts.SCHEME_TYPE.BFV, 8192)),
    ]
    for expected, action in cases:
        with pytest.raises(expected) as seen:
            action()
        assert type(seen.value) is expected
    assert ts.bfv_vector(public, [1]).decrypt(context.secret_key()) == [1]


def test_the_table_of_2024_is_asked() -> None:
    with pytest.warns(LegacySecurityWarning, match="2018") as caught:
        ts.context(ts.SCHEME_TYPE.BFV, 8192, T)
    assert [w.filename for w in caught] == [__file__]
    with pytest.warns(LegacySecurityWarning):
        ts.context_from(ts.context(ts.SCHEME_TYPE.BFV, 8192, T, security="he-standard-2018").serialize())
    with pytest.raises(SecurityError, match="214"):
        ts.context(ts.SCHEME_TYPE.BFV, 8192, T, security="128")
    with pytest.raises(SecurityError, match="147"):
        ts.context(ts.SCHEME_TYPE.BFV, 8192, T, [54, 54, 54], security="192")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for security in (None, "128"):
            ts.context(ts.SCHEME_TYPE.BFV, 8192, T, [54, 54, 54], security=security)
        ts.context(ts.SCHEME_TYPE.BFV, 8192, T, security="he-standard-2018")


def test_no_key_is_written_to_a_file(context: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def save(*_: object) -> None:
        raise AssertionError("SEAL was asked to write a file")

    for kind in (seal.SecretKey, seal.PublicKey, seal.RelinKeys, seal.GaloisKeys):
        monkeypatch.setattr(kind, "save", save)
    context.serialize()
    assert ts.context_from(context.serialize(save_secret_key=True)).has_secret_key()


def zeros_for(data: Any) -> bytes:
    """A ciphertext's frame with zeros for nearly all of its residues, compressed."""
    content = bytes(data)[HEADER_BYTES:]
    return frame(content[:1024] + bytes(len(content) - 1024), 2)


@pytest.mark.fuzz
def test_bombs(context: Any) -> None:
    """256 MB of zeros in some kilobytes are refused within what the parameters allow; and one ciphertext of zeros too,
    of which a message might have a million."""
    bomb = frame(bytes(1 << 28), 2)
    public = context.copy()
    public.make_context_public()
    message = ContextMessage.load(public.serialize())
    vector = BfvVectorMessage.load(ts.bfv_vector(context, [1]).serialize())
    contexts = [
        dataclasses.replace(message, public_key=bomb),
        dataclasses.replace(message, relin_keys=bomb),
        dataclasses.replace(message, galois_keys=bomb),
        dataclasses.replace(message, private=PrivateMessage(bomb)),
    ]
    vectors = [
        dataclasses.replace(vector, ciphertexts=(one,)) for one in (bomb, zeros_for(vector.ciphertexts[0]))
    ]
    actions: list[Callable[[], object]] = [
        *(functools.partial(ts.context_from, each.dump()) for each in contexts),
        *(functools.partial(ts.bfv_vector_from, context, each.dump()) for each in vectors),
    ]
    for action in actions:
        tracemalloc.start()
        with pytest.raises((ValueError, RuntimeError), match="decompresses to more"):
            action()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1 << 26  # zstd gives up to 32 MB at a time
