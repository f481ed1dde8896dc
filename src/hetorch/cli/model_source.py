"""The model that the user names on the command line."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from hetorch.errors import InputError, MissingPackageError, UnsupportedModelError
from hetorch.optional_packages import explain_missing

METAVAR = "MODEL"
HELP = "FILE.py:name, FILE.pt2 or FILE.onnx; the code of the file is run."
"""The help of this argument."""
FORMS = (
    "write FILE.py:name (an nn.Module, a fitted scikit-learn estimator, a class or a function without arguments), "
    "FILE.pt2 or FILE.onnx"
)

PICKLES = (".pt", ".pth", ".pkl", ".pickle", ".joblib", ".ckpt")
"""Endings of files that are not opened, because reading a pickle runs the code that it holds."""


def load_model(source: str) -> object:
    """Return the model of `FILE.py:name`, `FILE.pt2` or `FILE.onnx`; this runs the file's code.

    Raises:
        InputError: the source names no model.
        MissingPackageError: its code needs a package that an extra of hetorch installs.
        UnsupportedModelError: the function that should make the model failed.
    """
    if source.endswith((".pt2", ".onnx")):
        from hetorch import load_model as load_file

        return load_file(_existing(source))
    if Path(source).is_dir():
        from hetorch.plan.store import MANIFEST

        if (Path(source) / MANIFEST).is_file():
            raise InputError(
                f"{source!r} is a plan, which is compiled already: `hetorch inspect` shows it, `hetorch serve` runs it"
            )
    if source.endswith(PICKLES):
        raise InputError(
            f"{source!r} is a pickle, which runs whatever it holds and is not opened; load it in a Python file, if you "
            f"trust it, with torch.load or joblib.load in a function that returns the model, and {FORMS}"
        )
    path, separator, name = source.rpartition(":")
    if not separator or not path.endswith(".py") or not name.isidentifier():
        raise InputError(f"{source!r} names no model; {FORMS}")
    module = _import_file(_existing(path))
    try:
        model = getattr(module, name)
    except AttributeError:
        raise InputError(f"{path} has no {name!r}; {FORMS}") from None
    if callable(model) and not _is_model(model):
        try:
            with explain_missing(f"{name}() of {path}"):
                model = model()
        except MissingPackageError:
            raise
        except Exception as error:  # The user's code may raise anything.
            raise UnsupportedModelError(
                f"{name}() of {path} failed: {type(error).__name__}: {error}"
            ) from error
    if not _is_model(model):
        kind = type(model).__name__
        article = "an" if kind[0].lower() in "aeiou" else "a"
        raise InputError(f"{name} of {path} is {article} {kind}, not a model; {FORMS}")
    return model


def _is_model(value: object) -> bool:
    """Return True for a module, an exported program or an estimator, and False for their classes."""
    return not isinstance(value, type) and (hasattr(value, "state_dict") or hasattr(value, "get_params"))


def _existing(path: str) -> Path:
    file = Path(path)
    if not file.is_file():
        raise InputError(f"there is no file {path!r}; {FORMS}")
    return file


def _import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise InputError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    # The file may import its neighbours, as when Python runs it.
    sys.path.insert(0, str(path.parent.resolve()))
    sys.modules[path.stem] = module
    try:
        with explain_missing(str(path)):
            spec.loader.exec_module(module)
    except MissingPackageError:
        raise
    except Exception as error:  # The user's code may raise anything.
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module
