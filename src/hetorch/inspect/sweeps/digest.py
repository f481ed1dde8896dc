"""A SHA-256 of data of any of the kinds that a captured network, its inputs and its options have."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from enum import Enum

import numpy as np
from scipy import sparse

from hetorch.ir.tensor_program import Activation

GRID = np.linspace(-4.0, 4.0, 33)
"""Places at which a user's function is asked for its values, which stand for it in a digest. More of them tell more
functions apart."""


def digest(value: object) -> str:
    """Return the SHA-256 (hex) of a value: equal values have equal digests, in every process on this machine.

    Raises:
        TypeError: the value holds something that is none of numbers, text, arrays, enumerations, dataclasses,
            sequences and mappings.
    """
    state = hashlib.sha256()
    for piece in _pieces(value):
        state.update(len(piece).to_bytes(8, "little") + piece)
    return state.hexdigest()


def _pieces(value: object) -> Iterator[bytes]:
    """Yield the parts of a value in order, each with its kind."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Enum):
        value = value.value
    if value is None or isinstance(value, bool | int | str):
        yield f"{type(value).__name__} {value}".encode()
    elif isinstance(value, float):
        yield f"float {value.hex()}".encode()
    elif isinstance(value, bytes):
        yield b"bytes " + value
    elif isinstance(value, np.ndarray) and value.dtype != object:
        yield f"array {value.dtype.str} {value.shape}".encode()
        yield value.tobytes()
    elif isinstance(value, sparse.csr_array):
        yield f"sparse {value.shape}".encode()
        for part in (value.data, value.indices, value.indptr):
            yield from _pieces(np.asarray(part))
    elif isinstance(value, Mapping):
        yield f"mapping {len(value)}".encode()
        for key, part in value.items():
            yield from _pieces(key)
            yield from _pieces(part)
    elif isinstance(value, tuple | list | np.ndarray):
        yield f"sequence {len(value)}".encode()
        for part in value:
            yield from _pieces(part)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        yield f"record {type(value).__name__}".encode()
        for field in dataclasses.fields(value):
            part = getattr(value, field.name)
            yield field.name.encode()
            yield from _pieces(_values_of(value) if callable(part) else part)
    else:
        raise TypeError(f"no digest of {type(value).__name__}")


def _values_of(activation: object) -> object:
    """Return the values of an activation's function, which stand for the function."""
    if not isinstance(activation, Activation):
        raise TypeError(f"no digest of a function in {type(activation).__name__}")
    apply: Callable[[np.ndarray], np.ndarray] = activation.apply
    with np.errstate(all="ignore"):
        values = np.asarray(apply(np.repeat(GRID[:, None], math.prod(activation.shape), axis=1)))
    return values
