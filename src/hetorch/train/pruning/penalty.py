"""`hetorch.train.diagonal_penalty`: a group lasso that drives whole diagonals of the compiled layout to zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from hetorch.compiler.options import CompileOptions
from hetorch.train.pruning.chosen_layout import choose_layout
from hetorch.train.pruning.diagonal_groups import find_groups

SMALLEST = 1e-12
"""Added to each sum of squares, so that the gradient of a group of zeros is finite. Raised, groups near zero are pulled
less."""


class DiagonalPenalty:
    """A penalty to add to the loss: the mean over the prunable diagonals of the root mean square of their weights.

    It is computed from the model's present weights each time that it is called, and has a gradient.
    """

    def __init__(
        self,
        model: nn.Module,
        layers: Sequence[tuple[str, torch.Tensor, torch.Tensor]],
    ) -> None:
        """Keep the model, and for each layer its name, and the (diagonal, weight) pairs as two tensors."""
        self._model = model
        self._layers = list(layers)

    @property
    def diagonals(self) -> int:
        """The number of diagonals that are penalised."""
        return sum(int(diagonal.max()) + 1 for _, diagonal, _ in self._layers)

    def __call__(self) -> torch.Tensor:
        """Return the penalty, a scalar of about the size of a weight."""
        total: torch.Tensor | None = None
        for name, diagonal, weight in self._layers:
            values = self._model.get_submodule(name).weight.reshape(-1)  # type: ignore[operator]
            assert isinstance(values, torch.Tensor)
            count = int(diagonal.max()) + 1
            place, number = diagonal.to(values.device), weight.to(values.device)
            squares = torch.zeros(count, dtype=values.dtype, device=values.device)
            squares = squares.index_add(0, place, values[number].square())
            sizes = torch.bincount(place, minlength=count).to(values.dtype)
            own = (squares / sizes + SMALLEST).sqrt().sum()
            total = own if total is None else total + own
        assert total is not None
        return total / self.diagonals


def diagonal_penalty(
    model: nn.Module, example_inputs: object, *, layers: Sequence[str] | None = None, **options: Any
) -> DiagonalPenalty:
    """Return a penalty that drives the weights of whole diagonals to zero together, for hetorch.train.prune to remove.

    Use it in a training loop of your own: `loss = criterion(model(x), y) + 0.1 * penalty()`.

    Args:
        model: the model that is trained; the penalty reads its weights.
        example_inputs: as the calibration_inputs of hetorch.compile.
        layers: names of the layers to penalise; all convolutions and linear layers if left out.
        **options: those with which the model will be compiled, since they change the layout.

    Raises:
        InputError: a wrong argument, or no weights that can be pruned.
        UnsupportedModelError, InfeasibleError: as hetorch.compile.
    """
    chosen = CompileOptions(**options)
    layout = choose_layout(model, example_inputs, chosen)
    groups = find_groups(model, example_inputs, layout, chosen, layers)
    penalised = []
    for name, place in groups.slices():
        pairs = groups.weights[:, place].tocoo()
        if pairs.nnz:
            # The diagonals of a layer are numbered from 0.
            diagonal = np.unique(pairs.row, return_inverse=True)[1]
            penalised.append(
                (
                    name,
                    torch.from_numpy(diagonal.astype(np.int64)),
                    torch.from_numpy(pairs.col.astype(np.int64)),
                )
            )
    return DiagonalPenalty(model, penalised)
