"""The model that `hetorch compile` was pointed at."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from hetorch.errors import InputError, UnsupportedModelError

FORMS = (
    "write FILE.py:name (an nn.Module, a fitted scikit-learn estimator, a class or a function without arguments), "
    "FILE.pt2 or FILE.onnx"
)


def load_model(source: str) -> object:
    """The nn.Module of `FILE.py:name`, `FILE.pt2` or `FILE.onnx`; runs the file's code. InputError says what is wrong
    with it."""
    if source.endswith((".pt2", ".onnx")):
        from hetorch.compiler.frontend.sources.load_model import load_model as load_file

        return load_file(_existing(source))
    path, separator, name = source.rpartition(":")
    if not separator or not path.endswith(".py") or not name.isidentifier():
        raise InputError(f"{source!r} names no model; {FORMS}")
    module = _import_file(_existing(path))
    try:
        found = getattr(module, name)
    except AttributeError:
        raise InputError(f"{path} has no {name!r}; {FORMS}") from None
    if callable(found) and not _is_model(found):
        try:
            found = found()
        except Exception as error:  # the user's code: anything may come
            raise UnsupportedModelError(
                f"{name}() of {path} failed: {type(error).__name__}: {error}"
            ) from error
    if not _is_model(found):
        kind = type(found).__name__
        article = "an" if kind[0].lower() in "aeiou" else "a"
        raise InputError(f"{name} of {path} is {article} {kind}, not a model; {FORMS}")
    return found


def _is_model(found: object) -> bool:
    """A module, an exported program or an estimator; a class of these makes one."""
    return not isinstance(found, type) and (hasattr(found, "state_dict") or hasattr(found, "get_params"))


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
    sys.path.insert(
        0, str(path.parent.resolve())
    )  # so that the file may import its neighbours, as when it is run
    sys.modules[path.stem] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # the user's code: anything may come
        raise InputError(f"{path} cannot be imported: {type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent.resolve()))
    return module
