"""The number of levels that a network may have: those that the largest ring has bits for, or more with bootstraps."""

from __future__ import annotations

from hetorch.compiler.activations.longest_path import longest_path
from hetorch.compiler.activations.time_of_degrees import USUAL_DEPTH
from hetorch.compiler.options import MOST_DEGREE, MOST_SCALE_BITS, CompileOptions
from hetorch.engine.polynomial import polynomial_depth
from hetorch.ir.tensor_program import Activation, TensorProgram
from hetorch.params import Security, max_log2_qp

LEVEL_BITS, LEAST_LEVEL_BITS = 32, 28
"""Bits of a level: with which the search for degrees reckons, and with which a deep network may just find parameters.
The first, raised, gives networks fewer levels; lowered, more of them find no parameters afterwards."""
OTHER_BITS = 110
"""Bits of the first prime and of the special primes together, which no level uses."""


def most_levels(options: CompileOptions) -> int:
    """Return the most levels that the search for degrees may use under the options."""
    return _levels(options, options.scale_bits or LEVEL_BITS)


def levels_that_fit(options: CompileOptions) -> int:
    """Return a number of levels beyond which no parameters can be expected under the options."""
    return _levels(options, options.scale_bits or LEAST_LEVEL_BITS)


def levels_that_always_fit(options: CompileOptions) -> int:
    """Return a number of levels up to which the largest ring has primes of any size that a scale may ask for."""
    return _levels(options, MOST_SCALE_BITS)


def levels_with_bootstraps(program: TensorProgram, options: CompileOptions) -> int:
    """Return the most levels that the search for degrees may use if values can be bootstrapped.

    A network that fits a ring with polynomials of usual degrees is kept in one; a deeper one may have any degrees.
    """
    activations = sum(isinstance(op, Activation) for op in program.operations)
    most = most_levels(options)
    if longest_path(program, [USUAL_DEPTH] * activations) <= most:
        return most
    return levels_of_any_degrees(program)


def levels_of_any_degrees(program: TensorProgram) -> int:
    """Return the levels that a network takes with polynomials of the highest degrees."""
    activations = sum(isinstance(op, Activation) for op in program.operations)
    return longest_path(program, [polynomial_depth(MOST_DEGREE)] * activations)


def _levels(options: CompileOptions, level_bits: int) -> int:
    ring, security = options.ring_degree or options.backend.largest_ring, options.security
    if security is Security.NONE:
        # Any ring then takes any number of bits: networks get as many levels as the largest one with the usual level.
        ring, security = options.backend.largest_ring, Security.CLASSICAL_128
    return max(1, (int(max_log2_qp(ring, security)) - OTHER_BITS) // level_bits)
