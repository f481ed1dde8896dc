"""hetorch: run a trained PyTorch model on data that stays encrypted.

compile(model, calibration_inputs) makes a Plan; a server runs it on ciphertexts; a Client encrypts, sends and decrypts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hetorch import errors
    from hetorch.client import Client
    from hetorch.compiler.analyze import analyze
    from hetorch.compiler.api import compile
    from hetorch.compiler.costs.tune import tune
    from hetorch.compiler.frontend.importing import load_model
    from hetorch.compiler.frontend.marks import approximate, elementwise
    from hetorch.compiler.frontend.table import Table
    from hetorch.inspect.run_encrypted import run_encrypted
    from hetorch.inspect.simulate import simulate
    from hetorch.plan import Plan, PublicPlan

__version__ = "0.1.0"
__all__ = [
    "Client",
    "Plan",
    "PublicPlan",
    "Table",
    "__version__",
    "analyze",
    "approximate",
    "compile",
    "elementwise",
    "errors",
    "load_model",
    "run_encrypted",
    "simulate",
    "tune",
]


def __getattr__(name: str) -> Any:
    """Load what is asked for, when it is asked for: importing hetorch loads neither torch nor the engine."""
    match name:
        case "compile":
            return importlib.import_module("hetorch.compiler.api").compile
        case "tune":
            return importlib.import_module("hetorch.compiler.costs.tune").tune
        case "analyze":
            return importlib.import_module("hetorch.compiler.analyze").analyze
        case "approximate" | "elementwise":
            return getattr(importlib.import_module("hetorch.compiler.frontend.marks"), name)
        case "Table":
            return importlib.import_module("hetorch.compiler.frontend.table").Table
        case "load_model":
            return importlib.import_module("hetorch.compiler.frontend.importing").load_model
        case "Plan" | "PublicPlan":
            return getattr(importlib.import_module("hetorch.plan"), name)
        case "Client":
            return importlib.import_module("hetorch.client").Client
        case "run_encrypted":
            return importlib.import_module("hetorch.inspect.run_encrypted").run_encrypted
        case "simulate":
            return importlib.import_module("hetorch.inspect.simulate").simulate
        case "errors":
            return importlib.import_module("hetorch.errors")
    raise AttributeError(f"module 'hetorch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
