"""One model, trained together in rounds: processes of four hospitals and an aggregator, one of which is killed."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from hetorch.demo.federated.models import Weights, accuracy, initial_weights, plus
from hetorch.demo.federated.processes import (
    Event,
    HospitalProcess,
    aggregator_process,
    hear_all,
    hospital_process,
)
from hetorch.demo.federated.records import Data, together
from hetorch.demo.federated.result import RoundRecord
from hetorch.errors import HetorchError
from hetorch.federated import Roster
from hetorch.federated.roster_file import dump_roster
from hetorch.wire.frame import Kind

BOUND = 1.0
"""Largest change of a weight in one round. Beyond it a change would be cut; raised, the fixed-point step is coarser."""
DOUBLES = 1e-14
"""The rounding of sums of doubles, by which two means of the same updates may differ besides the fixed-point step."""

Told = Callable[[RoundRecord], None]
"""Called with each round when it has ended."""


@dataclass(frozen=True, slots=True)
class Loss:
    """The hospital that is killed, the number of the round, and the step before which that happens."""

    hospital: str
    number: int
    before: Kind


@dataclass(frozen=True, slots=True)
class Group:
    """Hospitals that have agreed on a roster, and the index of each in it."""

    roster: Roster
    members: tuple[HospitalProcess, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the hospitals."""
        return tuple(member.name for member in self.members)


def run_session(
    model: str, data: Data, rounds: int, loss: Loss, seed: int, folder: Path, told: Told
) -> tuple[Weights, tuple[RoundRecord, ...]]:
    """Train a model in `rounds` finished rounds, and return the joint weights and all rounds, void ones too.

    Raises:
        HetorchError: a process fails, hospitals obtain different models, or a mean is not that of FedAvg.
    """
    test = together([hospital.test for hospital in data.hospitals])
    weights = initial_weights(model)
    records: list[RoundRecord] = []
    with ExitStack() as processes:
        members = _start_hospitals(processes, data, folder)
        aggregators = processes.enter_context(ExitStack())
        group = _agree(members, model, data, weights, folder, aggregators)
        while sum(not record.void for record in records) < rounds:
            number = len(records) + 1
            updates = _train(group, model, [seed, number])
            record, mean = _round(group, data, updates, number, loss if loss.number == number else None)
            if mean is not None:
                weights = plus(weights, mean)
            record = replace(record, accuracy=accuracy(weights, test))
            records.append(record)
            told(record)
            if record.killed is not None and sum(not r.void for r in records) < rounds:
                members = [member for member in members if member.name != record.killed]
                aggregators.close()
                group = _agree(members, model, data, weights, folder, aggregators)
    return weights, tuple(records)


def _start_hospitals(processes: ExitStack, data: Data, folder: Path) -> list[HospitalProcess]:
    members = [
        processes.enter_context(hospital_process(hospital, index, folder))
        for index, hospital in enumerate(data.hospitals)
    ]
    for member, event in zip(members, hear_all(members, "ready"), strict=True):
        member.identity = bytes.fromhex(event["identity"])
    return members


def _agree(
    members: Sequence[HospitalProcess],
    model: str,
    data: Data,
    weights: Weights,
    folder: Path,
    aggregators: ExitStack,
) -> Group:
    """Let these hospitals agree on a roster, as people would, and start an aggregator for it."""
    roster = roster_of([member.identity for member in members], model, data, weights)
    url = aggregators.enter_context(aggregator_process(roster, folder))
    group = Group(roster, tuple(members))
    for member in members:
        member.tell("join", roster=dump_roster(roster), url=url)
    return group


def roster_of(identities: Sequence[bytes], model: str, data: Data, weights: Weights) -> Roster:
    """Return the roster of these hospitals: a majority opens a sum, and where possible one more must contribute."""
    most = max(len(hospital.train) for hospital in data.hospitals)
    return Roster(
        f"heart disease, {model}, {len(identities)} hospitals",
        tuple(identities),
        threshold=len(identities) // 2 + 1,
        arrays=Roster.arrays_of(weights, BOUND),
        most_samples=1 << (most - 1).bit_length(),
    )


def _train(group: Group, model: str, seed: list[int]) -> list[Weights]:
    """Let each hospital train; return the updates, which only this comparison sees in clear."""
    for member in group.members:
        member.tell("train", model=model, seed=[*seed, member.index])
    return [arrays(event["update"]) for event in hear_all(group.members, "trained")]


def _round(
    group: Group, data: Data, updates: list[Weights], number: int, loss: Loss | None
) -> tuple[RoundRecord, Weights | None]:
    """Run one round, in which a hospital may be killed; return it and the mean, None if it is void."""
    for member in group.members:
        dies = loss is not None and member.name == loss.hospital
        halt = loss.before.name.lower() if dies and loss is not None else None
        member.tell("round", number=number, halt_before=halt)
    left = list(group.members)
    if loss is not None:
        victim = next(member for member in left if member.name == loss.hospital)
        victim.hear("halted")
        victim.kill()
        left.remove(victim)
    events = hear_all(left, "finished", "void")
    roster = group.roster
    record = RoundRecord(
        number,
        group.names,
        roster.threshold,
        killed=None if loss is None else loss.hospital,
        killed_before="" if loss is None else loss.before.name.lower(),
        update_bytes=roster.update_bytes,
        colluders=roster.colluders,
    )
    void = [event for event in events if event["event"] == "void"]
    if void:
        if len(void) < len(events):
            raise HetorchError(
                f"round {number} is void for some hospitals and not for others: {void[0]['message']}"
            )
        return replace(record, void=void[0]["message"]), None
    return _finished(record, group, data, updates, events)


def _finished(
    record: RoundRecord, group: Group, data: Data, updates: list[Weights], events: list[Event]
) -> tuple[RoundRecord, Weights]:
    """Compare what the hospitals obtained with each other, and with FedAvg in clear."""
    contributors = tuple(events[0]["contributors"])
    mean = arrays(events[0]["mean"])
    if any(event["mean"] != events[0]["mean"] for event in events):
        raise HetorchError(f"the hospitals obtained different models in round {record.number}")
    samples = [len(data.hospitals[group.members[index].index].train) for index in contributors]
    expected = fedavg([updates[index] for index in contributors], samples)
    difference = max(float(np.abs(mean[name] - value).max()) for name, value in expected.items())
    bound = difference_bound(group.roster, samples)
    if difference > bound:
        raise HetorchError(
            f"the joint model of round {record.number} differs from FedAvg in clear by {difference:.2e}, more than the "
            f"fixed-point step allows ({bound:.2e})"
        )
    return replace(
        record,
        contributors=tuple(group.names[index] for index in contributors),
        difference=difference,
        bound=bound,
        milliseconds=statistics.median(event["milliseconds"] for event in events),
        bytes_up=max(event["bytes_up"] for event in events),
        bytes_down=max(event["bytes_down"] for event in events),
    ), mean


def fedavg(updates: Sequence[Weights], samples: Sequence[int]) -> Weights:
    """Return the mean of updates in clear, weighted by their samples."""
    return {
        name: np.average([update[name] for update in updates], axis=0, weights=samples) for name in updates[0]
    }


def difference_bound(roster: Roster, samples: Sequence[int]) -> float:
    """Return the largest difference of a mean from that in clear: each contributor rounds to half a step once."""
    step = max(roster.step(array) for array in roster.arrays)
    return len(samples) * step / 2 * roster.most_samples / sum(samples) + DOUBLES


def arrays(values: Mapping[str, object]) -> Weights:
    """Return the weights of an event, whose numbers come back bit by bit."""
    return {name: np.array(value, dtype=np.float64) for name, value in values.items()}
