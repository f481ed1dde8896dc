"""The layouts that the compiler chooses for a model, and the seconds that it predicts, without making a plan."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from torch import nn

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.compare_outputs import output_range
from hetorch.compiler.costs.machine import load_machine
from hetorch.compiler.costs.model import CostModel
from hetorch.compiler.frontend.capture import Captured, capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.compiler.passes.gather_polynomials import gather_polynomials
from hetorch.compiler.passes.sharpen_softmax import sharpen_softmax
from hetorch.compiler.pipeline import chosen_precision
from hetorch.compiler.search.evaluation import Choice
from hetorch.compiler.search.program_costs import cost_model
from hetorch.compiler.search.request import Request
from hetorch.compiler.search.search import search
from hetorch.compiler.search.variants import program_variants
from hetorch.errors import ApproximationWarning, CalibrationWarning
from hetorch.machine_memory import machine_memory


@dataclass(frozen=True, slots=True, eq=False)
class ChosenLayout:
    """The captured model, the search's choice for it, and the model of its costs."""

    captured: Captured
    choice: Choice
    costs: CostModel

    @property
    def seconds(self) -> float:
        """The predicted seconds of a run."""
        return self.choice.cost

    @property
    def diagonals(self) -> int:
        """The number of diagonals of all maps."""
        return sum(lowered.diagonals for lowered in self.choice.lowered.values())

    @property
    def rotations(self) -> int:
        """The number of rotations of all maps, folds included."""
        maps = self.choice.lowered.values()
        return sum(m.babies + m.giants + len(m.folds) * m.transform.output_count for m in maps)


def choose_layout(model: nn.Module, example_inputs: object, options: CompileOptions) -> ChosenLayout:
    """Run the compiler's stages up to the search, as hetorch.compile with the same options.

    Raises: as hetorch.compile.
    """
    with warnings.catch_warnings():
        # What is wrong with the calibration inputs is told when the model is compiled.
        warnings.simplefilter("ignore", ApproximationWarning)
        warnings.simplefilter("ignore", CalibrationWarning)
        captured = capture(model, example_inputs, options.outputs)
        machine = load_machine()
        approximated = approximate_activations(
            fuse_affine(sharpen_softmax(gather_polynomials(captured.program), captured.inputs)),
            captured.inputs,
            captured.outputs,
            options,
            heads=captured.interface.row_shapes,
        )
        request = Request(
            program_variants(approximated.program, captured.inputs),
            output_range(captured.outputs),
            chosen_precision(options, approximated),
            options,
            machine,
            machine_memory(),
        )
        choice = search(request)
    return ChosenLayout(captured, choice, cost_model(choice.parameters, machine, choice.encrypted))
