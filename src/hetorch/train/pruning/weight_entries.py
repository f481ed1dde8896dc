"""The weights behind the entries of a layer's matrix: which number of `weight` each non-zero is.

A layer's matrix has each weight many times. The frontend reads a copy of the model whose weights all differ, so that
the value of an entry names its weight. This holds for every kind of layer that the frontend writes without computing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import nn
from torch.nn.utils import parametrize, prune

from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.frontend.graph.frozen_copy import frozen_copy
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.packing.diagonals import coordinates
from hetorch.ir.tensor_program import Affine, TensorProgram

Indices = NDArray[np.int64]
PRUNABLE = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""Kinds of layers whose `weight` can be pruned."""
MOST_WEIGHTS = 1 << 22
"""Largest number of weights of a layer that is pruned: so many different values fit in float32 beside one another.
Raised, values would coincide."""


@dataclass(frozen=True, slots=True, eq=False)
class Entries:
    """The non-zeros of a layer's matrix, operation `index` of a program: their rows, columns and weights (flat)."""

    index: int
    rows: Indices
    columns: Indices
    weights: Indices


@dataclass(frozen=True, slots=True, eq=False)
class TaggedModel:
    """A captured model without zeros in the prunable weights, and the `entries` of each such layer, by name."""

    program: TensorProgram
    entries: Mapping[str, tuple[Entries, ...]]


def prunable_layers(model: nn.Module) -> dict[str, nn.Conv1d | nn.Conv2d | nn.Linear]:
    """Return the layers whose weights can be pruned, by name."""
    return {
        name: module
        for name, module in model.named_modules()
        if isinstance(module, PRUNABLE)
        and not parametrize.is_parametrized(module, "weight")
        and module.weight.numel() <= MOST_WEIGHTS
    }


def tagged_model(model: nn.Module, example_inputs: object, options: CompileOptions) -> TaggedModel:
    """Capture a copy of the model in which all weights of a prunable layer differ."""
    copied = frozen_copy(model, type(model).__name__)
    values = {}
    for name, module in prunable_layers(copied).items():
        if prune.is_pruned(module) and hasattr(module, "weight_mask"):
            prune.remove(module, "weight")  # type: ignore[no-untyped-call]
        values[name] = _different(module.weight)
        with torch.no_grad():
            module.weight.copy_(values[name].reshape(module.weight.shape))
    program = capture(copied, example_inputs, options.outputs).program
    entries = {name: _entries(program, name, value.double().numpy()) for name, value in values.items()}
    return TaggedModel(program, {name: own for name, own in entries.items() if own})


def _different(weight: torch.Tensor) -> torch.Tensor:
    """Return different numbers other than zero, in no order, as many and about as large as the weights."""
    count = weight.numel()
    bound = 2.0 * float(weight.detach().abs().mean()) or 1.0
    numbers = np.linspace(-bound, bound, 2 * ((count + 1) // 2))[:count]
    mixed = np.random.default_rng(0).permutation(numbers)
    return torch.from_numpy(mixed).to(weight.dtype)


def _entries(program: TensorProgram, name: str, values: NDArray[np.float64]) -> tuple[Entries, ...]:
    """Return the entries of the layer's operations; none if their matrices hold other numbers than its weights."""
    order = np.argsort(values)
    ascending = values[order]
    entries = []
    for index, op in enumerate(program.operations):
        if not isinstance(op, Affine) or op.name != name:
            continue
        place = np.minimum(np.searchsorted(ascending, op.matrix.data), len(values) - 1)
        if not np.array_equal(ascending[place], op.matrix.data):
            return ()
        entries.append(Entries(index, *coordinates(sparse.csr_array(op.matrix)), order[place]))
    return tuple(entries)
