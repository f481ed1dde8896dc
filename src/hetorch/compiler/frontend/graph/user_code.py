"""Places in the user's code, and errors of torch, in the words of a message."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

import torch

_LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parents[3]))
"""Folders of torch and hetorch, whose frames are not the user's."""
_LIBRARY_CLASSES = ("torch.", "hetorch.")
"""Modules of Python whose classes of nn.Module are not the user's."""
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')
_CELL = re.compile(r"(^<ipython-input-|[/\\]ipykernel_\d+[/\\]\d+\.py$)")
"""Names of files that stand for the cells of a notebook."""


def node_place(node: torch.fx.Node) -> str:
    """Return the place of a node: file:line of the innermost frame outside torch and hetorch that made it.

    A module that a container of torch calls, as Sequential does, has no line of its own. Its place is its path and
    class, followed by the line that calls the container, if there is one.
    """
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [(path, line) for path, line in frames if not path.startswith(_LIBRARIES)]
    line = _line(*own[-1]) if own else ""
    module = _called_by_library(node)
    return f"{module}, called at {line}" if module and line else module or line


def _called_by_library(node: torch.fx.Node) -> str:
    """Return path and class of the module that makes a node if the user's code does not call it, else nothing."""
    stack = [
        (path.split("@")[0], kind if isinstance(kind, str) else f"{kind.__module__}.{kind.__qualname__}")
        for path, kind in (node.meta.get("nn_module_stack") or {}).values()
    ]
    users = [depth for depth, (_, kind) in enumerate(stack) if not kind.startswith(_LIBRARY_CLASSES)]
    if len(stack) - 1 <= (users[-1] if users else -1) + 1:
        return ""
    path, kind = stack[-1]
    return f"{path} ({kind.rsplit('.', 1)[-1]})"


def _line(path: str, line: str | int | None) -> str:
    """Return file:line, or the line in a cell of a notebook."""
    return f"line {line} of a cell" if _CELL.search(path) else f"{_relative(path)}:{line}"


def error_place(error: BaseException) -> str:
    """Return " at file:line" of the user's code in which an error was raised; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        frame
        for frame in frames
        if _CELL.search(frame.filename) or not frame.filename.startswith((*_LIBRARIES, "<"))
    ]
    return f" at {_line(own[-1].filename, own[-1].lineno)}" if own else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, of at most 300 characters, or the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return (lines[0] if lines else type(error).__name__)[:300]


def described(value: object) -> str:
    """Return the type of a value, and its shape if it has one."""
    shape = getattr(value, "shape", None)
    return type(value).__name__ if shape is None else f"{type(value).__name__} of shape {tuple(shape)}"


def _relative(path: str) -> str:
    """Return a path relative to the working directory if it lies inside."""
    inner = os.path.relpath(path)
    return path if inner.startswith("..") else inner
