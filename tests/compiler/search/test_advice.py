from __future__ import annotations

from typing import Any

import pytest

from hetorch.compiler.search.advice import remedies, too_many_keys
from tests.compiler.networks import request


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"ring_degree": 1 << 12}, "a larger ring_degree= or none"),
        ({"engine": "seal"}, 'engine="native", which has rings up to 2^16'),
        ({"security": "192"}, 'security="128"'),
        ({"scale_bits": 40}, "no scale_bits="),
        ({"digit_size": 2}, "no digit_size="),
        ({"batch_size": 4}, "a smaller batch_size="),
    ],
)
def test_options_that_were_given_are_named(options: dict[str, Any], named: str) -> None:
    assert named in remedies(request("linear", **options), 0)
    assert named not in remedies(request("linear"), 0)


def test_the_engines_own_digits_are_not_the_users_choice() -> None:
    assert "no digit_size=" not in remedies(request("linear", engine="seal", digit_size=1), 0)


def test_polynomials_are_named_where_there_are_approximations() -> None:
    assert any("activation_degree=" in way for way in remedies(request("wide"), 0))
    # Squares are the network's own.
    assert not any("activation_degree=" in way for way in remedies(request("mlp"), 0))


def test_keys_are_told_in_bytes_and_megabytes() -> None:
    assert "take 12000000 bytes (12.0 MB), key_limit is 500000 bytes (0.5 MB)" in too_many_keys(
        12_000_000, 500_000
    )
