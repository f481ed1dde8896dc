"""The tolerance for the scales of operands that must have equal ones."""

from __future__ import annotations

SCALE_TOLERANCE = 2.0**-20
"""Largest relative difference of the scales of two operands of a sum. The sum has the scale of the first operand, so
the values of the second are wrong by that difference; with a larger tolerance they may be wrong by more.

2^-20 lies below the noise of any usable plan and far above the rounding of a double. The core has the same number
(cpp/ckks/evaluator.h, kScaleTolerance); tests/params/test_scales.py checks it for all engines.
"""
