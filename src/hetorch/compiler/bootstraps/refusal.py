"""The reason why a network cannot be bootstrapped under the options."""

from __future__ import annotations

from hetorch.compiler.activations.most_levels import levels_with_bootstraps, most_levels
from hetorch.compiler.options import CompileOptions
from hetorch.ir.tensor_program import TensorProgram
from hetorch.params import Security
from hetorch.params.bootstrap_sizes import STANDARD_RINGS


def bootstrap_refusal(options: CompileOptions) -> str:
    """Return the option that rules out bootstraps; empty if there is none.

    The sets of parameters for bootstrapping are for two rings and 128 bits of security, where the security table has
    rows for the sparse secret; with the security `none`, for any ring. Their scales and digits are fixed.
    """
    if options.bootstrap == "never":
        return 'bootstrap="never"'
    if not options.backend.bootstraps:
        return f'engine="{options.engine}" cannot bootstrap'
    insecure = options.security is Security.NONE
    if not insecure and options.security is not Security.CLASSICAL_128:
        return f'security="{options.security.value}", and the sparse secret has a bound at 128 bits only'
    if not insecure and options.ring_degree not in (None, *STANDARD_RINGS):
        rings = " or ".join(map(str, STANDARD_RINGS))
        return f"ring_degree={options.ring_degree}, and bootstrapping takes {rings}"
    for name in ("scale_bits", "digit_size"):
        if getattr(options, name) is not None:
            return f"{name}={getattr(options, name)}, and bootstrapping has its own"
    if options.encrypted_weights:
        return 'weights="encrypted"'
    if options.objective == "throughput":
        return 'objective="throughput"'
    return ""


def levels_of_ring_only(program: TensorProgram, options: CompileOptions) -> str:
    """Return why the search for degrees has no more levels than a ring, for the user; empty if it has more."""
    refused = bootstrap_refusal(options)
    if refused:
        return f"it is not bootstrapped: {refused}"
    if levels_with_bootstraps(program, options) > most_levels(options):
        return ""
    return "bootstraps, which give more levels, lead to no plan that is nearer to the model"
