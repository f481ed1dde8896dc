"""What all configurations of a sweep share: the captured model, the samples, their labels, the model's outputs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch import __version__
from hetorch.compiler.costs.machine import load_machine
from hetorch.engine import _native
from hetorch.errors import InputError
from hetorch.inspect.judged_outputs import Judged, judged_outputs, labels_for
from hetorch.inspect.labelled_data import read_labelled_data
from hetorch.inspect.sweeps.digest import digest
from hetorch.inspect.sweeps.grid import Options
from hetorch.inspect.sweeps.row import VERSION
from hetorch.ir.interpreter import run_tensor_program
from hetorch.plan.inputs import to_array, to_samples

Array = NDArray[np.float64]

CALIBRATED = 512
"""Samples on which the network is calibrated if no calibration inputs are given: the first ones. Raised, ranges are
safer and compiling slower."""
TOGETHER = 64
"""Samples that the model computes at a time. Raised, it takes more memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Study:
    """The fixed part of a sweep.

    captured   the model as hetorch.compiler.frontend captured it
    samples    the test samples, as PublicPlan.samples takes them
    count      their number
    judged     the outputs, and the labels if there are any
    clear      the model's outputs on them as rows of a plan, (count, numbers)
    seed       the seed of the modelled noise
    encrypted  number of samples that are run on ciphertexts
    digest     the SHA-256 (hex) of the model, its calibration inputs, the samples and the labels
    """

    captured: Any
    samples: object
    count: int
    judged: Judged
    clear: Array
    seed: int
    encrypted: int
    digest: str

    def key(self, options: Options) -> str:
        """Return the digest of a configuration: all that its figures depend on, and this machine's constants."""
        chosen = {name: value for name, value in options.items() if value is not None}
        machine = (load_machine().name, _native.thread_count())
        return digest(
            (VERSION, __version__, self.digest, sorted(chosen.items()), self.seed, self.encrypted, machine)
        )

    def first(self, count: int) -> object:
        """Return the first samples."""
        return first(self.samples, count)


def make_study(
    model: object,
    data: object,
    labels: object | None,
    calibration_inputs: object | None,
    output_names: str | None,
    seed: int,
    encrypted: int,
) -> Study:
    """Capture the model, read the samples and compute the model's outputs on them.

    Raises:
        InputError: samples or labels do not fit the model.
        UnsupportedModelError: the model cannot be compiled.
    """
    from hetorch.optional_packages import explain_missing

    with explain_missing("hetorch.inspect.sweep"):
        from hetorch.compiler.frontend.capture import capture
    samples, labels = read_labelled_data(data, labels, model)
    calibrated = first(samples, CALIBRATED) if calibration_inputs is None else calibration_inputs
    captured = capture(model, calibrated, None if output_names is None else output_names.split(","))
    if isinstance(samples, tuple):
        samples = _one_row(samples)
    rows = _numbers(captured, samples)
    interface = captured.interface
    outputs = judged_outputs(interface, captured.program.output_shape)
    judged = labels_for(interface, outputs, labels, len(rows)).whole
    parts = [
        run_tensor_program(captured.program, rows[begin : begin + TOGETHER])
        for begin in range(0, len(rows), TOGETHER)
    ]
    return Study(
        captured=captured,
        samples=samples,
        count=len(rows),
        judged=judged,
        clear=np.concatenate(parts).reshape(len(rows), -1),
        seed=seed,
        encrypted=encrypted,
        digest=digest((captured.program, interface, captured.inputs, rows, _plain(labels))),
    )


def first(data: Any, count: int) -> Any:
    """Return the first samples of data in any form with a batch axis."""
    if isinstance(data, tuple):
        return tuple(first(part, count) for part in data)
    if hasattr(data, "iloc"):
        return data.iloc[:count]
    if isinstance(data, Mapping):
        return {name: column[:count] for name, column in data.items()}
    return data[:count] if hasattr(data, "__getitem__") else data


def _one_row(parts: tuple[object, ...]) -> Array:
    """Return several inputs of a model as the one row that a plan takes."""
    arrays = [to_array(part) for part in parts]
    lengths = {array.shape[:1] for array in arrays}
    if len(lengths) > 1 or () in lengths:
        raise InputError(
            f"the inputs in data have shapes {' and '.join(str(array.shape) for array in arrays)}; give each the same "
            "number of samples"
        )
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def _numbers(captured: Any, samples: object) -> Array:
    """Return the samples as the network takes them, (count, *input_shape)."""
    columns = captured.interface.columns
    read = samples if columns is None else columns.read(samples)
    rows, single = to_samples(read, captured.program.input_shape, None, fewest=1)
    if single:
        raise InputError(
            "data is one sample; give a batch of them, the more the surer are accuracy and agreement"
        )
    return rows


def _plain(labels: object | None) -> object:
    """Return labels in a form that has a digest."""
    if isinstance(labels, Mapping):
        return {str(name): _plain(part) for name, part in labels.items()}
    if labels is None:
        return None
    try:
        return to_array(labels)
    except InputError:  # text, of a classifier
        return [str(label) for label in np.asarray(labels).ravel()]
