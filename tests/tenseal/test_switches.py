"""The automatic steps turned off: the same values, levels and refusals under TenSEAL and here."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import tenseal

import hetorch.tenseal as ts
from tests.tenseal.twins import Pair, contexts, decrypted

VALUES = [1.0, 2.0, -1.5, 0.5]
MATRIX = np.linspace(-1, 1, 8).reshape(4, 2)
SQUARE = np.linspace(-1, 1, 4).reshape(2, 2)
Case = Callable[[Any, Any], Any]

# From a vector and a tensor of the same values.
CASES: dict[str, Case] = {
    "product": lambda v, t: v * v,
    "product of three": lambda v, t: v * v * v,
    "product of products": lambda v, t: (v * v) * (v * v),
    "square of a square": lambda v, t: v.square().square(),
    "power": lambda v, t: v**3,
    "polynomial": lambda v, t: v.polyval([1.0, 0.5, 0.25, 0.125]),
    "linear polynomial": lambda v, t: v.polyval([1.0, 1.0]),
    "product and one operand": lambda v, t: v * v + v,
    "product and a number": lambda v, t: v * v + 1,
    "product and a list": lambda v, t: v * v - VALUES,
    "product of three less one of two": lambda v, t: v * v * v - v * v,
    "minus a product of three": lambda v, t: -(v * v * v) + 1,
    "number": lambda v, t: v * 2,
    "number twice": lambda v, t: v * 2 * 2,
    "zero and one": lambda v, t: v * 0 + 1,
    "list after a product": lambda v, t: v * v * VALUES,
    "dot": lambda v, t: v.dot(v),
    "dot plain": lambda v, t: v.dot(VALUES) + [1.0],  # noqa: RUF005
    "sum of a product": lambda v, t: (v * v).sum(),
    "matrix": lambda v, t: v.mm(MATRIX),
    "matrix after a matrix": lambda v, t: v.mm(MATRIX).mm(SQUARE),
    "matrix after a product": lambda v, t: (v * v).mm(MATRIX),
    "convolution": lambda v, t: v.conv2d_im2col([[1.0, 2.0]], 2),
    "packed": lambda v, t: type(v).pack_vectors([v, v]),
    "tensor product": lambda v, t: t * t,
    "tensor product of products": lambda v, t: (t * t) * (t * t),
    "tensor matrix": lambda v, t: t.mm(t),
    "tensor matrix of a matrix": lambda v, t: t.mm(t).mm(t),
    "tensor matrix and a number": lambda v, t: t.mm(t) + 1,
    "tensor product and one operand": lambda v, t: t * t + t,
    "tensor zero": lambda v, t: t * 0,
    "tensor plain": lambda v, t: t * SQUARE,
}
SWITCHES = ("auto_relin", "auto_rescale", "auto_mod_switch")


@lru_cache(maxsize=2)
def switched_off(context: Any, switch: str) -> Any:
    copy = context.copy()
    setattr(copy, switch, False)
    return copy


def outcome(package: Any, context: Any, switch: str, case: Case) -> Any:
    """Decrypted values, or the builtin class of the error."""
    context = switched_off(context, switch)
    vector = package.ckks_vector(context, VALUES)
    tensor = package.ckks_tensor(context, np.reshape(VALUES, (2, 2)))
    try:
        return decrypted(case(vector, tensor))
    except Exception as error:
        return next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")


def pair_for(switch: str) -> Pair:
    """Products that are not relinearised meet s^4, and need wider scales to show their values."""
    return contexts((60, 50, 50, 60), 50, 16384) if switch == "auto_relin" else contexts()


def bound(pair: Pair, switch: str) -> float:
    """Values up to 2 and powers up to 4: 16 in size, at most four products of four terms each.

    Without relinearisation a rescale leaves a rounding, of standard deviation sqrt(N / 12) in a slot, on each part up
    to the one that meets s^4. In a slot |s|^2 is exponential with mean 2N / 3: above 16 of it once in 10^7.
    """
    usual = 4 * 4 * 32 * pair.unit + 16 * 4 * pair.drift
    if switch != "auto_relin":
        return usual
    degree = pair.ours.seal_context().data.native.ring_degree
    return usual + float(6 * np.sqrt(degree / 12) * (16 * 2 * degree / 3) ** 2 / pair.ours.global_scale)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("switch", SWITCHES)
def test_one_switch_off(name: str, switch: str) -> None:
    pair = pair_for(switch)
    theirs = outcome(tenseal, pair.theirs, switch, CASES[name])
    ours = outcome(ts, pair.ours, switch, CASES[name])
    if isinstance(theirs, type):
        assert ours is theirs
        return
    assert isinstance(ours, np.ndarray) and ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() <= bound(pair, switch)


def test_each_switch_changes_what_is_refused() -> None:
    """That the comparison above is one of values and of errors."""
    pair = contexts()
    for switch in SWITCHES:
        seen = [outcome(ts, pair.ours, switch, case) for case in CASES.values()]
        assert any(isinstance(each, type) for each in seen)
        assert sum(isinstance(each, np.ndarray) for each in seen) > len(CASES) // 2


@pytest.mark.parametrize("name", ["product of three", "product of products"])
def test_products_that_were_not_relinearised_travel(name: str) -> None:
    """Ciphertexts of four and five parts, as bytes, in both directions."""
    pair = pair_for("auto_relin")
    for package, context, other in ((ts, pair.ours, tenseal), (tenseal, pair.theirs, ts)):
        context = context.copy()
        context.auto_relin = False
        data = CASES[name](package.ckks_vector(context, VALUES), None).serialize()
        read = other.context_from(context.serialize(save_secret_key=True))
        exact = np.array(VALUES) ** (3 if name == "product of three" else 4)
        assert np.abs(decrypted(other.ckks_vector_from(read, data)) - exact).max() <= bound(
            pair, "auto_relin"
        )


def test_what_has_more_than_three_parts_is_not_relinearised() -> None:
    """SEAL has keys for the square of s alone, and so have we."""
    pair = contexts()
    for package, context in ((ts, pair.ours), (tenseal, pair.theirs)):
        context = context.copy()
        context.auto_relin = False
        v = package.ckks_vector(context, VALUES)
        cube = v * v * v
        context.auto_relin = True
        with pytest.raises(ValueError):
            cube * v


def test_a_product_has_an_end() -> None:
    context = contexts().ours.copy()
    context.auto_relin = context.auto_rescale = False
    v = ts.ckks_vector(context, [1.0], 2.0**4)
    for _ in range(14):
        v = v * ts.ckks_vector(context, [1.0], 2.0**4)
    assert v.ciphertext()[0].size == 16
    with pytest.raises(ValueError, match="17 parts"):
        v * ts.ckks_vector(context, [1.0], 2.0**4)
