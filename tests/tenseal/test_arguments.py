"""What TenSEAL takes for an argument is taken here too, with the same effect: numpy's numbers, arrays of sizes, truth
values, bytes of either kind; and objects are copied and wrapped in the same ways."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import tenseal
import torch

import hetorch.tenseal as ts
from tests.tenseal.twins import contexts, decrypted

PACKAGES = {"hetorch": ts, "tenseal": tenseal}


@pytest.fixture(params=PACKAGES)
def package(request: pytest.FixtureRequest) -> Any:
    return PACKAGES[request.param]


def small(package: Any) -> Any:
    context = package.context(package.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[39, 28, 39], n_threads=1)
    context.global_scale = 2.0**28
    return context


@pytest.mark.parametrize(
    "scale", [2**30, 2.0**30, np.float32(2**30), np.int64(2**30), np.array(2.0**30), torch.tensor(2.0**30)]
)
def test_scales(package: Any, scale: Any) -> None:
    context = small(package)
    context.global_scale = scale
    assert context.global_scale == 2.0**30
    assert np.allclose(package.ckks_vector(context, [1.5], scale).decrypt(), [1.5], atol=1e-3)


@pytest.mark.parametrize("position", [True, False, 1, 0, None, np.bool_(True), np.bool_(False)])
@pytest.mark.parametrize("switch", ["auto_relin", "auto_rescale", "auto_mod_switch"])
def test_switches(package: Any, switch: str, position: Any) -> None:
    context = small(package)
    setattr(context, switch, position)
    assert getattr(context, switch) is bool(position)


def test_a_public_context_keeps_relinearising(package: Any) -> None:
    context = small(package)
    context.make_context_public()
    context.auto_relin = False
    context.auto_rescale = False
    assert context.auto_relin is True and context.auto_rescale is False


@pytest.mark.parametrize("sizes", [(39, 28, 39), np.array([39, 28, 39]), [np.int64(39), 28, np.int32(39)]])
def test_sizes_of_primes(package: Any, sizes: Any) -> None:
    assert package.context(package.SCHEME_TYPE.CKKS, 4096, -1, sizes).is_private()


def test_bytes_of_either_kind(package: Any) -> None:
    data = small(package).serialize()
    assert package.context_from(bytearray(data)).is_public()
    for wrong in (bytearray(b"abc"), "abc"):
        with pytest.raises(ValueError):
            package.context_from(wrong)


def test_truth_values_for_what_is_written(package: Any) -> None:
    context = small(package)
    read = package.context_from(context.serialize(1, None, 0, np.bool_(False)))
    assert read.has_public_key() and not read.has_relin_keys() and read.is_public()


def test_before_a_context_is_linked(package: Any) -> None:
    context = small(package)
    vector = package.lazy_ckks_vector_from(package.ckks_vector(context, [1.0, 2.0]).serialize())
    tensor = package.lazy_ckks_tensor_from(package.ckks_tensor(context, [[1.0]]).serialize())
    assert (vector.size(), vector.shape, vector.ciphertext()) == (0, [0], [])
    assert tensor.shape == []


def test_strides_of_a_plain_tensor(package: Any) -> None:
    assert package.plain_tensor(np.ones((2, 1, 4))).strides() == [4, 0, 1]
    assert package.plain_tensor(np.ones((2, 3, 4))).strides() == [12, 4, 1]


def test_wrapped_objects(package: Any) -> None:
    context = small(package)
    vector, tensor = package.ckks_vector(context, [1.0, 2.0]), package.ckks_tensor(context, [[3.0]])
    again = package.CKKSVector(data=vector.data)
    assert np.allclose((again + 1).decrypt(), [2.0, 3.0], atol=1e-3)
    assert np.allclose(decrypted(package.CKKSTensor(data=tensor.data) + 1), [[4.0]], atol=1e-3)
    other = package.ckks_vector(context, [5.0])
    other.data = vector.data
    assert np.allclose(other.decrypt(), [1.0, 2.0], atol=1e-3)
    assert package.Context(data=context.data).is_private()


def test_deep_copies(package: Any) -> None:
    context = small(package)
    vector, tensor = package.ckks_vector(context, [1.0, 2.0]), package.ckks_tensor(context, [[3.0]])
    copies = copy.deepcopy([vector, tensor])
    twin = copy.deepcopy(context)
    context.make_context_public()
    assert np.allclose(copies[0].decrypt(), [1.0, 2.0], atol=1e-3)
    assert np.allclose(decrypted(copies[1]), [[3.0]], atol=1e-3)
    assert twin.is_private() and context.is_public()
    with pytest.raises(ValueError):
        vector.decrypt()


def test_bytes_that_cannot_be_read_leave_the_object_as_it_was() -> None:
    context = contexts().ours
    lazy = ts.lazy_ckks_vector_from(b"abc")
    with pytest.raises(ValueError):
        lazy.link_context(context)
    with pytest.raises(ValueError, match="missing context"):
        lazy.decrypt()
    assert lazy.serialize() == b"abc"


def test_a_deep_copy_without_a_context() -> None:
    context = contexts().ours
    lazy = copy.deepcopy(ts.lazy_ckks_vector_from(ts.ckks_vector(context, [1.0]).serialize()))
    lazy.link_context(context)
    assert np.allclose(lazy.decrypt(), [1.0], atol=1e-3)
