"""A tensor's operations in one call of the core: the bits of one element after the other, and the same errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import hetorch.tenseal as ts
from hetorch.engine import _native
from hetorch.tenseal.ckks.arithmetic import Arithmetic
from hetorch.tenseal.ckks.batched_ops import InOneCall
from hetorch.tenseal.ckks.element import Element
from hetorch.tenseal.scheme.batched_ops import OneByOne

Operation = Callable[[OneByOne, list[Element], list[Element]], list[Element]]
WEIGHTS = [0.5, -1.25, 3.0, 1e-3, 2.0, -0.75]

OPERATIONS: dict[str, Operation] = {
    "negate": lambda each, a, b: each.negate(a),
    "square": lambda each, a, b: each.square(a),
    "add": lambda each, a, b: each.add(a, b),
    "subtract": lambda each, a, b: each.subtract(a, b),
    "add constants": lambda each, a, b: each.add_constants(a, WEIGHTS),
    "products": lambda each, a, b: each.sums_of_products(a, b, 1),
    "sums of products": lambda each, a, b: each.sums_of_products(a, b, 3),
    "constants": lambda each, a, b: each.sums_of_constants(a, WEIGHTS, 1),
    "sums of constants": lambda each, a, b: each.sums_of_constants(a, WEIGHTS, 2),
}


@pytest.fixture
def context() -> ts.Context:
    made = ts.context(ts.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[30, 22, 22, 30])
    made.global_scale = 2.0**22
    return made


def fresh(arithmetic: Arithmetic, count: int = 6, seed: int = 0) -> list[Element]:
    rng = np.random.default_rng(seed)
    slots = arithmetic.context.parameters.slot_count
    return [arithmetic.encrypt(rng.uniform(-1, 1, slots)) for _ in range(count)]


def assert_same(seen: Sequence[Element], expected: Sequence[Element]) -> None:
    assert len(seen) == len(expected)
    for a, b in zip(seen, expected, strict=True):
        assert (a.label, a.core.scale, a.level) == (b.label, b.core.scale, b.level)
        assert np.array_equal(_native.ciphertext_rows(a.core), _native.ciphertext_rows(b.core))


def outcome(operation: Operation, each: OneByOne, a: list[Element], b: list[Element]) -> Any:
    try:
        return operation(each, a, b)
    except ValueError as error:
        return type(error), str(error)


@pytest.mark.parametrize("switches", [(True, True), (True, False), (False, True), (False, False)])
@pytest.mark.parametrize("state", ["fresh", "one level less", "levels mixed", "products on one side", "last"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_same_bits_and_errors(
    name: str, state: str, switches: tuple[bool, bool], context: ts.Context
) -> None:
    arithmetic = Arithmetic(context.data, context.global_scale)
    one_by_one, at_once = OneByOne(arithmetic), InOneCall(arithmetic)
    a, b = fresh(arithmetic, seed=1), fresh(arithmetic, seed=2)
    levels = {"one level less": 1, "last": 2}.get(state, 0)
    for _ in range(levels):
        a, b = one_by_one.square(a), one_by_one.square(b)
    if state == "levels mixed":
        a[2] = arithmetic.square(a[2])
    if state == "products on one side":
        b = one_by_one.square(b)
    context.auto_relin, context.auto_rescale = switches
    expected = outcome(OPERATIONS[name], one_by_one, a, b)
    seen = outcome(OPERATIONS[name], at_once, a, b)
    if isinstance(expected, tuple):
        assert seen[0] is expected[0], (seen, expected)
        return
    assert_same(seen, expected)


def test_weights_that_vanish_give_fresh_encryptions_of_zero(context: ts.Context) -> None:
    arithmetic = Arithmetic(context.data, context.global_scale)
    a = fresh(arithmetic)
    results = InOneCall(arithmetic).sums_of_constants(a, [0.0, 1.0, 1.0, 1.0, 1.0, 1e-30], 1)
    key = context.secret_key().data.native
    for result, weight in zip(results, [0, 1, 1, 1, 1, 0], strict=True):
        assert np.any(_native.ciphertext_rows(result.core)[1])
        if weight == 0:
            # N = 4096 at 22 bits: fresh errors are below 10 sigma sqrt(N) / 2^24.
            assert np.abs(key.decrypt(result.core)).max() < 10 * 3.3 * 64 / 2**22


def test_a_missing_key_and_an_empty_tensor(context: ts.Context) -> None:
    arithmetic = Arithmetic(context.data, context.global_scale)
    each = InOneCall(arithmetic)
    assert each.add([], []) == each.negate([]) == each.add_constants([], []) == []
    a = fresh(arithmetic, 2)
    context.data.set_relin_keys(None)
    with pytest.raises(ValueError, match="Relinearization"):
        each.sums_of_products(a, a, 1)


def test_lists_of_numbers_become_the_array_that_numpy_makes() -> None:
    for numbers in ([], [1.0, 2.5], (3, 4.5), [True, 2.0], [2**53 + 1, -0.0], [np.float64(0.1), 1]):
        assert np.array_equal(ts.plain_tensor(numbers).array, np.array(numbers, dtype=np.float64))
    refused: list[Any] = [["a"], [1.0, [2.0]], [1j], [10**400]]
    for wrong in refused:
        assert _native.array_of_reals(wrong) is None
        with pytest.raises(TypeError):
            ts.plain_tensor(wrong)
