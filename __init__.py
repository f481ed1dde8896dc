"""The checkout is not the package, which is src/hetorch; this file is for a Python that was started beside it.

A checkout in a folder `hetorch` would otherwise be imported, from the folder above it, as an empty namespace package.
This file hands over to the hetorch that is installed, or to src/hetorch if its compiled core is there, and says what to
do where neither is. Under any other name than `hetorch` it does nothing.
"""

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ModuleSpec, PathFinder
from importlib.util import module_from_spec
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parent


def _installed() -> ModuleSpec | None:
    """Return the spec of the hetorch that Python would find if this checkout were elsewhere."""
    elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != _CHECKOUT.parent]
    for finder in sys.meta_path:
        path = elsewhere if finder is PathFinder else None
        spec = finder.find_spec("hetorch", path) if hasattr(finder, "find_spec") else None
        if spec is not None and spec.origin is not None and Path(spec.origin) != Path(__file__):
            return spec
    return None


def _built() -> ModuleSpec | None:
    """Return the spec of src/hetorch, or None unless its core is compiled for this Python."""
    engine = _CHECKOUT / "src" / "hetorch" / "engine"
    if any((engine / f"_native{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
        return PathFinder.find_spec("hetorch", [str(_CHECKOUT / "src")])
    return None


if __name__ == "hetorch":
    _spec = _installed() or _built()
    if _spec is None or _spec.loader is None:
        raise ImportError(
            f"{_CHECKOUT} is a checkout of hetorch that was not built for this Python, and no hetorch is installed: "
            f"run {_CHECKOUT / 'scripts' / 'setup'} and start {_CHECKOUT / '.venv' / 'bin' / 'python'}, or run "
            f"pip install '{_CHECKOUT}'",
            name="hetorch",
            path=str(_CHECKOUT),
        )
    _package = module_from_spec(_spec)
    sys.modules["hetorch"] = _package  # in place of this module, which the import statement then returns
    _spec.loader.exec_module(_package)
