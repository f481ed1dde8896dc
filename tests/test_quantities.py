"""Sizes, times and counted nouns in messages, and the places that must use them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import hetorch
from hetorch.quantities import count_text, exact_size_text, size_text, time_text

SOURCE = Path(hetorch.__file__).parent


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (40_000, "40 kB"),
        (999_499, "999 kB"),
        (999_500, "1 MB"),
        (12_345_678, "12.3 MB"),
        (999_999_999, "1 GB"),
        (2**31, "2.15 GB"),
        (10**15, "1,000 TB"),
    ],
)
def test_sizes_have_a_sensible_unit_and_three_digits(size: int, text: str) -> None:
    assert size_text(size) == text
    assert exact_size_text(size) == (text if size < 1000 else f"{text} ({size} bytes)")


@pytest.mark.parametrize(("seconds", "text"), [(0, "-"), (0.0123, "12.3 ms"), (0.9999, "1 s"), (75, "75 s")])
def test_times(seconds: float, text: str) -> None:
    assert time_text(seconds) == text


def test_counted_nouns() -> None:
    assert [count_text(n, "level") for n in (0, 1, 2)] == ["0 levels", "1 level", "2 levels"]
    assert [count_text(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"/ ?(1e6|1e9|1000000|10\*\*[69])[^\n]*\} ?[kMG]B",  # a size in a fixed unit
        r"\{len\([^{}]*\)\} (samples|layers|levels|ciphertexts|arrays|inputs|outputs|primes|keys)\b",
        r"\{(\w+\.)*(levels|depth|samples|batch_size|digits|threads|count|max_level)\} "
        r"(samples|levels|digits|threads|primes|inputs|outputs)\b",
        r"\w\(s\) ?[^\w]*f?\"",  # "thread(s)"
    ],
)
def test_no_message_counts_or_measures_by_itself(pattern: str) -> None:
    """What TenSEAL's names say is TenSEAL's text."""
    places = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        if "tenseal" not in path.parts
        for line in path.read_text().splitlines()
        if re.search(pattern, line) and '"' in line
    ]
    assert not places
