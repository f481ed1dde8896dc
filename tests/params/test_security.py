from __future__ import annotations

import math
from itertools import pairwise

import pytest

from hetorch.errors import ParameterError
from hetorch.params.security import Security, max_log2_qp

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
