"""Wrong use fails here as under TenSEAL: the same text, exactly the same type. test_every_refusal.py generates more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import tenseal

import hetorch.tenseal as ts
from hetorch.errors import SecurityError
from tests.tenseal.outcomes import outcome
from tests.tenseal.test_every_refusal import excused
from tests.tenseal.twins import contexts


class World:
    """What a case may use, under one package."""

    def __init__(self, package: Any, context: Any) -> None:
        self.ts = package
        self.context = context
        self.vector = package.ckks_vector(context, [1.0, 2.0, 3.0])
        self.tensor = package.ckks_tensor(context, [[1.0, 2.0], [3.0, 4.0]])

    def new(self, bits: list[int], degree: int = 8192, **options: Any) -> Any:
        return self.ts.context(
            self.ts.SCHEME_TYPE.CKKS, degree, coeff_mod_bit_sizes=bits, n_threads=1, **options
        )

    def without_keys(self) -> Any:
        context = self.new([60, 40, 60])
        context.global_scale = 2.0**40
        return context

    def deep(self) -> Any:
        """A vector without a level left."""
        return self.vector * self.vector * self.vector * self.vector

    def public(self) -> Any:
        context = self.context.copy()
        context.make_context_public()
        return context


Case = Callable[[World], Any]

CASES: dict[str, Case] = {
    "no scheme": lambda w: w.ts.context(),
    "scheme none": lambda w: w.ts.context(w.ts.SCHEME_TYPE.NONE, 8192, coeff_mod_bit_sizes=[60, 40, 60]),
    "modulus beyond every table": lambda w: w.new([60, 60, 60, 60]),
    "degree not a power of two": lambda w: w.new([40, 20, 40], 1000),
    "degree missing": lambda w: w.ts.context(w.ts.SCHEME_TYPE.CKKS, None, coeff_mod_bit_sizes=[40, 20, 40]),
    "prime too large": lambda w: w.new([61, 40, 60]),
    "no such primes": lambda w: w.new([2, 40, 60]),
    "too few primes": lambda w: w.new([20] * 6),
    "no special prime": lambda w: w.new([60]),
    "not an encryption type": lambda w: w.new([60, 40, 60], encryption_type="public"),
    "bfv without plain modulus": lambda w: w.ts.context(w.ts.SCHEME_TYPE.BFV, 8192),
    "no global scale": lambda w: w.ts.ckks_vector(w.new([60, 40, 60]), [1.0]),
    "negative global scale": lambda w: setattr(w.context.copy(), "global_scale", -1),
    "global scale of a wrong type": lambda w: setattr(w.context.copy(), "global_scale", "2"),
    "context of a wrong type": lambda w: w.ts.ckks_vector(None, [1.0]),
    "empty vector": lambda w: w.ts.ckks_vector(w.context, []),
    "matrix as a vector": lambda w: w.ts.ckks_vector(w.context, [[1.0]]),
    "ragged": lambda w: w.ts.ckks_vector(w.context, [[1.0], [1.0, 2.0]]),
    "value too large": lambda w: w.ts.ckks_vector(w.context, [1e60]),
    "scale too large": lambda w: w.ts.ckks_vector(w.context, [1.0], scale=2.0**200),
    "scale below zero": lambda w: w.ts.ckks_vector(w.context, [1.0], scale=-1),
    "tensor of scale zero": lambda w: w.ts.ckks_tensor(w.context, [1.0], scale=0.0),
    "tensor of scale below zero": lambda w: w.ts.ckks_tensor(w.context, [1.0], scale=-1.0),
    "scale of a wrong type": lambda w: w.ts.ckks_vector(w.context, [1.0], scale="2"),
    "scale beyond doubles": lambda w: setattr(w.context.copy(), "global_scale", 10**400),
    "degree below zero": lambda w: w.new([40, 20, 40], -4096),
    "no default primes": lambda w: w.new([], 2048),
    "more primes than there are": lambda w: w.new([20] * 80, 32768),
    "switch of a wrong type": lambda w: setattr(w.context.copy(), "auto_relin", "no"),
    "serialise what": lambda w: w.context.serialize(save_galois_keys="yes"),
    "threads below zero": lambda w: w.ts.context_from(w.context.serialize(save_galois_keys=False), -1),
    "threads of a wrong type": lambda w: w.ts.context_from(w.context.serialize(save_galois_keys=False), "2"),
    "scale zero": lambda w: w.ts.ckks_vector(w.context, [1.0], scale=0),
    "batch beyond the slots": lambda w: w.ts.ckks_tensor(w.context, np.zeros(5000), batch=True),
    "a string": lambda w: w.vector + "abc",
    "none": lambda w: w.vector + None,
    "two dimensions": lambda w: w.vector + [[1.0, 2.0]],  # noqa: RUF005
    "plain of another size": lambda w: w.vector + [1.0, 2.0],  # noqa: RUF005
    "encrypted of another size": lambda w: w.vector + w.ts.ckks_vector(w.context, [1.0, 2.0]),
    "a tensor": lambda w: w.vector + w.tensor,
    "a vector for a tensor": lambda w: w.tensor + w.vector,
    "division": lambda w: w.vector / 2,
    "integer beyond doubles": lambda w: w.vector + 10**400,
    "integer beyond doubles for a tensor": lambda w: w.tensor * 10**400,
    "power beyond 32 bits": lambda w: w.vector**2**32,
    "power beyond everything": lambda w: w.tensor ** (10**400),
    "coefficient beyond doubles": lambda w: w.vector.polyval([1, 10**400]),
    "coefficients of words": lambda w: w.vector.polyval(["1", "2"]),
    "negative axis of a vector": lambda w: w.vector.sum(-1),
    "no axis": lambda w: w.vector.sum(None),
    "shape of a word": lambda w: w.tensor.reshape("4"),
    "shape of floats": lambda w: w.tensor.reshape([4.0]),
    "huge scalar": lambda w: w.vector * 1e300,
    "not a number": lambda w: w.vector * float("nan"),
    "scales differ": lambda w: w.vector + w.ts.ckks_vector(w.context, [1.0, 2.0, 3.0], scale=2.0**30),
    "no level left": lambda w: w.deep(),
    "power too high": lambda w: w.vector**5,
    "negative power": lambda w: w.vector**-1,
    "broken power": lambda w: w.vector**1.5,
    "empty polynomial": lambda w: w.vector.polyval([]),
    "polynomial of a wrong type": lambda w: w.vector.polyval("ab"),
    "matrix of a wrong shape": lambda w: w.vector.mm([[1.0, 2.0]]),
    "vector for a matrix": lambda w: w.vector.mm([1.0, 2.0, 3.0]),
    "dot with a number": lambda w: w.vector.dot(2),
    "dot with another size": lambda w: w.vector.dot([1.0, 2.0]),
    "pack of different sizes": lambda w: w.ts.CKKSVector.pack_vectors(
        [w.vector, w.ts.ckks_vector(w.context, [1.0])]
    ),
    "pack of a list": lambda w: w.ts.CKKSVector.pack_vectors([w.vector, [1.0]]),
    "no windows": lambda w: w.vector.conv2d_im2col([[1.0]], 0),
    "kernel of a wrong size": lambda w: w.vector.conv2d_im2col([[1.0, 2.0]], 3),
    "kernel of one dimension": lambda w: w.vector.conv2d_im2col([1.0, 2.0], 3),
    "image of one dimension": lambda w: w.ts.im2col_encoding(w.context, [1.0, 2.0], 2, 2, 1),
    "image without a context": lambda w: w.ts.im2col_encoding(3, [[1.0]], 1, 1, 1),
    "chunked product": lambda w: w.ts.ckks_vector(w.context, [1.0] * 5000).mm([[1.0]] * 5000),
    "shapes that do not broadcast": lambda w: w.tensor + [1.0, 2.0, 3.0],  # noqa: RUF005
    "axis beyond the shape": lambda w: w.tensor.sum(2),
    "negative axis": lambda w: w.tensor.sum(-1),
    "matrices that do not fit": lambda w: w.tensor.mm([[1.0, 2.0]]),
    "dot of three dimensions": lambda w: w.tensor.dot([[[1.0]]]),
    "dot of a tensor with a number": lambda w: w.tensor.dot(2),
    "sum of no batch": lambda w: w.tensor.sum_batch(),
    "reshape of another size": lambda w: w.tensor.reshape([3, 2]),
    "broadcast to another size": lambda w: w.tensor.broadcast([3, 3]),
    "no galois keys": lambda w: w.ts.ckks_vector(w.without_keys(), [1.0, 2.0]).sum(),
    "no galois keys for mm": lambda w: w.ts.ckks_vector(w.without_keys(), [1.0, 2.0]).mm([[1.0], [1.0]]),
    "keys that are not there": lambda w: w.without_keys().galois_keys(),
    "decrypt without the key": lambda w: w.ts.ckks_vector(w.public(), [1.0]).decrypt(),
    "decrypt with something else": lambda w: w.vector.decrypt(5),
    "secret key of a public context": lambda w: w.public().secret_key(),
    "keys from a public context": lambda w: w.public().generate_galois_keys(),
    "keys from something else": lambda w: w.context.copy().generate_relin_keys(5),
    "symmetric has no public key": lambda w: w.new(
        [60, 40, 60], encryption_type=w.ts.ENCRYPTION_TYPE.SYMMETRIC
    ).public_key(),
    "symmetric cannot be public": lambda w: w.new(
        [60, 40, 60], encryption_type=w.ts.ENCRYPTION_TYPE.SYMMETRIC
    ).make_context_public(),
    "bytes that are no vector": lambda w: w.ts.ckks_vector_from(w.context, b"abc"),
    "vector bytes without a context": lambda w: w.ts.ckks_vector_from(3, b"abc"),
    "bytes that are no context": lambda w: w.ts.context_from(b"abc"),
    "no bytes": lambda w: w.ts.context_from(5),
    "lazy vector without a context": lambda w: w.ts.lazy_ckks_vector_from(w.vector.serialize()).decrypt(),
    "a vector of no context and another": lambda w: (
        w.ts.lazy_ckks_vector_from(w.vector.serialize()) + w.vector
    ),
    "a vector and one of no context": lambda w: w.vector * w.ts.lazy_ckks_vector_from(w.vector.serialize()),
    "a tensor of no context and another": lambda w: (
        w.ts.lazy_ckks_tensor_from(w.tensor.serialize()) + w.tensor
    ),
    "pack of no context": lambda w: w.ts.CKKSVector.pack_vectors(
        [w.ts.lazy_ckks_vector_from(w.vector.serialize())] * 2
    ),
    "vector bytes of a context": lambda w: w.ts.ckks_vector_from(
        w.context, w.context.serialize(save_galois_keys=False)
    ),
    "no bytes for a context": lambda w: w.ts.context_from(b""),
    "context of a string": lambda w: w.ts.context_from("abc"),
    "plain bytes that are none": lambda w: w.ts.plain_tensor_from(b"abc"),
    "wrapped something": lambda w: w.ts.CKKSVector(data=3),
    "data of a tensor for a vector": lambda w: setattr(w.vector.copy(), "data", w.tensor.data),
    "plain index": lambda w: w.ts.plain_tensor([1.0]).at([3]),
    "plain index too short": lambda w: w.ts.plain_tensor([[1.0]]).at([0]),
    "plain batch": lambda w: w.ts.plain_tensor([1.0]).batch(1),
    "plain dtype": lambda w: w.ts.plain_tensor([1.0], dtype="double"),
    "plain ragged": lambda w: w.ts.plain_tensor([[1.0], [1.0, 2.0]]),
    "plain shape": lambda w: w.ts.plain_tensor([1.0], shape=[2]),
    "plain reshape": lambda w: w.ts.plain_tensor([1.0]).reshape([2]),
    "plain broadcast": lambda w: w.ts.plain_tensor([1.0, 2.0]).broadcast([3]),
    "plain bytes": lambda w: w.ts.plain_tensor_from(5),
}


@pytest.fixture(scope="module")
def worlds() -> tuple[World, World]:
    pair = contexts()
    return World(tenseal, pair.theirs), World(ts, pair.ours)


@pytest.mark.parametrize("case", CASES)
def test_same_exception(case: str, worlds: tuple[World, World]) -> None:
    theirs, ours = worlds
    expected, seen = outcome(theirs, CASES[case]), outcome(ours, CASES[case])
    assert "ok" not in (expected, seen)
    assert seen == expected or excused(case, expected, seen)


@pytest.mark.parametrize("bits", [[60, 40, 40, 60], [40, *[21] * 6, 40], [31, *[26] * 6, 31]])
def test_the_tutorials_parameters_work_and_warn_once(bits: list[int]) -> None:
    import warnings

    from hetorch.errors import LegacySecurityWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=bits)
    beyond = sum(bits) > 214
    assert [w.category for w in caught] == [LegacySecurityWarning] * beyond
    if beyond:
        assert "2018" in str(caught[0].message)
        assert caught[0].filename == __file__
        with pytest.raises(SecurityError):
            ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=bits, security="128")
    context.global_scale = 2.0 ** sorted(bits)[0]
    assert ts.ckks_vector(context, [0.5]).decrypt()[0] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("degree", [4096, 8192, 16384, 32768])
@pytest.mark.parametrize("bits", [[40, 20, 40], [36, 30, 30], [50, 25, 34], []])
def test_primes_are_seals(degree: int, bits: list[int]) -> None:
    import seal

    from hetorch.tenseal.ckks.parameters import ckks_parameters

    if bits:
        expected = [prime.value() for prime in seal.CoeffModulus.Create(degree, bits)]
    else:
        expected = [prime.value() for prime in seal.CoeffModulus.BFVDefault(degree)]
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        parameters = ckks_parameters(degree, bits)
    assert [*parameters.modulus_chain, *parameters.special_primes] == expected


@pytest.mark.parametrize("bits", [[60, 40, 40, 40], [60, 40, 40]])
def test_a_special_prime_below_the_others_warns_and_keeps_what_products_need(bits: list[int]) -> None:
    """Relinearisations and matrix products meet the noise of a key switch before the rescale; as good as TenSEAL's."""
    from hetorch.errors import KeySwitchNoiseWarning

    with pytest.warns(KeySwitchNoiseWarning, match="the last prime has 40 bits, the largest 60") as caught:
        context = ts.context(ts.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=bits)
    assert [w.filename for w in caught] == [__file__]
    context.global_scale = 2.0**40
    context.generate_galois_keys()
    rng = np.random.default_rng(4)
    x, matrix = rng.uniform(-1, 1, 20), rng.uniform(-1, 1, (20, 7))
    vector = ts.ckks_vector(context, x)
    # A key switch at scale 2^80 with digits of 60 bits over P = 2^40 leaves 2^20 times 8 N in a slot, once a row.
    bound = 20 * 2.0**20 * 8 * 8192 / 2.0**80 + 20 * contexts().unit
    assert np.abs(np.array((vector * vector).decrypt()) - x * x).max() < bound
    assert np.abs(np.array(vector.mm(matrix).decrypt()) - x @ matrix).max() < bound
    theirs = tenseal.context(tenseal.SCHEME_TYPE.CKKS, 8192, coeff_mod_bit_sizes=bits, n_threads=1)
    theirs.global_scale = 2.0**40
    with pytest.warns(KeySwitchNoiseWarning):
        public = ts.context_from(theirs.serialize())
    read = ts.ckks_vector_from(public, tenseal.ckks_vector(theirs, x).serialize())
    back = tenseal.ckks_vector_from(theirs, (read * x).serialize())
    assert np.abs(np.array(back.decrypt()) - x * x).max() < bound + contexts().drift
