"""The network of polynomials with more levels than a ring has, where those of one ring are too few for the goal."""

from __future__ import annotations

from collections.abc import Callable

from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.longest_path import longest_path
from hetorch.compiler.activations.most_levels import levels_of_any_degrees, levels_that_fit
from hetorch.compiler.bootstraps.refusal import bootstrap_refusal, levels_of_ring_only
from hetorch.compiler.options import CompileOptions
from hetorch.errors import InfeasibleError
from hetorch.ir.tensor_program import TensorProgram


def with_more_levels(
    program: TensorProgram,
    options: CompileOptions,
    nearest: Approximated,
    network_of: Callable[[int], Approximated],
) -> Approximated | None:
    """Return the network that bootstraps make possible and that is nearer to the model.

    Args:
        program: the network with activations, fused.
        options: the options of hetorch.compile.
        nearest: the network of polynomials that is nearest within one ring.
        network_of: makes the network of at most so many levels.

    Returns:
        None if levels are not what `nearest` misses, if bootstraps are ruled out, or if more levels are of no help.
    """
    ring_only = levels_of_ring_only(program, options)
    if bootstrap_refusal(options) or not ring_only or ring_only not in nearest.shortfall:
        return None
    try:
        deeper = network_of(levels_of_any_degrees(program))
    except InfeasibleError:
        return None
    levels = longest_path(program, [fit.depth for fit in deeper.fits])
    return deeper if levels > levels_that_fit(options) and _is_nearer(deeper, nearest) else None


def _is_nearer(one: Approximated, other: Approximated) -> bool:
    if not one.shortfall:
        return True
    return (one.agreement, -one.error) > (other.agreement, -other.error)
