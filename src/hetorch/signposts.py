"""The way from a name that the package does not have to the one that the user looks for.

Users bring the names of other libraries, and guess. hetorch.plan.signposts does the same for the names of a plan.
"""

from __future__ import annotations

import difflib
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")

LOAD = "hetorch.Plan.load(folder) reads a plan, hetorch.load_model(file) a model"
SAVE = "plan.save(folder) writes a plan, and hetorch.Plan.load(folder) reads it again"
RUN = (
    "hetorch.simulate(plan, x) and hetorch.run_encrypted(plan, x) run a plan in this process, and "
    "hetorch.Client(url).predict(x) asks a server"
)
ENCRYPT = (
    "hetorch.Client(url).predict(x) encrypts, sends and decrypts, and hetorch.run_encrypted(plan, x) does all of it in "
    "this process; hetorch.tenseal has vectors to compute with"
)
SERVE = "`hetorch serve FOLDER` serves a plan, and hetorch.server.create_app makes an application for a server of yours"
KEYS = "hetorch.Client(url).make_keys() or `hetorch keygen` makes keys in a vault"
COMPILE = "hetorch.compile(model, calibration_inputs) makes a plan"

_NAMES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        LOAD: (
            "load",
            "load_plan",
            "open",
            "open_plan",
            "read",
            "read_plan",
            "restore",
            "from_file",
            "from_onnx",
        ),
        SAVE: ("save", "save_plan", "dump", "dumps", "export", "write", "serialize", "deserialize"),
        RUN: ("run", "predict", "infer", "execute", "forward", "inference"),
        ENCRYPT: ("encrypt", "decrypt", "ckks_vector", "ckks_tensor", "context", "Context"),
        SERVE: ("serve", "Server", "deploy", "create_app"),
        KEYS: ("keygen", "keys", "make_keys", "generate_keys", "gen_keys"),
        COMPILE: ("convert", "trace", "Model", "Compiler", "compile_torch_model", "fit"),
    }
)
SIGNPOSTS: Mapping[str, str] = MappingProxyType(
    {name: sentence for sentence, names in _NAMES.items() for name in names}
)
"""The sentence that answers each name."""


def explain_positional(sentence: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Return a decorator for a function whose last arguments have names: too many without one raise a TypeError that
    ends with `sentence`, the right call."""

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        most = sum(p.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD for p in parameters)

        @functools.wraps(function)
        def called(*arguments: P.args, **named: P.kwargs) -> R:
            if len(arguments) > most:
                raise TypeError(
                    f"{function.__name__} takes {most} arguments without a name, and was given {len(arguments)}; "
                    f"{sentence}"
                )
            return function(*arguments, **named)

        return called

    return decorate


def missing_name(name: str, known: Iterable[str]) -> str:
    """Return the message for a `name` that the package does not have; `known` are those that it has."""
    told = f"module 'hetorch' has no attribute {name!r}"
    if name in SIGNPOSTS:
        return f"{told}: {SIGNPOSTS[name]}"
    near = difflib.get_close_matches(name, known, n=1)
    return f"{told}; did you mean hetorch.{near[0]}?" if near else told
