"""The joint model, where a node keeps it between messages: in the state of Flower's context, which never leaves it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from flwr.app import ConfigRecord, Context
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.federated.flower.records import RECORD, arrays_of, record_of
from hetorch.federated.flower.session import first_history, next_history

_MODEL = "hetorch.model"
Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class NodeState:
    """The knowledge of a node in a run, beside the secrets of a round.

    Args:
        run_id: the run; what an earlier one left is not used.
        model: the joint model, or the first one that the server sent.
        history: 32 bytes that stand for it (`session`).
        round_number: the last round that the node began.
        kept: the folder of the party that is in a round; empty between rounds.
        trained: SHA-256 of the update of the round.
        exposed: those of the updates that have left this node in rounds without a sum.
    """

    run_id: int
    model: Arrays
    history: bytes
    round_number: int = 0
    kept: str = ""
    trained: bytes = b""
    exposed: tuple[bytes, ...] = ()

    @classmethod
    def begin(cls, run_id: int, model: Arrays) -> NodeState:
        """Return the state of a node that begins a run with the server's model."""
        return cls(run_id, model, first_history(model))

    @classmethod
    def load(cls, context: Context) -> NodeState | None:
        """Return what the node knows of this run; None if it has no model yet."""
        record = context.state.config_records.get(RECORD)
        if record is None or record["run"] != str(context.run_id):
            return None
        model = arrays_of(context.state.array_records[_MODEL])
        return cls(
            context.run_id,
            model,
            record["history"],
            record["round"],
            record["kept"],
            record["trained"],
            tuple(record["exposed"]),
        )

    def save(self, context: Context) -> None:
        """Keep this in the node's state."""
        context.state[RECORD] = ConfigRecord(
            {
                "run": str(self.run_id),
                "history": self.history,
                "round": self.round_number,
                "kept": self.kept,
                "trained": self.trained,
                "exposed": list(self.exposed),
            }
        )
        context.state[_MODEL] = record_of(self.model)

    def update_of(self, trained: Arrays) -> Arrays:
        """Return what a trained model adds to the joint one, in double precision; InputError if it has other arrays."""
        if {name: array.shape for name, array in trained.items()} != {
            name: array.shape for name, array in self.model.items()
        }:
            raise InputError(
                "the app's train function returned other arrays than the model that it was given"
            )
        return {
            name: trained[name].astype(np.float64) - self.model[name].astype(np.float64)
            for name in self.model
        }

    def after(self, mean: Mapping[str, NDArray[np.float64]], round_id: bytes) -> NodeState:
        """Return the state after the round with this id: the model with the mean update added, in the types of its
        arrays."""
        model = {name: _in_type(array + mean[name], array.dtype) for name, array in self.model.items()}
        left = tuple(digest for digest in self.exposed if digest != self.trained)
        return NodeState(self.run_id, model, next_history(self.history, round_id), exposed=left)


def update_digest(update: Arrays, sample_count: int) -> bytes:
    """Return SHA-256 of an update and its weight."""
    return hashlib.sha256(first_history(update) + b"%d" % sample_count).digest()


def _in_type(array: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array in the type that it has in the model; whole numbers are rounded."""
    return (np.rint(array) if np.issubdtype(dtype, np.integer) else array).astype(dtype)
