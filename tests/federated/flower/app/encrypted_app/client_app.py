"""The ClientApp: Flower's with one line more."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.clientapp.typing import ClientAppCallable

from hetorch.federated.flower import EncryptedUpdates

from . import change_of, samples_of


def die(message: Message, context: Context, call_next: ClientAppCallable) -> Message:
    """Kill the node at the step that its configuration names, as a power cut would."""
    config = message.content.config_records.get("hetorch", {})
    if config.get("step") == context.node_config.get("die-at"):
        os.kill(int(Path(str(context.node_config["pid-file"])).read_text()), signal.SIGKILL)
        os._exit(1)
    return call_next(message, context)


app = ClientApp(mods=[die, EncryptedUpdates()])


@app.train()  # type: ignore[untyped-decorator]
def train(message: Message, context: Context) -> Message:
    """Add this node's numbers to the model."""
    node, server_round = int(context.node_config["number"]), message.content["config"]["server-round"]
    model = {name: array.numpy() for name, array in message.content["arrays"].items()}
    changes = change_of(node, server_round)
    arrays = ArrayRecord({name: Array(model[name] + changes[name]) for name in model})
    metrics = MetricRecord({"train_loss": 123.25, "num-examples": samples_of(node)})
    return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)


@app.evaluate()  # type: ignore[untyped-decorator]
def evaluate(message: Message, context: Context) -> Message:
    """Write the joint model to a file of the node, for the test."""
    model = {name: array.numpy() for name, array in message.content["arrays"].items()}
    np.savez(str(context.node_config["output"]), **model)
    metrics = MetricRecord({"accuracy": 0.5, "num-examples": 1})
    return Message(RecordDict({"metrics": metrics}), reply_to=message)
