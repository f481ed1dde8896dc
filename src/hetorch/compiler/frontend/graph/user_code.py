"""Places in the user's code, and errors of torch, in the words of a message."""

from __future__ import annotations

import os
import re
import traceback
from pathlib import Path

import torch

_LIBRARIES = tuple(f"{folder}{os.sep}" for folder in (Path(torch.__file__).parent, Path(__file__).parents[3]))
"""Folders of torch and hetorch, whose frames are not the user's."""
_FRAME = re.compile(r'File "([^"]+)", line (\d+)')


def node_place(node: torch.fx.Node) -> str:
    """Return file:line of the innermost frame outside torch and hetorch that made a node; empty if there is none."""
    frames = _FRAME.findall(node.meta.get("stack_trace") or "")
    own = [(path, line) for path, line in frames if not path.startswith(_LIBRARIES)]
    if not own:
        return ""
    path, line = own[-1]
    return f"{_relative(path)}:{line}"


def error_place(error: BaseException) -> str:
    """Return " at file:line" of the user's code in which an error was raised; empty if there is none."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if not frame.filename.startswith((*_LIBRARIES, "<"))]
    return f" at {_relative(own[-1].filename)}:{own[-1].lineno}" if own else ""


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
