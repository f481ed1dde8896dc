"""What hetorch refuses on purpose, where TenSEAL computes numbers without meaning, and what it has beyond TenSEAL."""

from __future__ import annotations

import copy
import pickle  # noqa: TID251  # the tests try what users try
import warnings
from typing import Any

import numpy as np
import pytest

import hetorch.tenseal as ts
from hetorch.params.checks import MAX_RING_DEGREE

pytestmark = pytest.mark.filterwarnings("ignore::hetorch.errors.LegacySecurityWarning")

VALUES = [1.0, 2.0, 3.0]


def make() -> Any:
    context = ts.context(ts.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[36, 30, 36])
    context.global_scale = 2.0**30
    return context


@pytest.fixture(scope="module")
def pair() -> tuple[Any, Any]:
    """Two owners with the same parameters."""
    return make(), make()


def bfv() -> Any:
    return ts.context(ts.SCHEME_TYPE.BFV, 4096, 1032193)


def test_ciphertexts_of_two_keys_do_not_meet(pair: tuple[Any, Any]) -> None:
    first, second = pair
    a, b = ts.ckks_vector(first, VALUES), ts.ckks_vector(second, VALUES)
    with pytest.raises(ValueError, match=r"^can't add vectors that have different contexts"):
        a + b
    with pytest.raises(ValueError, match="different contexts"):
        ts.ckks_tensor(first, VALUES) * ts.ckks_tensor(second, VALUES)
    with pytest.raises(ValueError, match="different contexts"):
        ts.CKKSVector.pack_vectors([a, b])
    one, other = bfv(), bfv()
    with pytest.raises(ValueError, match="different contexts"):
        ts.bfv_vector(one, [1]) + ts.bfv_vector(other, [1])


def test_ciphertexts_of_one_key_meet_under_every_copy_of_its_context(pair: tuple[Any, Any]) -> None:
    first = pair[0]
    a = ts.ckks_vector(first, VALUES)
    private = ts.context_from(first.serialize(save_secret_key=True))
    public = ts.context_from(first.serialize())
    keyless = ts.context_from(first.serialize(save_public_key=False))
    for context in (first.copy(), copy.deepcopy(first), private, public, keyless):
        total = a + ts.ckks_vector_from(context, a.serialize())
        assert np.allclose(total.decrypt(first.secret_key()), np.array(VALUES) * 2, atol=1e-3)
    symmetric = ts.context(
        ts.SCHEME_TYPE.CKKS,
        4096,
        coeff_mod_bit_sizes=[36, 30, 36],
        encryption_type=ts.ENCRYPTION_TYPE.SYMMETRIC,
    )
    symmetric.global_scale = 2.0**30
    again = ts.context_from(symmetric.serialize(save_secret_key=True, save_public_key=False))
    x, y = ts.ckks_vector(symmetric, VALUES), ts.ckks_vector(again, VALUES)
    assert np.allclose((x + y).decrypt(), np.array(VALUES) * 2, atol=1e-3)


def test_another_key_decrypts_nothing(pair: tuple[Any, Any]) -> None:
    first, second = pair
    a = ts.ckks_vector(first, VALUES)
    t = ts.ckks_tensor(first, [VALUES], batch=True)
    for action in (
        lambda: ts.ckks_vector_from(second, a.serialize()).decrypt(),
        lambda: a.decrypt(second.secret_key()),
        lambda: (a * 1.0).decrypt(second.secret_key()),
        lambda: t.decrypt(second.secret_key()),
        lambda: second.decryptor().data.decrypt(a.ciphertext()[0]),
    ):
        with pytest.raises(ValueError, match=r"^the ciphertext does not decrypt under this key") as seen:
            action()
        assert "another key" in seen.value.__notes__[0]


def test_values_near_the_modulus_decrypt(pair: tuple[Any, Any]) -> None:
    """At level 0 the modulus is 2^36 and the scale 2^30: values in all slots up to 1 make coefficients far below it."""
    first = pair[0]
    rng = np.random.default_rng(1)
    signs = rng.choice([-1.0, 1.0], 2048)
    for values in (signs, np.full(2048, 15.0), rng.uniform(-1, 1, 2048)):
        x = ts.ckks_vector(first, values) * 1.0
        assert np.allclose(x.decrypt(), values, atol=1e-2)


def test_bfv_beyond_its_noise_budget(pair: tuple[Any, Any]) -> None:
    context, other = bfv(), bfv()
    v = ts.bfv_vector(context, [2])
    assert (v * v).decrypt() == [4]
    with pytest.raises(ValueError, match="noise budget is 0"):
        (v * v * v).decrypt()
    with pytest.raises(ValueError, match="noise budget is 0"):
        v.decrypt(other.secret_key())


def test_pickling_names_serialize(pair: tuple[Any, Any]) -> None:
    context = pair[0]
    things = [context, ts.ckks_vector(context, VALUES), ts.ckks_tensor(context, VALUES), context.secret_key()]
    for thing in things:
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            with pytest.raises(TypeError, match=rf"cannot pickle '{type(thing).__name__}' object.*serialize"):
                pickle.dumps([thing], protocol)
    assert pickle.loads(pickle.dumps(ts.plain_tensor(VALUES).tolist())) == VALUES


def test_seals_objects() -> None:
    """The figures that TenSEAL's objects behind `data` tell, from the same parameters."""
    import tenseal

    for scheme, arguments in (("CKKS", (0, [36, 30, 36])), ("BFV", (1032193, [36, 36, 37]))):
        theirs, ours = (
            package.context(getattr(package.SCHEME_TYPE, scheme), 4096, *arguments)
            for package in (tenseal, ts)
        )
        for context in (theirs, ours):
            context.generate_galois_keys()
        for read in (
            lambda c: c.seal_context().data.key_context_data().parms().poly_modulus_degree(),
            lambda c: c.seal_context().data.key_parms_id(),
            lambda c: c.seal_context().data.first_parms_id(),
            lambda c: c.seal_context().data.last_parms_id(),
            lambda c: c.seal_context().data.parameters_set(),
            lambda c: c.seal_context().data.using_keyswitching(),
            lambda c: c.seal_context().data.first_context_data().chain_index(),
            lambda c: c.seal_context().data.key_context_data().total_coeff_modulus_bit_count(),
            lambda c: c.seal_context().data.key_context_data().prev_context_data(),
            lambda c: c.seal_context().data.last_context_data().next_context_data(),
            lambda c: c.seal_context().data.get_context_data([0, 0, 0, 0]),
            lambda c: c.public_key().data.data().poly_modulus_degree(),
            lambda c: c.public_key().data.data().coeff_modulus_size(),
            lambda c: c.public_key().data.data().size(),
            lambda c: c.public_key().data.data().is_ntt_form(),
            lambda c: c.public_key().data.parms_id(),
            lambda c: c.secret_key().data.data().coeff_count(),
            lambda c: c.secret_key().data.parms_id(),
            lambda c: c.relin_keys().data.size(),
            lambda c: (c.relin_keys().data.has_key(2), c.relin_keys().data.has_key(3)),
            lambda c: c.relin_keys().data.parms_id(),
            lambda c: c.galois_keys().data.has_key(3),
            lambda c: c.galois_keys().data.get_index(3),
            lambda c: c.galois_keys().data.parms_id(),
        ):
            assert read(ours) == read(theirs)
        assert ours.secret_key().data is not None and "4096" in repr(ours.secret_key().data)


def test_the_global_scale_may_be_0() -> None:
    context = make()
    context.global_scale = 0
    assert context.global_scale == 0
    with pytest.raises(ValueError, match=r"^scale out of bounds"):
        ts.ckks_vector(context, VALUES)


@pytest.mark.parametrize("degree", [4096, MAX_RING_DEGREE])
def test_a_matrix_too_large_is_told_what_to_do(degree: int) -> None:
    """At the largest ring too, where there is no larger one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context = ts.context(ts.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=[36, 30, 36])
    context.global_scale = 2.0**30
    size = degree // 2 + 1
    encrypted = ts.enc_matmul_encoding(context, np.ones((size, 1)))
    with pytest.raises(ValueError, match=r"^can't execute enc_matmul_plain on chunked vectors") as seen:
        encrypted.enc_matmul_plain([1.0], size)
    (advice,) = seen.value.__notes__
    assert "cut the matrix into blocks of rows" in advice
    assert (f"poly_modulus_degree={2 * degree}" in advice) == (degree < MAX_RING_DEGREE)
    with pytest.raises(ValueError, match="does not fit") as seen:
        ts.ckks_vector(context, [1.0]).mm(np.ones((1, size)))
    assert "blocks of columns" in seen.value.__notes__[0]
