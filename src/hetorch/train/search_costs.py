"""The compiler's prediction for a network whose activations have given degrees: seconds of a run, and levels."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from torch import Tensor, nn

from hetorch.compiler.options import CompileOptions
from hetorch.errors import InfeasibleError
from hetorch.train.pruning.chosen_layout import choose_layout
from hetorch.train.search_assignment import Assignment, assigned, settle
from hetorch.train.training_data import Batch

SAMPLES = 64
"""Number of inputs with which candidates are compiled. Raised, ranges are nearer to those of all data, and each
candidate takes longer."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Predicted seconds of a run on the server, and levels; infinite and 0 if no parameters fit."""

    seconds: float
    levels: int


@dataclass(slots=True)
class Costs:
    """Predicts the cost of assignments, each once.

    `base` is the network with exact activations and recorded ranges, `inputs` are some inputs of it. `looked` is
    called after each prediction with the number of all so far.
    """

    base: nn.Module
    inputs: tuple[Tensor, ...]
    options: CompileOptions
    looked: Callable[[int], None]
    known: dict[tuple[tuple[str, int | None], ...], Cost] = field(default_factory=dict)

    def __call__(self, degrees: Assignment) -> Cost:
        """Return the cost of the network with untrained polynomials of these degrees.

        Raises:
            UnsupportedModelError: as hetorch.compile.
        """
        key = tuple(degrees.items())
        if key not in self.known:
            model = assigned(self.base, degrees)
            if any(degree is not None for degree in degrees.values()):
                settle(model, Batch(self.inputs, None))
            self.known[key] = self.of(model)
            self.looked(len(self.known))
        return self.known[key]

    def of(self, model: nn.Module) -> Cost:
        """Return the cost of a network."""
        inputs = self.inputs if len(self.inputs) > 1 else self.inputs[0]
        try:
            layout = choose_layout(model.eval(), inputs, self.options)
        except InfeasibleError:
            return Cost(math.inf, 0)
        return Cost(layout.seconds, layout.choice.parameters.max_level)
