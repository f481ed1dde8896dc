"""The measurements of the demonstration."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

from hetorch.demo.federated.models import Weights


@dataclass(frozen=True, slots=True)
class RoundRecord:
    """One round.

    `hospitals`: those of its roster, `contributors`: those whose updates are in the mean (none if the round is void),
    `killed`: the hospital that was killed in it, or None. `difference`: the largest difference of a weight from FedAvg
    in clear, and `bound`, what the fixed-point step allows. Milliseconds and bytes are those of one hospital.
    """

    number: int
    hospitals: tuple[str, ...]
    threshold: int
    contributors: tuple[str, ...] = ()
    killed: str | None = None
    killed_before: str = ""
    void: str = ""
    difference: float = 0.0
    bound: float = 0.0
    milliseconds: float = 0.0
    bytes_up: int = 0
    bytes_down: int = 0
    update_bytes: int = 0
    colluders: int = 0
    accuracy: float = 0.0


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One model's training: accuracies on the test records of all hospitals, and its rounds."""

    model: str
    weight_count: int
    alone: dict[str, float]
    together: float
    pooled: float
    rounds: tuple[RoundRecord, ...]
    weights: Weights

    @property
    def finished(self) -> tuple[RoundRecord, ...]:
        """The rounds that were not void."""
        return tuple(record for record in self.rounds if not record.void)

    @property
    def worst_difference(self) -> float:
        """The largest difference from FedAvg in clear in any round."""
        return max(record.difference for record in self.finished)

    def to_json(self) -> dict[str, Any]:
        """Return the figures of this model."""
        return {
            "model": self.model,
            "weights": self.weight_count,
            "accuracy_alone": list(self.alone.values()),
            "accuracy_together": self.together,
            "accuracy_pooled": self.pooled,
            "rounds": [
                {
                    "number": record.number,
                    "hospitals": list(record.hospitals),
                    "threshold": record.threshold,
                    "contributors": list(record.contributors),
                    "killed": record.killed,
                    "killed_before": record.killed_before or None,
                    "void": bool(record.void),
                    "difference_from_fedavg": record.difference,
                    "difference_bound": record.bound,
                    "ms": record.milliseconds,
                    "accuracy": record.accuracy,
                }
                for record in self.rounds
            ],
        }


@dataclass(frozen=True, slots=True)
class Query:
    """Encrypted queries of the joint model: one patient of each hospital; probabilities of heart disease."""

    hospitals: tuple[str, ...]
    clear: tuple[float, ...]
    encrypted: tuple[float, ...]
    diagnoses: tuple[bool, ...]
    milliseconds: float
    request_bytes: int

    @property
    def error(self) -> float:
        """The largest difference of a probability."""
        return max(abs(a - b) for a, b in zip(self.clear, self.encrypted, strict=True))


@dataclass(frozen=True, slots=True)
class FederatedResult:
    """The whole demonstration."""

    source: str
    synthetic: bool
    hospitals: tuple[str, ...]
    threshold: int
    wanted_rounds: int
    models: tuple[ModelResult, ...]
    query: Query
    seconds: float

    @property
    def full_rounds(self) -> list[RoundRecord]:
        """The finished rounds of all hospitals in which none was killed; the other ones, if there are none."""
        finished = [record for model in self.models for record in model.finished]
        count = len(self.hospitals)
        full = [r for r in finished if len(r.hospitals) == count and r.killed is None]
        return full or finished

    def to_json(self) -> dict[str, Any]:
        """Return the JSON document: accuracies of the first model, the others and all rounds in "models"."""
        first = self.models[0]
        return {
            "parties": len(self.hospitals),
            "threshold": self.threshold,
            "rounds": self.wanted_rounds,
            "lost": sum(record.killed is not None for model in self.models for record in model.rounds),
            "accuracy_alone": list(first.alone.values()),
            "accuracy_together": first.together,
            "accuracy_pooled": first.pooled,
            "worst_difference_from_fedavg": max(model.worst_difference for model in self.models),
            "bytes_up_per_party_round": max(record.bytes_up for record in self.full_rounds),
            "ms_per_round": statistics.median(record.milliseconds for record in self.full_rounds),
            "synthetic": self.synthetic,
            "models": [model.to_json() for model in self.models],
            "encrypted_query_error": self.query.error,
        }
