"""What may stand on either side of an operator gives the same under TenSEAL and here, or the same kind of error."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import tenseal
import torch
from numpy.typing import NDArray

import hetorch.tenseal as ts
from tests.tenseal.twins import contexts

VALUES = {"ckks_vector": [1.0, 2.0, 3.0], "ckks_tensor": [[1.0, 2.0], [3.0, 4.0]]}
OTHERS = {"ckks_vector": [4.0, 5.0, 6.0], "ckks_tensor": [[4.0, 5.0], [6.0, 7.0]]}
# From the right operand's list and the package: the operand.
OPERANDS: dict[str, Callable[[Any, Any], Any]] = {
    "list": lambda other, _: other,
    "tuple": lambda other, _: tuple(other),
    "float64 array": lambda other, _: np.array(other),
    "float32 array": lambda other, _: np.array(other, dtype=np.float32),
    "int array": lambda other, _: np.array(other).astype(np.int64),
    "torch tensor": lambda other, _: torch.tensor(other),
    "plain tensor": lambda other, package: package.plain_tensor(other),
    "one row": lambda *_: [1.0, 2.0],
    "int": lambda *_: 2,
    "float": lambda *_: 2.5,
    "bool": lambda *_: True,
    "numpy float64": lambda *_: np.float64(2.5),
    "numpy float32": lambda *_: np.float32(2.5),
    "numpy int64": lambda *_: np.int64(2),
    "torch number": lambda *_: torch.tensor(2.5),
    "list of words": lambda *_: ["a", "b", "c"],
    "complex": lambda *_: 1j,
    "word": lambda *_: "a",
    "nothing": lambda *_: None,
}


def added(x: Any, operand: Any) -> Any:
    result = x.copy()
    result += operand
    return result


def subtracted(x: Any, operand: Any) -> Any:
    result = x.copy()
    result -= operand
    return result


def multiplied(x: Any, operand: Any) -> Any:
    result = x.copy()
    result *= operand
    return result


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "x + o": lambda x, o: x + o,
    "o + x": lambda x, o: o + x,
    "x - o": lambda x, o: x - o,
    "o - x": lambda x, o: o - x,
    "x * o": lambda x, o: x * o,
    "o * x": lambda x, o: o * x,
    "x += o": added,
    "x -= o": subtracted,
    "x *= o": multiplied,
}


@lru_cache(maxsize=4)
def encrypted(kind: str) -> tuple[Any, Any]:
    pair = contexts()
    values = VALUES[kind]
    return getattr(tenseal, kind)(pair.theirs, values), getattr(ts, kind)(pair.ours, values)


def outcome(operation: Callable[[Any, Any], Any], x: Any, operand: Any) -> object:
    """Decrypted values, or the builtin class of the error."""
    try:
        return decrypted(operation(x, operand))
    except Exception as error:
        return next(cls for cls in type(error).__mro__ if cls.__module__ == "builtins")


def decrypted(result: Any) -> NDArray[np.float64]:
    # numpy takes an encrypted tensor on its right for a number, and makes an array of sums.
    if isinstance(result, np.ndarray):
        return np.array([decrypted(part) for part in result.ravel()])
    values = result.decrypt()
    return np.array(values if isinstance(values, list) else values.tolist())


@pytest.mark.parametrize("operation", OPERATORS)
@pytest.mark.parametrize("kind", VALUES)
def test_operands(kind: str, operation: str) -> None:
    pair = contexts()
    theirs, ours = encrypted(kind)
    for name, make in OPERANDS.items():
        expected = outcome(OPERATORS[operation], theirs, make(OTHERS[kind], tenseal))
        seen = outcome(OPERATORS[operation], ours, make(OTHERS[kind], ts))
        if not isinstance(expected, np.ndarray):
            assert seen is expected, name
            continue
        assert isinstance(seen, np.ndarray) and seen.shape == expected.shape, name
        # Products of values up to 7: a unit for each factor, its rounding, and what TenSEAL is off in scale.
        assert np.abs(seen - expected).max() <= 2 * (2 * 7 + 2) * pair.unit + 28 * pair.drift, name


def test_some_of_each_are_accepted_and_refused() -> None:
    """That the comparison above is one of values and of errors."""
    _, ours = encrypted("ckks_vector")
    assert isinstance(outcome(operator.add, ours, [4.0, 5.0, 6.0]), np.ndarray)
    assert outcome(operator.add, ours, "a") is TypeError
    assert outcome(operator.add, ours, [1.0, 2.0]) is ValueError
