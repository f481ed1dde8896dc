"""Lower bounds of the keys and the memory of any program with the bootstraps of a set, from the set alone."""

from __future__ import annotations

from functools import lru_cache

from hetorch.compiler.search.request import Request
from hetorch.engine.bootstrap_keys import bootstrap_keys, diagonal_bytes
from hetorch.params.bootstrap_set import BootstrapSet
from hetorch.plan.memory import key_memory
from hetorch.plan.sizes import evaluation_key_bytes


@lru_cache(maxsize=512)
def least_key_bytes(boot: BootstrapSet) -> int:
    """Return the bytes on the wire of the keys of a bootstrap, which every plan with the set has."""
    return evaluation_key_bytes(boot.parameters, bootstrap_keys(boot))


@lru_cache(maxsize=512)
def least_memory(boot: BootstrapSet, depth: int) -> int:
    """Return bytes that every run of a program of `depth` levels takes.

    These are the keys of a bootstrap and, if the program is too deep for the levels of a fresh ciphertext, its
    diagonals.
    """
    held = key_memory(boot.parameters, bootstrap_keys(boot))
    return held + (diagonal_bytes(boot) if depth > boot.output_level + 1 else 0)


def may_keep_limits(request: Request, boot: BootstrapSet) -> bool:
    """Return whether a plan with this set may keep the limits on keys and memory; False if none does."""
    if least_key_bytes(boot) > request.key_limit:
        return False
    memory, depth = request.memory_limit, min(variant.levels[0] for variant in request.variants)
    return memory is None or least_memory(boot, depth) <= memory
