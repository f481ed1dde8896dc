"""Packed sequences (torch.nn.utils.rnn), which compile if all sequences have their full length.

A program has one length. Packing is then only another order of the elements, so the graph is traced with tensors whose
first axis is that of the steps in place of packed data.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn.utils.rnn import PackedSequence
from torch.overrides import TorchFunctionMode

from hetorch.errors import UnsupportedModelError
from hetorch.ir.analysis import Analysis

_PACK, _PAD = "_pack_padded_sequence", "_pad_packed_sequence"
"""Functions of torch that all functions of torch.nn.utils.rnn go through."""


class LengthCheck(TorchFunctionMode):
    """A context in which a model packs sequences of full length only; `steps` are their lengths.

    Raises:
        UnsupportedModelError: a sequence is shorter.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name
        self.steps: set[int] = set()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run `func`, after the check of its lengths if it packs."""
        if getattr(func, "__name__", "") == _PACK:
            padded, lengths, batch_first = args
            steps = int(padded.shape[1 if batch_first else 0])
            if int(lengths.min()) != steps:
                raise _varying(self.name, int(lengths.min()), int(lengths.max()), steps)
            self.steps.add(steps)
        return func(*args, **(kwargs or {}))

    @property
    def notes(self) -> tuple[str, ...]:
        """The sentences for the user."""
        return tuple(
            f"sequences are packed with their full length of {steps} steps, which every input must have"
            for steps in sorted(self.steps)
        )


def _varying(name: str, least: int, most: int, steps: int) -> UnsupportedModelError:
    problem = (
        f"{name} packs sequences of lengths that vary ({least} to {most} of {steps} steps): a plan has one length, "
        "and the server may not learn another. Pad all sequences to one length without packing them, and give the "
        "model a mask as a further input, 1 at the last step of each sequence: (y * mask).sum(1) is the last output"
    )
    return UnsupportedModelError(problem, Analysis(name, (), problem))


@contextlib.contextmanager
def full_length_packing(model: torch.nn.Module) -> Iterator[None]:
    """Return a context in which packing, and recurrent layers on packed sequences, can be traced."""
    layers = [part for part in model.modules() if isinstance(part, torch.nn.RNNBase)]
    for layer in layers:
        layer.forward = _on_packed(layer, layer.forward)
    try:
        with _Unpacked():
            yield
    finally:
        for layer in layers:
            del layer.forward


class _Unpacked(TorchFunctionMode):
    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name == _PACK:
            return _pack(*args)
        if name == _PAD:
            return _pad(*args)
        return func(*args, **(kwargs or {}))


def _pack(
    padded: torch.Tensor, lengths: torch.Tensor, batch_first: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the elements in the order of packed data, (steps * batch, ...), and the batch sizes of all steps."""
    by_step = padded.transpose(0, 1) if batch_first else padded
    steps, batch = by_step.shape[:2]
    return by_step.reshape(-1, *by_step.shape[2:]), torch.full((steps,), batch, dtype=torch.int64)


def _pad(
    data: torch.Tensor, sizes: torch.Tensor, batch_first: bool, value: float, total: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tensor that was packed, with padding up to `total` steps, and the lengths."""
    steps = sizes.shape[0]
    by_step = _by_step(data, sizes)
    if total > steps:
        by_step = torch.cat([by_step, by_step.new_full((total - steps, *by_step.shape[1:]), value)])
    lengths = torch.full((by_step.shape[1],), steps, dtype=torch.int64)
    return by_step.transpose(0, 1) if batch_first else by_step, lengths


def _by_step(data: torch.Tensor, sizes: torch.Tensor) -> torch.Tensor:
    return data.reshape(sizes.shape[0], -1, *data.shape[1:])


def _on_packed(layer: torch.nn.RNNBase, forward: Callable[..., Any]) -> Callable[..., Any]:
    """Return the forward of a recurrent layer, which takes packed sequences as the tensors that they hold."""

    def run(sequence: Any, hx: Any = None) -> Any:
        if not isinstance(sequence, PackedSequence):
            return forward(sequence, hx)
        by_step = _by_step(sequence.data, sequence.batch_sizes)
        output, state = forward(by_step.transpose(0, 1) if layer.batch_first else by_step, hx)
        by_step = output.transpose(0, 1) if layer.batch_first else output
        data = by_step.reshape(-1, output.shape[-1])
        return PackedSequence(data, *sequence[1:]), state

    return run
