"""hetorch: run a trained PyTorch model on data that stays encrypted.

compile(model, calibration_inputs) makes a Plan; a server runs it on ciphertexts; a Client encrypts, sends and decrypts.

Only the names in __all__, hetorch.client, those of hetorch.federated and hetorch.inspect, hetorch.server.create_app,
hetorch.tenseal and hetorch.train are stable; everything else may change between versions. Importing hetorch loads
neither torch nor numpy: a name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the same names as in _EXPORTS, for type checkers
    from hetorch import errors as errors
    from hetorch.client.async_client import AsyncClient as AsyncClient
    from hetorch.client.client import Client as Client
    from hetorch.client.vault import Vault as Vault
    from hetorch.client.weights import upload_weights as upload_weights
    from hetorch.compiler.analyze import analyze as analyze
    from hetorch.compiler.api import compile as compile
    from hetorch.compiler.costs.tune import tune as tune
    from hetorch.compiler.frontend.lookup_table import Table as Table
    from hetorch.compiler.frontend.marks import approximate as approximate
    from hetorch.compiler.frontend.marks import elementwise as elementwise
    from hetorch.compiler.frontend.sources.load_model import load_model as load_model
    from hetorch.engine.sharing import Sharing as Sharing
    from hetorch.inspect.evaluate import evaluate as evaluate
    from hetorch.inspect.run_encrypted import run_encrypted as run_encrypted
    from hetorch.inspect.simulate import simulate as simulate
    from hetorch.model_owner.encrypt import save_encrypted_weights as save_encrypted_weights
    from hetorch.plan.plan import Plan as Plan
    from hetorch.plan.public import PublicPlan as PublicPlan

__version__ = "0.1.0"

_EXPORTS: Mapping[str, str] = MappingProxyType(
    {
        "AsyncClient": "hetorch.client.async_client",
        "Client": "hetorch.client.client",
        "Plan": "hetorch.plan.plan",
        "PublicPlan": "hetorch.plan.public",
        "Sharing": "hetorch.engine.sharing",
        "Table": "hetorch.compiler.frontend.lookup_table",
        "Vault": "hetorch.client.vault",
        "analyze": "hetorch.compiler.analyze",
        "approximate": "hetorch.compiler.frontend.marks",
        "compile": "hetorch.compiler.api",
        "elementwise": "hetorch.compiler.frontend.marks",
        "errors": "hetorch.errors",
        "evaluate": "hetorch.inspect.evaluate",
        "load_model": "hetorch.compiler.frontend.sources.load_model",
        "run_encrypted": "hetorch.inspect.run_encrypted",
        "save_encrypted_weights": "hetorch.model_owner.encrypt",
        "simulate": "hetorch.inspect.simulate",
        "tune": "hetorch.compiler.costs.tune",
        "upload_weights": "hetorch.client.weights",
    }
)
"""The module that defines each public name; `errors` is a module itself."""

_MODULES = ("client", "federated", "inspect", "server", "tenseal", "train")
"""The packages with stable names of their own, which are loaded when they are first used too. Type checkers want an
import of them: one here would make the package depend on all its parts."""

__all__ = ["__version__", *_EXPORTS]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load a public name from the module that defines it; AttributeError names the right one for others."""
        if name.startswith("_"):
            raise AttributeError(f"module 'hetorch' has no attribute {name!r}")
        if name not in _EXPORTS and name not in _MODULES:
            from hetorch.signposts import missing_name

            raise AttributeError(missing_name(name, [*_EXPORTS, *_MODULES]))
        from hetorch.optional_packages import explain_missing

        with explain_missing(f"hetorch.{name}"):
            module = importlib.import_module(_EXPORTS.get(name, f"hetorch.{name}"))
        return module if module.__name__ == f"hetorch.{name}" else getattr(module, name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
