"""Packages that only some parts of hetorch need, the extras that install them, and the message if one is missing."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

from hetorch.errors import MissingPackageError

EXTRAS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "compile": {"scipy": "scipy", "torch": "torch"},
        "onnx": {"onnx": "onnx"},
        "serve": {
            "h11": "h11",
            "httptools": "httptools",
            "prometheus-client": "prometheus_client",
            "starlette": "starlette",
            "uvicorn": "uvicorn",
        },
        "telemetry": {"opentelemetry-api": "opentelemetry", "opentelemetry-sdk": "opentelemetry"},
        "flower": {"flwr": "flwr"},
        "ray": {"ray[serve]": "ray"},
        "s3": {"fsspec": "fsspec", "s3fs": "s3fs"},
        "demo": {"matplotlib": "matplotlib", "mlxtend": "mlxtend"},
        "notebook": {
            "ipykernel": "ipykernel",
            "jupytext": "jupytext",
            "pandas": "pandas",
            "pyarrow": "pyarrow",
            "scikit-learn": "sklearn",
        },
        "seal": {"seal-python": "seal", "zstandard": "zstandard"},
    }
)
"""The packages of each extra of pyproject.toml, with the module that each package contains."""


def require(module: str, purpose: str) -> Any:
    """Return an optional module, or raise MissingPackageError, which begins with `purpose`, if it is not installed."""
    with explain_missing(purpose):
        return importlib.import_module(module)


@contextmanager
def explain_missing(purpose: str) -> Iterator[None]:
    """Turn the ImportError of an optional package into a MissingPackageError; others pass through.

    `purpose` is the subject of the sentence "... needs the package torch".
    """
    try:
        yield
    except ModuleNotFoundError as error:
        missing = missing_package(error, purpose)
        if missing is None:
            raise
        raise missing from error


def missing_package(error: ModuleNotFoundError, purpose: str) -> MissingPackageError | None:
    """Return the error that tells how to install the missing package; None if it belongs to no extra."""
    wanted = (error.name or "").partition(".")[0]
    for extra, packages in EXTRAS.items():
        for package, module in packages.items():
            if module == wanted:
                return MissingPackageError(
                    f"{purpose} needs the package {package}, which is not installed: pip install 'hetorch[{extra}]'"
                )
    return None
