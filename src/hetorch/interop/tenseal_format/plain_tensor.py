"""TenSEAL's plain tensors: JSON of nested lists of numbers."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError, WireError
from hetorch.interop.seal_format.stream import Bytes

MAX_DIMENSIONS = 64
"""Most dimensions of a plain tensor: numpy's own limit."""

PlainArray = NDArray[np.float64] | NDArray[np.int64]


def dump_plain_tensor(array: PlainArray) -> bytes:
    """Write a tensor of doubles or of integers as TenSEAL does; InputError for other types, NaN and infinity."""
    if array.dtype not in (np.float64, np.int64):
        raise InputError(f"a plain tensor has doubles or 64-bit integers, got {array.dtype}")
    if array.dtype == np.float64 and not np.all(np.isfinite(array)):
        raise InputError("a plain tensor holds NaN or infinity, which its format cannot express")
    return json.dumps(array.tolist(), separators=(",", ":")).encode("ascii")


def load_plain_tensor(data: Bytes, *, integers: bool = False) -> PlainArray:
    """Read TenSEAL's bytes as float64, or as int64 with `integers`.

    WireError unless they are lists of numbers, all of one shape, with at most 64 dimensions.
    """
    what = "TenSEAL's plain tensor"
    text = bytes(data)
    start = text[: MAX_DIMENSIONS + 1].lstrip()
    if not start.startswith(b"[") or start.startswith(b"[" * (MAX_DIMENSIONS + 1)):
        raise WireError(f"{what} is not a list of at most {MAX_DIMENSIONS} dimensions")
    # numpy gives every number the room of the longest text beside it: megabytes would become terabytes.
    if b'"' in text:
        raise WireError(f"{what} holds text, expected numbers")
    try:
        values = json.loads(text)
        # A later entry that is deeper than the first one makes the list ragged: numpy refuses it.
        array = np.array(values)
    except (ValueError, RecursionError, OverflowError) as error:
        raise WireError(f"{what} cannot be read: {str(error)[:200]}") from None
    if array.dtype.kind not in "if" or array.size == 0 or (integers and array.dtype.kind != "i"):
        raise WireError(f"{what} holds other things than {'integers' if integers else 'numbers'}")
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise WireError(f"{what} holds NaN or infinity")
    return array.astype(np.int64) if integers else array.astype(np.float64)
