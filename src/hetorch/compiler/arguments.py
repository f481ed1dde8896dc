"""Numbers that users give: of the right type and within their range, or an error that names them."""

from __future__ import annotations

from numbers import Integral, Real

from hetorch.errors import InputError
from hetorch.ir.tensor_program import MOST_DEGREE


def check_number(name: str, value: object, *, whole: bool, meaning: str = "") -> None:
    """InputError unless `value` is None or a number, and no truth value."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise InputError(
            f"{name} must be {'a whole number' if whole else 'a number'}{meaning}, got {value!r}"
        )


def check_activations(
    degree: int | None,
    precision: float | None,
    tolerance: float,
    agreement: float,
    ranges: str,
) -> None:
    """InputError unless these are what hetorch.compile takes as its activation_... arguments."""
    check_number("activation_degree", degree, whole=True)
    check_number("activation_precision", precision, whole=False)
    check_number("activation_tolerance", tolerance, whole=False)
    check_number("activation_agreement", agreement, whole=False)
    if tolerance is None or not 0 < tolerance < 1:
        raise InputError(f"activation_tolerance must be between 0 and 1, got {tolerance}")
    if agreement is None or not 0 <= agreement <= 1:
        raise InputError(f"activation_agreement must be between 0 and 1, got {agreement}")
    if precision is not None and not 2.0**-20 <= precision < 1:
        raise InputError(f"activation_precision must be from 2^-20 to 1, got {precision}")
    if degree is not None and not 1 <= degree <= MOST_DEGREE:
        raise InputError(f"activation_degree must be 1..{MOST_DEGREE}, got {degree}")
    if ranges not in ("calibrated", "interval"):
        raise InputError(f'activation_ranges must be "calibrated" or "interval", got {ranges!r}')
