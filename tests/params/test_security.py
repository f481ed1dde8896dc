from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hetorch.errors import ParameterError
from hetorch.params.security import Security, max_log2_qp, max_log2_sparse

DEGREES = [1 << e for e in range(10, 18)]

# A second transcription of the publications, row by row as printed there.
GUIDELINES_2024 = {
    1024: (26, 0, 0),
    2048: (53, 36, 27),
    4096: (106, 73, 56),
    8192: (214, 147, 114),
    16384: (430, 297, 230),
    32768: (868, 597, 462),
    65536: (1747, 1199, 929),
    131072: (3523, 2411, 1866),
}
STANDARD_2018 = {1024: 27, 2048: 54, 4096: 109, 8192: 218, 16384: 438, 32768: 881}


@pytest.mark.parametrize("ring_degree", DEGREES)
def test_guidelines(ring_degree: int) -> None:
    levels = (Security.CLASSICAL_128, Security.CLASSICAL_192, Security.CLASSICAL_256)
    assert tuple(max_log2_qp(ring_degree, level) for level in levels) == GUIDELINES_2024[ring_degree]


@pytest.mark.parametrize("ring_degree", DEGREES)
def test_standard(ring_degree: int) -> None:
    assert max_log2_qp(ring_degree, Security.HE_STANDARD_2018) == STANDARD_2018.get(ring_degree, 0)


@pytest.mark.parametrize("ring_degree", [d for d in DEGREES if d <= 1 << 15])
def test_the_standard_is_what_seal_checks(ring_degree: int) -> None:
    seal = pytest.importorskip("seal")
    assert max_log2_qp(ring_degree, Security.HE_STANDARD_2018) == seal.CoeffModulus.MaxBitCount(ring_degree)


@pytest.mark.parametrize("security", [Security.CLASSICAL_128, Security.CLASSICAL_192, Security.CLASSICAL_256])
def test_about_proportional_to_the_ring_degree(security: Security) -> None:
    rows = [max_log2_qp(d, security) for d in DEGREES]
    ratios = [high / low for low, high in pairwise(rows) if low]
    assert all(2.0 <= ratio <= 2.1 for ratio in ratios)  # a misprint would not be


def test_none_has_no_bound() -> None:
    assert max_log2_qp(1024, Security.NONE) == math.inf


@pytest.mark.parametrize("ring_degree", [0, -4, 1000])
def test_not_a_power_of_two(ring_degree: int) -> None:
    with pytest.raises(ParameterError, match="power of two"):
        max_log2_qp(ring_degree, Security.CLASSICAL_128)


def test_names() -> None:
    assert [Security.parse(s.value) for s in Security] == list(Security)
    assert [s.bits for s in Security] == [128, 192, 256, 0, 128]
    assert "2024/463" in Security.CLASSICAL_128.source
    assert "2018" in Security.HE_STANDARD_2018.source


@pytest.mark.parametrize("name", ["", "112", "NONE", None])
def test_an_unknown_name_lists_the_known_ones(name: object) -> None:
    with pytest.raises(ParameterError, match="use one of '128', '192', '256', 'none', 'he-standard-2018'"):
        Security.parse(name)


def test_sparse_rows() -> None:
    # The design's rows (lattice estimator, hybrid attack): 2^152.6 and 2^171.9 operations.
    exponents = range(10, 18)
    rows = {(e, 32): max_log2_sparse(1 << e, 32, Security.CLASSICAL_128) for e in exponents}
    assert {key: row for key, row in rows.items() if row} == {(15, 32): 90, (16, 32): 121}


@pytest.mark.parametrize("weight", [1, 31, 33, 64, 192])
def test_no_row_for_another_weight(weight: int) -> None:
    assert all(max_log2_sparse(degree, weight, Security.CLASSICAL_128) == 0 for degree in DEGREES)


@pytest.mark.parametrize(
    "security", [Security.CLASSICAL_192, Security.CLASSICAL_256, Security.HE_STANDARD_2018]
)
def test_no_sparse_row_but_at_128_bits(security: Security) -> None:
    assert max_log2_sparse(1 << 16, 32, security) == 0


def test_sparse_rows_are_below_the_dense_ones() -> None:
    # A sparse secret is never safer than a dense one.
    for exponent in (15, 16):
        dense = max_log2_qp(1 << exponent, Security.CLASSICAL_128)
        assert max_log2_sparse(1 << exponent, 32, Security.CLASSICAL_128) < dense / 8
    assert max_log2_sparse(1 << 10, 32, Security.NONE) == math.inf
    with pytest.raises(ParameterError, match="power of two"):
        max_log2_sparse(1000, 32, Security.NONE)
