"""How many levels a polynomial takes: one rule for the compiler and for every engine."""

from __future__ import annotations

from hetorch.errors import ParameterError


def polynomial_depth(degree: int) -> int:
    """Levels that a Chebyshev series of this degree (>= 1) uses: ceil(log2(degree + 1)).

    Paterson-Stockmeyer in the Chebyshev basis with the coefficient product folded into the last baby step reaches
    this bound (Bossuat et al., Eurocrypt 2021, section 5).
    """
    if degree < 1:
        raise ParameterError(f"a polynomial needs degree >= 1, got {degree}")
    return degree.bit_length()
