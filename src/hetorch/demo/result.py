"""The measurements of the demo, and how each is defined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STEPS = ("encrypt", "upload", "server", "decrypt")
"""Steps of one prediction: encode and encrypt; send; compute on the server; receive, decrypt and decode."""


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Shares of samples that are right (in clear and encrypted) and that agree, and the worst absolute difference of a
    logit, relative to the range of all cleartext logits."""

    samples: int
    cleartext: float
    encrypted: float
    agreement: float
    worst_logit_error_relative: float


@dataclass(frozen=True, slots=True)
class Costs:
    """The milliseconds of each of STEPS, one entry a sample, and sizes in bytes."""

    milliseconds: Mapping[str, NDArray[np.float64]]
    evaluation_key_bytes: int
    input_ciphertext_bytes: int
    output_ciphertext_bytes: int
    server_peak_bytes: int

    def percentile(self, percent: float) -> dict[str, float]:
        """Return that percentile of each step, in milliseconds."""
        return {step: float(np.percentile(self.milliseconds[step], percent)) for step in STEPS}


@dataclass(frozen=True, slots=True)
class SecurityRow:
    """The parameters, and the row of the security table against which they were checked."""

    ring_degree: int
    log2_qp: float
    max_log2_qp: float
    bits: int
    source: str


@dataclass(frozen=True, slots=True)
class DemoResult:
    """All that the demo prints. `polynomial_error` is the worst logit error against the compiled program in clear (its
    polynomials and levels), relative to the range of all cleartext logits."""

    accuracy: Accuracy
    polynomial_error: float
    costs: Costs
    security: SecurityRow
    seconds: Mapping[str, float]

    @property
    def total_seconds(self) -> float:
        """The seconds of all parts together."""
        return sum(self.seconds.values())

    def to_json(self) -> dict[str, object]:
        """Return the object that `--json` writes."""
        return {
            "samples": self.accuracy.samples,
            "cleartext_accuracy": self.accuracy.cleartext,
            "encrypted_accuracy": self.accuracy.encrypted,
            "agreement": self.accuracy.agreement,
            "worst_logit_error_relative": self.accuracy.worst_logit_error_relative,
            "p50_ms": self.costs.percentile(50),
            "p95_ms": self.costs.percentile(95),
            "evaluation_key_bytes": self.costs.evaluation_key_bytes,
            "input_ciphertext_bytes": self.costs.input_ciphertext_bytes,
            "output_ciphertext_bytes": self.costs.output_ciphertext_bytes,
            "server_peak_bytes": self.costs.server_peak_bytes,
            "ring_degree": self.security.ring_degree,
            "log2_qp": self.security.log2_qp,
            "security_bits": self.security.bits,
            "total_seconds": self.total_seconds,
        }


def compare(
    cleartext: NDArray[np.float64], encrypted: NDArray[np.float64], labels: NDArray[np.int64]
) -> Accuracy:
    """Compare logits (n, classes), in clear and decrypted, with each other and with the labels."""
    clear_top, encrypted_top = cleartext.argmax(axis=1), encrypted.argmax(axis=1)
    return Accuracy(
        samples=len(labels),
        cleartext=float(np.mean(clear_top == labels)),
        encrypted=float(np.mean(encrypted_top == labels)),
        agreement=float(np.mean(clear_top == encrypted_top)),
        worst_logit_error_relative=relative_error(cleartext, encrypted),
    )


def relative_error(expected: NDArray[np.float64], actual: NDArray[np.float64]) -> float:
    """Return the largest |actual - expected| / (max expected - min expected)."""
    return float(np.abs(actual - expected).max() / (expected.max() - expected.min()))
