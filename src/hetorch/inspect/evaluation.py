"""The result of `hetorch.evaluate`: how a plan does on a test set, as a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from hetorch.preformatted import preformatted
from hetorch.quantities import count_text


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
class HeadScores:
    """The scores of one output of several, in the columns of an Evaluation."""

    name: str
    clear: Score | None
    compiled: Score
    noisy: Score


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
    without_result       number of samples whose results with noise are too large for the plan
    heads                the scores of each output of a model that returns several
    """

    name: str
    samples: int
    clear: Score | None
    compiled: Score
    noisy: Score
    outside_inputs: float
    outside_activations: float | None
    output_range: float
    without_result: int = 0
    heads: tuple[HeadScores, ...] = ()

    def to_dict(self) -> dict[str, object]:
        """Return all fields as values that JSON can hold."""
        return dataclasses.asdict(self)

    def __str__(self) -> str:
        """Return the table as plain text."""
        shown = [
            title
            for title, score in zip(TITLES, (self.clear, self.compiled, self.noisy), strict=True)
            if score is not None
        ]
        reference = "compiled" if self.clear is None else "in clear"
        lines = [f"{self.name}: {count_text(self.samples, 'sample')}, output range {self.output_range:.4g}"]
        lines.append(" " * 34 + "".join(f"{title:>12}" for title in shown))
        lines += _score_lines(self, reference)
        for head in self.heads:
            lines += [
                f"{head.name}:",
                *(f"  {line[:32]}{line[34:]}" for line in _score_lines(head, reference)),
            ]
        lines.append(f"{'outside the input range':<34}{_percent(self.outside_inputs):>12}")
        if self.outside_activations is not None:
            lines.append(f"{'outside an activation range':<34}{_percent(self.outside_activations):>12}")
        if self.without_result:
            lines.append(f"{'without a result':<34}{_percent(self.without_result / self.samples):>12}")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return preformatted(str(self))


TITLES = ("in clear", "compiled", "with noise")
"""The headings of the columns."""


def _score_lines(scores: Evaluation | HeadScores, reference: str) -> list[str]:
    """Return a line of the table for each figure that is known."""
    rows: list[tuple[str, str, Callable[[float], str]]] = [
        ("accuracy", "accuracy", _percent),
        ("R²", "r2", lambda value: f"{value:.4f}"),
        ("root mean square error", "rmse", lambda value: f"{value:.4g}"),
        (f"agreement with {reference}", "agreement", _percent),
        ("worst error, of the output range", "worst_error", lambda value: f"{value:.1e}"),
    ]
    lines = []
    for title, field, form in rows:
        columns = [score for score in (scores.clear, scores.compiled, scores.noisy) if score is not None]
        values = [getattr(score, field) for score in columns]
        if any(value is not None for value in values):
            cells = ["-" if value is None else form(value) for value in values]
            lines.append(f"{title:<34}" + "".join(f"{cell:>12}" for cell in cells))
    return lines


def _percent(share: float) -> str:
    return f"{share:.2%}"
