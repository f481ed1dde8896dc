"""The outputs of a plan as `hetorch.evaluate` judges them: the classes or numbers of each, against labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hetorch.errors import InputError
from hetorch.inspect.evaluation import Score
from hetorch.plan.heads import Head
from hetorch.plan.inputs import to_array
from hetorch.plan.interface import Interface
from hetorch.plan.output_functions import applied
from hetorch.quantities import count_text

Array = NDArray[np.float64]
Classify = Callable[[Array], NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Output:
    """One output: its `head`, and the `columns` of a plan's row (samples, numbers) that hold it."""

    head: Head
    columns: slice

    def numbers(self, row: Array) -> NDArray[np.generic]:
        """Return the output as the client sees it, (samples, *shape)."""
        part = self.head.scale * row[:, self.columns] + self.head.offset
        return applied(self.head.functions, part.reshape(len(row), *self.head.shape))

    @property
    def last(self) -> str:
        """The function that ends the output; empty if there is none."""
        return self.head.functions[-1].name if self.head.functions else ""

    @property
    def is_binary(self) -> bool:
        """True for a single probability."""
        return self.last == "sigmoid" and self.head.size == 1

    def classify(self) -> Classify | None:
        """Return the function from rows to the classes of this output; None if its numbers are no scores of classes."""
        if self.last == "argmax":
            return lambda row: self.numbers(row).reshape(len(row), -1)
        if self.is_binary:
            return lambda row: self.numbers(row).reshape(len(row), -1) > 0.5  # type: ignore[operator]
        if len(self.head.shape) == 1 and self.head.size > 1:
            return lambda row: self.numbers(row).argmax(axis=1)[:, None]
        return None


@dataclass(frozen=True, slots=True)
class Judged:
    """An output or all of them, with what they are compared with.

    name      of the output; empty for all
    columns   the columns of a row that count for the worst error
    classify  from rows to classes (samples, ...); None if there are none
    labels    classes as `classify` returns them, or targets as `numbers` does; None if there are no labels
    numbers   from rows to what is compared with targets; None if the labels are classes
    """

    name: str
    columns: slice
    classify: Classify | None
    labels: NDArray[np.generic] | None = None
    numbers: Classify | None = None

    def score(self, row: Array, reference: Array | None, span: float) -> Score:
        """Return the score of rows (samples, numbers); `span` is the unit of the worst error.

        A row of NaN, a sample without a result, has a wrong label and no part in errors.
        """
        accuracy = r2 = rmse = agreement = worst = None
        known: NDArray[np.bool_] = np.logical_not(np.isnan(row).any(axis=1))
        if self.labels is not None and self.numbers is not None:
            values = np.asarray(self.numbers(row[known]), dtype=np.float64).reshape(
                np.count_nonzero(known), -1
            )
            targets = np.asarray(self.labels, dtype=np.float64)[known]
            squares = (values - targets) ** 2
            spread = float(np.sum((targets - targets.mean(axis=0)) ** 2))
            rmse = float(np.sqrt(squares.mean()))
            r2 = 1.0 - float(squares.sum()) / spread if spread else None
        elif self.labels is not None and self.classify is not None:
            accuracy = _share(np.equal(self.classify(row), self.labels), known)
        if reference is not None:
            worst = float(np.nanmax(np.abs(row[:, self.columns] - reference[:, self.columns]))) / span
            if self.classify is not None:
                agreement = _share(np.equal(self.classify(row), self.classify(reference)), known)
        return Score(accuracy, r2, rmse, agreement, worst)


def _share(right: NDArray[np.bool_], known: NDArray[np.bool_]) -> float:
    """Return the share of labels, (samples, ...), that are right and of a `known` sample."""
    return float(np.mean(right & known.reshape(-1, *(1,) * (right.ndim - 1))))


@dataclass(frozen=True, slots=True)
class Labelled:
    """The outputs with their labels: the `whole` row, and `each` output."""

    whole: Judged
    each: tuple[Judged, ...]


def judged_outputs(interface: Interface, output_shape: tuple[int, ...]) -> tuple[Output, ...]:
    """Return the outputs of the model in a plan's row, in order; one without a name if it returns one tensor."""
    single = Head("", output_shape, functions=interface.functions)
    outputs, begin = [], 0
    for head in interface.heads or (single,):
        outputs.append(Output(head, slice(begin, begin + head.size)))
        begin += head.size
    return tuple(outputs)


def labels_for(interface: Interface, outputs: tuple[Output, ...], y: object | None, count: int) -> Labelled:
    """Return what is judged with the labels of `count` samples, in a form that hetorch.evaluate takes.

    Raises:
        InputError: the labels do not suit the outputs.
    """
    if interface.classes:
        whole = Judged("", slice(None), interface.labels)
        if y is not None:
            whole = replace(whole, labels=_labels_of_classifier(interface, y, count))
        return Labelled(whole, ())
    unlabelled = [Judged(output.head.name, output.columns, output.classify()) for output in outputs]
    whole = Judged("", slice(None), _side_by_side([one.classify for one in unlabelled if one.classify]))
    if y is None:
        return Labelled(whole, tuple(unlabelled))
    by_name = y if isinstance(y, Mapping) else _by_name(interface, y)
    names = {output.head.name: output for output in outputs}
    if not by_name or any(name not in names for name in by_name):
        known = ", ".join(name for name in names if name) or "one without a name"
        raise InputError(
            f"the labels name {', '.join(map(str, by_name)) or 'nothing'}; name one of the plan's outputs ({known})"
        )
    each = [
        _with_labels(names[one.name], one, by_name[one.name], count) if one.name in by_name else one
        for one in unlabelled
    ]
    if len(by_name) == 1:
        (judged,) = [one for one in each if one.name in by_name]
        whole = replace(judged, name="", columns=slice(None))
    return Labelled(whole, tuple(each))


def _by_name(interface: Interface, y: object) -> Mapping[str, object]:
    if len(interface.heads) > 1:
        raise InputError(
            "the plan has several outputs: give the labels of each by its name, as in "
            f"{{{interface.heads[0].name!r}: y}}"
        )
    return {interface.heads[0].name if interface.heads else "": y}


def _side_by_side(classify: list[Classify]) -> Classify | None:
    """Return the function from rows to the classes of several outputs, (samples, classes); None if there are none."""
    if not classify:
        return None
    return lambda row: np.concatenate([one(row) for one in classify], axis=1)


def _labels_of_classifier(interface: Interface, y: object, count: int) -> NDArray[np.generic]:
    labels = np.asarray(y)
    if labels.shape[:1] != (count,):
        raise InputError(
            f"the labels have shape {labels.shape}; give one label for each of the {count_text(count, 'sample')}"
        )
    # A column of a file is (count, 1); with the labels of one classifier, (count,), it would be compared crosswise.
    crosswise = labels.shape == (count, 1) and [one.exclusive for one in interface.classes] == [True]
    return labels[:, 0] if crosswise else labels


def _with_labels(output: Output, judged: Judged, y: object, count: int) -> Judged:
    """Return the output with its labels, as classes if they suit it and else as targets."""
    labels, head = to_array(y), output.head
    which = f"the labels of {head.name}" if head.name else "the labels"
    if labels.ndim == 0 or len(labels) != count:
        raise InputError(
            f"{which} have shape {labels.shape}; give one label for each of the {count_text(count, 'sample')}"
        )
    flat = labels.reshape(count, -1)
    if not np.all(np.isfinite(flat)):
        raise InputError(f"{which} hold NaN or infinity; give finite numbers")
    if output.last == "argmax":
        seen = np.prod(output.numbers(np.zeros((1, head.size))).shape)
        if flat.shape[1] != seen:
            raise InputError(
                f"{which} have shape {labels.shape}; the output has {seen} classes for each sample"
            )
        return replace(judged, labels=flat)
    if flat.shape[1] == 1 and head.size > 1:
        return replace(judged, labels=_classes(output, flat, which))
    if flat.shape[1] != head.size:
        raise InputError(
            f"{which} have shape {labels.shape}; the plan has {head.size} outputs for each sample"
            if not head.name
            else f"{which} have shape {labels.shape}; this output has {head.size} numbers for each sample"
        )
    if output.last != "sigmoid" and judged.classify is not None and _is_one_hot(flat):
        return replace(judged, labels=flat.argmax(axis=1)[:, None].astype(np.float64))
    if output.last == "sigmoid" and np.all((flat == 0) | (flat == 1)):
        above: Classify = lambda row: output.numbers(row).reshape(len(row), -1) > 0.5  # type: ignore[operator] # noqa: E731
        return replace(judged, classify=above, labels=flat)
    return replace(judged, classify=None, labels=flat, numbers=output.numbers)


def _is_one_hot(rows: Array) -> bool:
    """Return True if each row has one 1 and zeros."""
    return bool(np.all((rows == 0) | (rows == 1)) and np.all(rows.sum(axis=1) == 1))


def _classes(output: Output, labels: Array, which: str) -> Array:
    """Return the classes (count, 1) of an output that is a row of scores."""
    size = output.head.size
    if len(output.head.shape) > 1:
        raise InputError(
            f"{which} are classes, and the output is no row of scores: it has shape {output.head.shape}"
        )
    wrong = labels[~((labels == np.rint(labels)) & (labels >= 0) & (labels < size))]
    if len(wrong):
        raise InputError(
            f"{which} hold {wrong[0]:g}; a plan with {size} outputs needs classes 0..{size - 1}, or {size} numbers for "
            "each sample"
        )
    return labels
