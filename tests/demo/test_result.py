"""The definitions of the numbers that the demo reports."""

from __future__ import annotations

import numpy as np
import pytest

from hetorch.demo.result import STEPS, Costs, DemoResult, SecurityRow, compare, relative_error

KEYS = {
    "samples",
    "cleartext_accuracy",
    "encrypted_accuracy",
    "agreement",
    "worst_logit_error_relative",
    "p50_ms",
    "p95_ms",
    "evaluation_key_bytes",
    "input_ciphertext_bytes",
    "output_ciphertext_bytes",
    "server_peak_bytes",
    "ring_degree",
    "log2_qp",
    "security_bits",
    "total_seconds",
}


def test_comparison_by_hand() -> None:
    clear = np.array([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0], [0.0, 1.0]])  # answers 0 1 0 1
    encrypted = np.array([[1.0, 0.5], [0.0, 3.0], [1.0, 2.0], [0.0, 1.0]])  # answers 0 1 1 1
    accuracy = compare(clear, encrypted, np.array([0, 1, 1, 0]))
    assert accuracy.samples == 4
    assert accuracy.cleartext == 0.5
    assert accuracy.encrypted == 0.75
    assert accuracy.agreement == 0.75
    assert accuracy.worst_logit_error_relative == pytest.approx(1.0 / 3.0)
    assert relative_error(clear, clear) == 0


def test_the_json_object_has_exactly_the_promised_keys() -> None:
    milliseconds = {step: np.arange(101.0) * (i + 1) for i, step in enumerate(STEPS)}
    result = DemoResult(
        accuracy=compare(np.eye(2), np.eye(2), np.array([0, 1])),
        polynomial_error=0.0,
        costs=Costs(milliseconds, 1, 2, 3, 4),
        security=SecurityRow(8192, 213.5, 214, 128, "a table"),
        seconds={"train": 1.5, "query": 2.0},
    )
    document = result.to_json()
    assert document.keys() == KEYS
    assert document["p50_ms"] == {"encrypt": 50, "upload": 100, "server": 150, "decrypt": 200}
    assert document["p95_ms"] == {"encrypt": 95, "upload": 190, "server": 285, "decrypt": 380}
    assert document["total_seconds"] == 3.5
    assert document["security_bits"] == 128
