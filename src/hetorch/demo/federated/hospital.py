"""The process of one hospital: `python -m hetorch.demo.federated.hospital RECORDS`.

RECORDS (.npz) holds this hospital's records alone. Commands come on standard input and events go to standard output, a
JSON object a line. The process ends when its standard input closes.

    join  {roster, url}         ->
    train {model, seed}         -> trained {update}, the update in clear for the demonstration's comparison
    round {number, halt_before} -> finished {mean, contributors, ...}, void {message, exposed} or halted {step}

A halted hospital does nothing more: the demonstration kills it there.
"""

from __future__ import annotations

import json
import os
import queue
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hetorch.demo.federated.models import Weights, initial_weights, minus, plus, train
from hetorch.demo.federated.records import Records
from hetorch.errors import HetorchError, RoundVoidError
from hetorch.federated import Identity, Party, Roster
from hetorch.federated.http.party import AggregatorAddress, Traffic, take_part
from hetorch.federated.roster_file import load_roster
from hetorch.wire.frame import Kind

Command = Mapping[str, Any]


class HospitalState:
    """One hospital: its identity, which never leaves the process, its records, and the joint model as it knows it."""

    def __init__(self, records: Records) -> None:
        self.identity = Identity.generate()
        self._records = records
        self._weights: Weights | None = None
        self._update: Weights | None = None
        self._roster: Roster | None = None
        self._url = ""

    def join(self, command: Command) -> None:
        """Take part in the rounds of a roster from now on."""
        self._roster, self._url = load_roster(command["roster"]), command["url"]

    def train(self, command: Command) -> None:
        """Train the joint model on this hospital's records; the update is the change of the weights."""
        if self._weights is None:
            self._weights = initial_weights(command["model"])
        trained = train(command["model"], self._weights, self._records, command["seed"])
        self._update = minus(trained, self._weights)
        say("trained", update={name: value.tolist() for name, value in self._update.items()})

    def round(self, command: Command) -> None:
        """Take part in one round with the update, which is used once: it may not go into another round."""
        update, self._update = self._update, None
        if update is None or self._weights is None or self._roster is None:
            raise HetorchError("a hospital trains before each round")
        traffic, begun = Traffic(), time.perf_counter()
        try:
            result = take_part(
                Party(self._roster, self.identity),
                command["number"],
                update,
                sample_count=len(self._records),
                aggregator=AggregatorAddress(self._url),
                before=lambda step: halt(step, command["halt_before"]),
                traffic=traffic,
            )
        except RoundVoidError as error:
            say("void", message=str(error), exposed=error.exposed)
            return
        milliseconds = 1e3 * (time.perf_counter() - begun)
        self._weights = plus(self._weights, result.arrays)
        say(
            "finished",
            mean={name: value.tolist() for name, value in result.arrays.items()},
            contributors=result.contributors,
            sample_count=result.sample_count,
            milliseconds=milliseconds,
            bytes_up=traffic.up,
            bytes_down=traffic.down,
        )


def halt(step: Kind, wanted: str | None) -> None:
    """Do nothing more, for ever, if `wanted` names this step."""
    if step.name.lower() == wanted:
        say("halted", step=wanted)
        threading.Event().wait()


def say(event: str, **values: object) -> None:
    """Write an event."""
    print(json.dumps({"event": event, **values}), flush=True)


def main(arguments: list[str]) -> int:
    """Return the exit code: 0, or 1 after an error, which is printed to standard error in one line."""
    with np.load(Path(arguments[0]), allow_pickle=False) as archive:
        state = HospitalState(Records(archive["features"], archive["labels"]))
    commands: queue.Queue[str] = queue.Queue()
    threading.Thread(target=_read, args=(commands,), daemon=True).start()
    actions = {"join": state.join, "train": state.train, "round": state.round}
    say("ready", identity=state.identity.public.hex())
    try:
        while True:
            command = json.loads(commands.get())
            actions[command["do"]](command)
    except HetorchError as error:
        print(error, file=sys.stderr)
        return 1


def _read(commands: queue.Queue[str]) -> None:
    """Pass the commands on; end the process at once when nobody can send more, wherever it is."""
    for line in sys.stdin:
        commands.put(line)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
