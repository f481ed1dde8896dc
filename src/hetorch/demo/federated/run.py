"""The demonstration of training together, from the records to the encrypted query."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from hetorch.demo.ending import ending_on_signal
from hetorch.demo.federated import display
from hetorch.demo.federated.models import (
    LOGISTIC,
    MODELS,
    NETWORK,
    Weights,
    accuracy,
    initial_weights,
    train,
)
from hetorch.demo.federated.query import ask_encrypted
from hetorch.demo.federated.records import Data, Records, read_hospitals, together
from hetorch.demo.federated.result import FederatedResult, ModelResult, RoundRecord
from hetorch.demo.federated.session import Loss, run_session
from hetorch.errors import InputError
from hetorch.wire.frame import Kind

LOSSES = {LOGISTIC: ("switzerland", Kind.ROUND_AGREEMENT), NETWORK: ("va", Kind.ROUND_UPDATE)}
"""The hospital that is killed while each model is trained, and the step before which: after its upload, or before."""

Tell = Callable[[str], None]
"""Takes the lines that tell what happens, one after the other."""


def run_federated_demo(folder: Path | None, rounds: int, seed: int, tell: Tell) -> FederatedResult:
    """Train both models together, compare them with training alone and pooled, and query the second one encrypted.

    All child processes end in any case.

    Args:
        folder: the records (`read_hospitals`).
        rounds: rounds to finish with each model, from 1.
        seed: decides the test records and the order in which hospitals train.
        tell: takes the lines that tell what happens.

    Raises:
        InputError: `rounds` or the records.
        HetorchError: a part fails, or a mean is not that of FedAvg.
    """
    if rounds < 1:
        raise InputError(f"rounds must be at least 1, got {rounds}")
    begun = time.perf_counter()
    data = read_hospitals(folder, seed)
    for line in display.beginning(data):
        tell(line)
    with ending_on_signal(), tempfile.TemporaryDirectory(prefix="hetorch-federate-") as name:
        models = []
        for model in MODELS:
            own = Path(name) / model.split()[0]
            own.mkdir()
            models.append(_train_together(model, data, rounds, seed, own, tell))
        tell(display.COMPILING)
        query = ask_encrypted(models[-1].weights, data, Path(name))
    return FederatedResult(
        source=data.source,
        synthetic=data.synthetic,
        hospitals=tuple(hospital.name for hospital in data.hospitals),
        threshold=models[0].rounds[0].threshold,
        wanted_rounds=rounds,
        models=tuple(models),
        query=query,
        seconds=time.perf_counter() - begun,
    )


def _train_together(model: str, data: Data, rounds: int, seed: int, folder: Path, tell: Tell) -> ModelResult:
    tell(display.model_heading(model, data))
    hospital, step = LOSSES[model]
    loss = Loss(hospital, rounds // 2 + 1, step)
    rosters: set[tuple[str, ...]] = set()

    def told(record: RoundRecord) -> None:
        if record.hospitals not in rosters:
            rosters.add(record.hospitals)
            tell(display.roster_line(record))
        for line in display.round_lines(record):
            tell(line)

    weights, records = run_session(model, data, rounds, loss, seed, folder, told)
    test = together([hospital.test for hospital in data.hospitals])
    everyone = together([hospital.train for hospital in data.hospitals])
    alone = {
        hospital.name: accuracy(_train_alone(model, hospital.train, rounds, seed), test)
        for hospital in data.hospitals
    }
    return ModelResult(
        model,
        sum(value.size for value in weights.values()),
        alone,
        accuracy(weights, test),
        accuracy(_train_alone(model, everyone, rounds, seed), test),
        records,
        weights,
    )


def _train_alone(model: str, records: Records, rounds: int, seed: int) -> Weights:
    """Return the weights after as many passes over the records as in `rounds` rounds."""
    weights = initial_weights(model)
    for number in range(1, rounds + 1):
        weights = train(model, weights, records, [seed, number])
    return weights
