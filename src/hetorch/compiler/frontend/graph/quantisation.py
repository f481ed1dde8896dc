"""Quantised models are refused; fake quantisation (quantisation-aware training), which only rounds, is left out."""

from __future__ import annotations

import torch

from hetorch.errors import UnsupportedModelError
from hetorch.ir.analysis import Analysis

_QUANTISED = ("torch.ao.nn.quantized", "torch.ao.nn.intrinsic.quantized", "torch.ao.nn.sparse.quantized")
"""Packages of torch whose modules compute with whole numbers."""
_TENSORS = ("torchao.", "bitsandbytes.", "optimum.quanto.", "torch.ao.")
"""Packages whose kinds of tensors hold quantised weights."""
_ROUNDING, _WATCHING = "FakeQuantizeBase", "ObserverBase"
"""Classes of torch.ao.quantization and torchao: modules that round their input to the steps of a quantised model, and
modules that watch the range of their input and return it as it is."""


def check_not_quantised(model: torch.nn.Module, name: str) -> None:
    """Raise an UnsupportedModelError if a module or a weight of a model is quantised."""
    quantised = next((item for item in _parts(model) if item is not None), None)
    if quantised is None:
        return
    path, kind = quantised
    problem = (
        f"{name} is a quantised model ({path or name} is a {kind}): it rounds to whole numbers, which cannot be done "
        "on encrypted data; compile the float model from which it was made"
    )
    raise UnsupportedModelError(problem, Analysis(name, (), problem))


def without_fake_quantisation(model: torch.nn.Module) -> tuple[str, ...]:
    """Replace the modules that round, or watch ranges, by identities in `model`, and return the notes for the user."""
    rounding = 0
    for part in model.modules():
        for name, child in part.named_children():
            bases = {base.__name__ for base in type(child).__mro__}
            if bases & {_ROUNDING, _WATCHING}:
                rounding += _ROUNDING in bases
                setattr(part, name, torch.nn.Identity())
    if not rounding:
        return ()
    return (
        f"the model was trained for quantisation: the rounding of its {rounding} fake-quantisation modules is left "
        "out, and errors are measured against the network without it",
    )


def _parts(model: torch.nn.Module) -> list[tuple[str, str] | None]:
    """Return path and class of each module and weight that is quantised, and None for the others."""
    modules = [
        (path, type(part).__name__) if type(part).__module__.startswith(_QUANTISED) else None
        for path, part in model.named_modules()
    ]
    weights = [
        (path, f"tensor of type {tensor.dtype}" if tensor.is_quantized else type(tensor).__name__)
        if tensor.is_quantized or type(tensor.data).__module__.startswith(_TENSORS)
        else None
        for path, tensor in (*model.named_parameters(), *model.named_buffers())
    ]
    return [*modules, *weights]
