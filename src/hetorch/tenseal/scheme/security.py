"""The security tables that parameters are held against, and the warning for those of the older table."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Sequence

from hetorch.errors import LegacySecurityWarning, SecurityError
from hetorch.params import Security
from hetorch.params.security import max_log2_qp


def check_security(ring_degree: int, primes: Sequence[int], security: Security | str | None = None) -> None:
    """Check a modulus that SEAL has accepted, and that is therefore within the standard of 2018.

    Args:
        ring_degree: N.
        primes: all primes, the special one included.
        security: the table to ask. None asks the 2024 table, and beyond it gives a LegacySecurityWarning only.

    Raises:
        SecurityError: the modulus is beyond the table that `security` names.
    """
    asked = Security.CLASSICAL_128 if security is None else Security.parse(security)
    # The comparison is in integers: a product slightly above the bound must not be rounded down to it.
    bits, bound = math.prod(primes).bit_length(), max_log2_qp(ring_degree, asked)
    if bits <= bound:
        return
    refusal = (
        f"coeff_modulus has {bits} bits, more than the {bound:.0f} of row N = {ring_degree}, security {asked.value} "
        f"of {asked.source}"
    )
    if security is not None:
        raise SecurityError(f"{refusal}; use a larger poly_modulus_degree or fewer or smaller primes")
    warn_legacy(refusal)


def warn_legacy(refusal: str) -> None:
    """Warn that parameters are accepted under the standard of 2018; `refusal` says why the 2024 table refuses them."""
    warnings.warn(
        f"{refusal}. They are accepted under {Security.HE_STANDARD_2018.source}, which SEAL and TenSEAL follow, "
        "and which newer attacks have overtaken a little",
        LegacySecurityWarning,
        stacklevel=depth_of_caller(),
    )


def depth_of_caller() -> int:
    """Return the `stacklevel` of the first frame outside `hetorch.tenseal`, the line that a warning is about."""
    depth = 1
    frame = sys._getframe(1)
    while frame.f_back is not None and str(frame.f_globals.get("__name__", "")).startswith("hetorch.tenseal"):
        frame = frame.f_back
        depth += 1
    return depth
