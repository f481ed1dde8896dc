"""The result of `hetorch.evaluate`: how a plan does on a test set, as a table."""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hetorch.quantities import count_text

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Score:
    """How some outputs do; a figure is None where it has no meaning, or where its reference is not known.

    accuracy     share of labels that are those of the outputs: the class of the largest one, or the classifier's label
    r2, rmse     coefficient of determination and root mean square error, for labels that are numbers
    agreement    share of samples whose outputs have the same label as the reference's
    worst_error  largest difference from the reference, relative to the range of the calibration outputs

    The reference is the model in clear, or the compiled network without noise if there is no model.
    """

    accuracy: float | None = None
    r2: float | None = None
    rmse: float | None = None
    agreement: float | None = None
    worst_error: float | None = None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The comparison of a plan with its model and with labels.

    name                 of the plan
    samples              number of samples
    clear                the model in clear; None if it was not given
    compiled             the network of the plan: polynomials in place of activations
    noisy                the same with the modelled noise of encryption
    outside_inputs       share of samples that leave the range of the calibration inputs
    outside_activations  share of samples with which an activation leaves the range of its polynomial; None if the plan
                         has no polynomial with a range
    output_range         range of the calibration outputs, the unit of the worst errors
    """

    name: str
    samples: int
    clear: Score | None
    compiled: Score
    noisy: Score
    outside_inputs: float
    outside_activations: float | None
    output_range: float

    def to_dict(self) -> dict[str, object]:
        """Return all fields as values that JSON can hold."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """Return the table as plain text."""
        columns = [("in clear", self.clear), ("compiled", self.compiled), ("with noise", self.noisy)]
        shown = [(title, score) for title, score in columns if score is not None]
        reference = "compiled" if self.clear is None else "in clear"
        rows: list[tuple[str, str, Callable[[float], str]]] = [
            ("accuracy", "accuracy", _percent),
            ("R²", "r2", lambda value: f"{value:.4f}"),
            ("root mean square error", "rmse", lambda value: f"{value:.4g}"),
            (f"agreement with {reference}", "agreement", _percent),
            ("worst error, of the output range", "worst_error", lambda value: f"{value:.1e}"),
        ]
        lines = [f"{self.name}: {count_text(self.samples, 'sample')}, output range {self.output_range:.4g}"]
        lines.append(" " * 34 + "".join(f"{title:>12}" for title, _ in shown))
        for title, field, form in rows:
            values = [getattr(score, field) for _, score in shown]
            if any(value is not None for value in values):
                cells = ["-" if value is None else form(value) for value in values]
                lines.append(f"{title:<34}" + "".join(f"{cell:>12}" for cell in cells))
        lines.append(f"{'outside the input range':<34}{_percent(self.outside_inputs):>12}")
        if self.outside_activations is not None:
            lines.append(f"{'outside an activation range':<34}{_percent(self.outside_activations):>12}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return f"<pre>{html.escape(str(self))}</pre>"


Classify = Callable[[Array], NDArray[np.generic]]


def score(
    outputs: Array,
    labels: NDArray[np.generic] | None,
    reference: Array | None,
    span: float,
    classify: Classify | None,
) -> Score:
    """Return the score of `outputs`, (samples, outputs), which are finite.

    Args:
        outputs: the outputs.
        labels: what `classify` returns of the right outputs or, without it, numbers in the shape of the outputs.
        reference: outputs to compare with.
        span: the unit of the worst error.
        classify: returns the classes (samples, ...) of outputs; None if they are no classes.
    """
    accuracy = r2 = rmse = agreement = worst = None
    if labels is not None and classify is not None:
        accuracy = float(np.mean(classify(outputs) == labels))
    elif labels is not None:
        targets = np.asarray(labels, dtype=np.float64)
        squares = (outputs - targets) ** 2
        spread = float(np.sum((targets - targets.mean(axis=0)) ** 2))
        rmse = float(np.sqrt(squares.mean()))
        r2 = 1.0 - float(squares.sum()) / spread if spread else None
    if reference is not None:
        worst = float(np.abs(outputs - reference).max()) / span
        if classify is not None:
            agreement = float(np.mean(classify(outputs) == classify(reference)))
    return Score(accuracy, r2, rmse, agreement, worst)


def _percent(share: float) -> str:
    return f"{share:.2%}"
