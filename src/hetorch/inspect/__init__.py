"""Layer 6: running a plan in one process, to look inside before it is served.

The names below are loaded when they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in _EXPORTS, for type checkers
    from hetorch.inspect.divergence import find_divergence as find_divergence
    from hetorch.inspect.onnx_graph import to_onnx_graph as to_onnx_graph
    from hetorch.inspect.resource_watch import resources as resources
    from hetorch.inspect.sweeps.result import load_sweep as load_sweep
    from hetorch.inspect.sweeps.sweep import sweep as sweep
    from hetorch.inspect.trace_layers import trace as trace

_EXPORTS = {
    "find_divergence": "hetorch.inspect.divergence",
    "load_sweep": "hetorch.inspect.sweeps.result",
    "resources": "hetorch.inspect.resource_watch",
    "sweep": "hetorch.inspect.sweeps.sweep",
    "to_onnx_graph": "hetorch.inspect.onnx_graph",
    "trace": "hetorch.inspect.trace_layers",
}
"""The module that defines each public name."""

__all__ = list(_EXPORTS)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it."""
        if name not in _EXPORTS:
            raise AttributeError(f"module 'hetorch.inspect' has no attribute {name!r}")
        return getattr(importlib.import_module(_EXPORTS[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
