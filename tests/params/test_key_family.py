"""Families of switching keys in a parameter set: their checks, and the bytes and fingerprints of sets without them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from hetorch.errors import ParameterError
from hetorch.params import KeyFamily, ParameterSet

N = 1 << 14
FAMILIES = (KeyFamily(1, 1), KeyFamily(2, 2))


def with_families(families: Any) -> ParameterSet:
    return ParameterSet.from_bits(N, [40] * 5, [45] * 3, digit_size=3, key_families=families)


def test_json_round_trip() -> None:
    parameters = with_families(FAMILIES)
    data = json.loads(json.dumps(parameters.to_json()))
    assert ParameterSet.from_json(data) == parameters
    assert ParameterSet.from_json(data).fingerprint() == parameters.fingerprint()


def test_sets_without_families_are_written_as_before() -> None:
    plain = with_families(())
    assert "key_families" not in plain.to_json()
    assert plain.fingerprint() != with_families(FAMILIES).fingerprint()
    assert plain.fingerprint() != with_families(FAMILIES[:1]).fingerprint()


@pytest.mark.parametrize(
    ("family", "message"),
    [
        (KeyFamily(0, 1), r"1\.\.3 special primes .* got 0"),
        (KeyFamily(4, 1), r"1\.\.3 special primes .* got 4"),
        (KeyFamily(1, 0), r"1\.\.5 primes .* got 0"),
        (KeyFamily(1, 6), r"1\.\.5 primes .* got 6"),
    ],
)
def test_families_fit_the_primes(family: KeyFamily, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        with_families([family])


def test_families_are_few() -> None:
    # Foreign parameters with many of them would take seconds to prepare.
    shapes = [KeyFamily(special, digit) for special in (1, 2, 3) for digit in (1, 2, 3)]
    assert with_families(shapes[:8]).key_families == tuple(shapes[:8])
    with pytest.raises(ParameterError, match="9 families, at most 8"):
        with_families(shapes)
    foreign = [shape.to_json() for shape in shapes]
    with pytest.raises(ParameterError, match="at most 8"):
        ParameterSet.from_json({**with_families(()).to_json(), "key_families": foreign})


def test_families_are_distinct() -> None:
    with pytest.raises(ParameterError, match="distinct"):
        with_families([KeyFamily(1, 1), KeyFamily(1, 1)])


@pytest.mark.parametrize(
    "data",
    [
        {"special_count": 1, "digit_size": 1},
        "11",
        [[1, 1]],
        [{"special_count": 1}],
        [{"special_count": 1, "digit_size": 1, "more": 1}],
        [{"special_count": 1.0, "digit_size": 1}],
        [{"special_count": True, "digit_size": 1}],
        [{"special_count": 1, "digit_size": 1}] * 65,
    ],
)
def test_foreign_data_are_refused(data: object) -> None:
    with pytest.raises(ParameterError):
        ParameterSet.from_json({**with_families(()).to_json(), "key_families": data})
