"""Flower's grid in one process: each message is run by a ClientApp with the context of its node, and recorded."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Error, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid
from flwr.supercore.inflatable.inflatable_object import get_all_nested_objects
from flwr.supercore.inflatable.inflatable_utils import inflate_object_from_contents
from flwr.supercore.task_identity import TaskIdentity

from hetorch.federated import Identity, Roster
from hetorch.federated.flower import EncryptedUpdates
from hetorch.federated.flower.records import config_of
from hetorch.federated.roster_file import dump_roster

SHAPE = (3, 5)
Fault = Callable[[int, str, int], bool]
"""Tells whether a node is dead; called with its number from 0, the step of a message and the round."""


def model_of(seed: int) -> dict[str, np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return {"w": rng.normal(size=SHAPE), "b": rng.normal(size=7).astype(np.float32)}


def record(arrays: dict[str, np.ndarray[Any, Any]]) -> ArrayRecord:
    return ArrayRecord({name: Array(array) for name, array in arrays.items()})


def numpy_of(record: ArrayRecord) -> dict[str, np.ndarray[Any, Any]]:
    return {name: array.numpy() for name, array in record.items()}


def change_of(node: int, round_: int) -> dict[str, np.ndarray[Any, Any]]:
    """What the training of a node adds to the model in a round."""
    rng = np.random.default_rng([node, round_])
    return {"w": rng.uniform(-0.5, 0.5, SHAPE), "b": rng.uniform(-0.5, 0.5, 7).astype(np.float32)}


def samples_of(node: int) -> int:
    return 100 + 37 * node


def make_app(change: Callable[[int, int], Any] = change_of) -> ClientApp:
    """An app as Flower's documentation has them, with the mod."""
    app = ClientApp(mods=[EncryptedUpdates()])

    @app.train()  # type: ignore[untyped-decorator]
    def train(message: Message, context: Context) -> Message:
        node, round_ = int(context.node_config["number"]), message.content["config"]["server-round"]
        model = numpy_of(message.content["arrays"])
        trained = {name: model[name] + values for name, values in change(node, round_).items()}
        metrics = MetricRecord({"train_loss": 123.25 + node, "num-examples": samples_of(node)})
        return Message(RecordDict({"arrays": record(trained), "metrics": metrics}), reply_to=message)

    @app.evaluate()  # type: ignore[untyped-decorator]
    def evaluate(message: Message, context: Context) -> Message:
        model = numpy_of(message.content["arrays"])
        metrics = MetricRecord({"sum": float(model["w"].sum()), "num-examples": 1})
        return Message(RecordDict({"metrics": metrics}), reply_to=message)

    return app


@dataclass
class LoopGrid(Grid):  # type: ignore[misc]
    """Nodes of these parties. `dead` tells which of them answer nothing."""

    app: ClientApp
    contexts: list[Context]
    dead: Fault = lambda node, step, round_: False
    wire: list[bytes] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    round_: int = 0

    def set_run(self, run: Any) -> None:
        raise NotImplementedError

    @property
    def run(self) -> Any:
        raise NotImplementedError

    def create_message(self, *arguments: Any, **options: Any) -> Message:
        raise NotImplementedError

    def get_node_ids(self) -> list[int]:
        return [context.node_id for context in self.contexts]

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        self.send_and_receive(messages)
        return []

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        return []

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        replies = []
        for message in messages:
            node = message.metadata.dst_node_id - 1
            config = config_of(message.content)
            step = str(config["step"]) if config else ""
            self.round_ = int(config["round"]) if config and "round" in config else self.round_
            content = self._recorded(message.content)
            if self.dead(node, step, self.round_):
                continue
            arrived = Message(content, dst_node_id=node + 1, message_type=message.metadata.message_type)
            try:
                reply = self.app(arrived, self.contexts[node])
            except Exception as error:
                self.errors.append(f"{type(error).__name__}: {error}")
                reply = Message(Error(0, str(error)), reply_to=arrived)
            if reply.has_error():
                self.wire.append(reply.error.reason.encode())
            else:
                reply = Message(self._recorded(reply.content), reply_to=arrived)
            reply.metadata.__dict__["_src_node_id"] = node + 1
            replies.append(reply)
        return replies

    def _recorded(self, content: RecordDict) -> RecordDict:
        """The records as they come out of the bytes that Flower sends, which are kept."""
        parts = {name: part.deflate() for name, part in get_all_nested_objects(content).items()}
        self.wire += parts.values()
        return inflate_object_from_contents(content.object_id, parts)


def grid_of(folder: Path, count: int, threshold: int, **options: Any) -> tuple[LoopGrid, Roster]:
    """Nodes of so many parties, whose rosters and identities are files in a folder."""
    TaskIdentity.run_id, TaskIdentity.node_id, TaskIdentity.task_id = 7, 0, 0  # those of new messages
    identities = [Identity.generate() for _ in range(count)]
    roster = Roster(
        "test",
        tuple(identity.public for identity in identities),
        threshold,
        Roster.arrays_of(model_of(0), bound=1.0),
        most_samples=1000,
    )
    (folder / "roster.json").write_text(dump_roster(roster))
    contexts = []
    for number, identity in enumerate(identities):
        path = folder / f"identity{number}"
        path.write_bytes(identity.private_bytes())
        path.chmod(0o600)
        config = {
            "hetorch-roster": str(folder / "roster.json"),
            "hetorch-identity": str(path),
            "number": number,
            **options,
        }
        contexts.append(Context(7, number + 1, config, RecordDict(), {}))
    return LoopGrid(make_app(), contexts), roster
