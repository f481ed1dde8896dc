"""The protocol's messages in Flower's records.

A message of this package has a ConfigRecord `hetorch` with its step, and an ArrayRecord `hetorch.message` if it carries
bytes of the protocol: arrays are sent in pieces, values of a ConfigRecord in one.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, RecordDict

from hetorch.errors import WireError

RECORD = "hetorch"
"""The name of the ConfigRecord of this package, in messages and in a node's state."""
_BYTES = "hetorch.message"


class Step(StrEnum):
    """The request of a message from the server to a node; the words are on the wire."""

    KEYS = "keys"
    """Begin a round, and send the round key."""
    SHARES = "shares"
    """Take the keys of all parties, and send shares."""
    TRAIN = "train"
    """Take the shares, train, and send a commitment to the encrypted update."""
    UPDATE = "update"
    """Take the commitments, and send the encrypted update."""
    AGREE = "agree"
    """Take the sum, and sign it."""
    OPEN = "open"
    """Take the signatures, and send a share of the sum of the secrets."""
    FINISH = "finish"
    """Take the shares, and open the sum."""
    VOID = "void"
    """The round is void: forget it."""
    EVALUATE = "evaluate"
    """Evaluate the joint model."""


def content_of(step: Step, data: bytes | None = None, **values: Any) -> RecordDict:
    """Return the records of a message: its step, bytes of the protocol, and values of the ConfigRecord."""
    content = RecordDict({RECORD: ConfigRecord({"step": step.value, **values})})
    if data is not None:
        content[_BYTES] = ArrayRecord({"bytes": Array(np.frombuffer(data, dtype=np.uint8))})
    return content


def config_of(content: RecordDict) -> ConfigRecord | None:
    """Return the ConfigRecord of this package; None if the message is of something else."""
    return content.config_records.get(RECORD)


def data_of(content: RecordDict) -> bytes:
    """Return the protocol's bytes of a message from outside; WireError if it has none."""
    record = content.array_records.get(_BYTES)
    try:
        array = record["bytes"].numpy()
    except (TypeError, KeyError, ValueError, OSError, EOFError) as error:
        raise WireError(f"the message has no bytes of the protocol: {type(error).__name__}") from None
    if array.dtype != np.uint8 or array.ndim != 1:
        raise WireError(f"the bytes of the protocol are an array of {array.dtype} with {array.ndim} axes")
    return bytes(array)


def arrays_of(record: ArrayRecord) -> dict[str, np.ndarray[Any, Any]]:
    """Return the arrays of a record by name, as numpy has them."""
    return {name: array.numpy() for name, array in record.items()}


def record_of(arrays: dict[str, np.ndarray[Any, Any]]) -> ArrayRecord:
    """Return an ArrayRecord of arrays by name."""
    return ArrayRecord({name: Array(np.ascontiguousarray(array)) for name, array in arrays.items()})
