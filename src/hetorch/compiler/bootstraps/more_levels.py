"""The networks of polynomials that may be compiled: within the levels of a ring, or with those of bootstraps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.most_levels import levels_of_any_degrees, levels_with_bootstraps
from hetorch.compiler.bootstraps.refusal import bootstrap_refusal, levels_of_ring_only
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import TensorProgram

NetworkOf = Callable[[int | None, str], Approximated]
"""Makes the network of at most that many levels (None: those that a ring has bits for), and says why there are no
more."""


def nearest_networks(
    program: TensorProgram, options: CompileOptions, network_of: NetworkOf
) -> tuple[Approximated, ...]:
    """Return the networks to compile, the nearest to the model first.

    There is one, or two where a ring has too few levels for the goal: the first of them then needs bootstraps, the
    second one is nearest within one ring.

    Args:
        program: the network with activations, fused.
        options: the options of hetorch.compile.
        network_of: makes a network.
    """
    refused, ring_only = bootstrap_refusal(options), levels_of_ring_only(program, options)
    nearest = network_of(None if refused else levels_with_bootstraps(program, options), ring_only)
    if refused or not ring_only or not nearest.missing_levels:
        return (nearest,)
    try:
        deeper = network_of(levels_of_any_degrees(program), "")
    except InfeasibleError:
        return (nearest,)
    if _is_nearer(deeper, nearest):
        return replace(deeper, without_bootstraps=_sentence(nearest)), nearest
    return (nearest,)


def _is_nearer(one: Approximated, other: Approximated) -> bool:
    if not one.shortfall:
        return True
    return (one.agreement, -one.error) > (other.agreement, -other.error)


def _sentence(ring: Approximated) -> str:
    """Return how near the network within one ring is to the model, for the user."""
    agreed = (
        f" and the argmax agrees on {ring.agreement:.2%} of the calibration inputs"
        if ring.has_classes
        else ""
    )
    return (
        f'without bootstraps (bootstrap="never") the outputs differ from the model\'s by {ring.error:.2%} of their '
        f"range{agreed}"
    )
