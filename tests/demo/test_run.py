"""The whole demo on fewer digits."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from tests.cli.command import hetorch, refusal
from tests.demo.test_result import KEYS

SAMPLES = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    result = hetorch(
        "demo", "--samples", SAMPLES, "--json", folder / "demo.json", "--report", folder / "demo.html"
    )
    (folder / "stdout").write_text(result.stdout)
    return folder


def test_encrypted_and_cleartext_agree(folder: Path) -> None:
    document = json.loads((folder / "demo.json").read_text())
    assert document.keys() == KEYS
    assert document["samples"] == SAMPLES
    assert document["agreement"] == 1
    assert document["worst_logit_error_relative"] <= 1e-3
    assert document["encrypted_accuracy"] == document["cleartext_accuracy"] >= 0.8
    assert document["security_bits"] == 128
    assert document["log2_qp"] <= {13: 214, 14: 430, 15: 868}[document["ring_degree"].bit_length() - 1]
    for percentile in ("p50_ms", "p95_ms"):
        assert document[percentile].keys() == {"encrypt", "upload", "server", "decrypt"}
        assert all(value > 0 for value in document[percentile].values())
    assert document["evaluation_key_bytes"] > document["input_ciphertext_bytes"] > 10_000
    assert document["server_peak_bytes"] > document["evaluation_key_bytes"]
    assert document["total_seconds"] < 300


def test_the_report_stands_alone(folder: Path) -> None:
    page = (folder / "demo.html").read_text()
    assert page.count("<figure class='digit") == SAMPLES
    assert "What the server sees" in page
    assert "prefers-color-scheme: dark" in page
    addresses = re.findall(r"(?:src|href)=['\"]([^'\"]*)", page)
    assert addresses
    assert all(address.startswith("data:image/png;base64,") for address in addresses)
    assert not re.search(r"https?://|@import|url\(|<script", page)


def test_the_terminal_shows_what_was_measured(folder: Path) -> None:
    text = (folder / "stdout").read_text()
    for words in ("accuracy encrypted", "agreement", "p95 ms", "evaluation keys", "peak memory", "2024/463"):
        assert words in text


def test_nothing_is_left_running(folder: Path) -> None:
    processes = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert "hetorch-demo-" not in processes


def test_more_samples_than_there_are_is_refused() -> None:
    assert "1..1000" in refusal("demo", "--samples", "1001")
