"""Networks of polynomials on inputs that calibration did not see: nothing may explode."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from hetorch.compiler.activations.approximate_activations import approximate_activations
from hetorch.compiler.activations.approximated import Approximated
from hetorch.compiler.activations.notes import sentences
from hetorch.compiler.frontend.capture import capture
from hetorch.compiler.options import CompileOptions
from hetorch.compiler.passes.fuse_affine import fuse_affine
from hetorch.ir.interpreter import run_tensor_program
from hetorch.ir.tensor_program import TensorProgram

Array = NDArray[np.float64]
CALIBRATION, UNSEEN = 300, 2000


class Block(nn.Module):
    """A softmax whose sum, and two norms whose variances, have long tails, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.block = nn.TransformerEncoderLayer(8, 2, 8, activation="gelu", batch_first=True)
        self.last = nn.Linear(8, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = self.last(self.block(x).mean(1))
        return made


@functools.cache
def captured() -> tuple[TensorProgram, Array, Array, Array, Array]:
    """The program, calibration inputs and outputs, unseen inputs and outputs."""
    torch.manual_seed(5)
    model = Block().eval()
    x = torch.randn(CALIBRATION + UNSEEN, 3, 8).clamp(-3, 3)
    found = capture(model, x[:CALIBRATION])
    with torch.no_grad():
        truth = model(x[CALIBRATION:]).double().numpy()
    unseen = x[CALIBRATION:].double().numpy()
    return fuse_affine(found.program), found.inputs, found.outputs, unseen, truth


def approximated(tolerance: float, degree: int | None = None) -> tuple[Approximated, Array]:
    """The network, and its errors on the unseen samples relative to the range of the outputs."""
    program, inputs, outputs, unseen, truth = captured()
    made = approximate_activations(
        program,
        inputs,
        outputs,
        CompileOptions(activation_degree=degree, activation_tolerance=tolerance, activation_agreement=0.0),
    )
    with np.errstate(all="ignore"):
        seen = run_tensor_program(made.program, unseen)
    return made, np.abs(seen - truth).max(axis=1) / np.ptp(outputs)


def test_a_cascade_of_long_tails_stays_bounded_on_unseen_inputs() -> None:
    made, errors = approximated(0.008)
    assert made.stable_off_calibration and made.error <= 0.008
    # As calibrated, the sum of the exponentials ends at 19; one sample of the two thousand has 35.
    reciprocal = next(fit for fit in made.fits if fit.function == "reciprocal")
    assert reciprocal.high > 35
    assert np.max(errors) < 0.05
    assert np.mean(errors > 0.01) < 0.01


@pytest.mark.parametrize(("degree", "stable"), [(5, False), (7, True)])
def test_what_explodes_is_told(degree: int, stable: bool) -> None:
    """A degree that the user fixed is not raised; one so low explodes on some of the unseen inputs."""
    made, errors = approximated(0.008, degree=degree)
    assert made.stable_off_calibration == stable
    assert any("explode" in sentence for sentence in sentences(made)) == (not stable)
    assert (np.max(errors) < 0.05) == stable
