"""The number of levels that a network may have: those that the largest ring has bits for."""

from __future__ import annotations

from hetorch.compiler.options import CompileOptions
from hetorch.params import Security, max_log2_qp

LEVEL_BITS = 30
"""Bits of a level that the search for degrees reckons with: a scale with enough precision for a deep network. Raised,
networks get fewer levels; lowered, more of them find no parameters afterwards."""
OTHER_BITS = 120
"""Bits of the first prime and of the special primes together, which no level uses."""


def most_levels(options: CompileOptions) -> int:
    """Return the most levels for which parameters can be expected under the options."""
    ring = options.ring_degree or options.backend.largest_ring
    # Without a security level there is no end: networks then get as many levels as with the usual one.
    security = Security.CLASSICAL_128 if options.security is Security.NONE else options.security
    bits = int(max_log2_qp(ring, security))
    return max(1, (bits - OTHER_BITS) // (options.scale_bits or LEVEL_BITS))
