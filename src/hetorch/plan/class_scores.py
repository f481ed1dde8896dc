"""The meaning of a classifier's scores: the probabilities and the labels that the client computes from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from hetorch.plan.fields import LARGEST, Fields

MOST_CLASSIFIERS = 1024
"""Largest number of classifiers side by side in a plan; a plan with more is refused."""
MOST_LABELS = 1 << 20
"""Largest number of labels of a classifier; a plan with more is refused."""
LABEL_LENGTH = 200
"""Most characters in a label."""

Array = NDArray[np.float64]
Label = str | int | float | bool
Link = Literal["none", "identity", "sigmoid", "softmax", "one_vs_rest", "clipped"]


@dataclass(frozen=True, slots=True)
class ClassScores:
    """One classifier, whose scores are the next `scores` numbers of a result.

    Two labels with one score: the second label if the score is positive. As many labels as scores: the label of the
    largest score or, if they are not `exclusive`, each label for itself, where its score is positive.

    `link` makes probabilities of the scores s:

        none         there are none, as for support vectors
        identity     the scores themselves
        sigmoid      of each factor * s + offset; for one score with two labels these are p of the second and 1 - p
        softmax      of all scores
        one_vs_rest  sigmoids, divided by their sum
        clipped      (s + 1) / 2, clipped to [0, 1] and divided by their sum (equal shares if that is 0)
    """

    labels: tuple[Label, ...]
    link: Link
    scores: int
    exclusive: bool = True
    factor: float = 1.0
    offset: float = 0.0

    def problem(self) -> str | None:
        """Return what does not go together, or None."""
        if self.scores == len(self.labels) and (self.exclusive or self.link in ("none", "sigmoid")):
            return None
        if (
            self.scores == 1
            and len(self.labels) == 2
            and self.exclusive
            and self.link not in ("identity", "softmax")
        ):
            return None
        return (
            f"{len(self.labels)} labels and {self.scores} scores do not go together with the link {self.link}"
        )

    def probabilities(self, scores: Array) -> Array:
        """Return the probabilities (..., labels) of scores (..., scores); without a link the scores have none."""
        if self.link == "identity":
            return scores
        if self.link == "softmax":
            powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
            return np.asarray(powers / powers.sum(axis=-1, keepdims=True))
        if self.link == "clipped":
            shares = np.clip((scores + 1) / 2, 0.0, 1.0)
        else:
            shares = _sigmoid(self.factor * scores + self.offset)
        if self.scores < len(self.labels):
            return np.concatenate([1 - shares, shares], axis=-1)
        if self.link == "sigmoid":
            return shares
        shares = np.where(shares.sum(axis=-1, keepdims=True) == 0, 1.0, shares)
        return np.asarray(shares / shares.sum(axis=-1, keepdims=True))

    def choose(self, scores: Array) -> NDArray[np.generic]:
        """Return the label (...) of scores (..., scores); 0 or 1 for each label (..., labels) unless exclusive."""
        if not self.exclusive:
            return (scores > 0).astype(np.int64)
        index = (scores[..., 0] > 0).astype(np.int64) if self.scores < len(self.labels) else scores.argmax(-1)
        return np.asarray(np.array(self.labels)[index])


def _sigmoid(x: Array) -> Array:
    decay = np.exp(-np.abs(x))  # at most 1, so that nothing overflows
    return np.asarray(np.where(x >= 0, 1.0, decay) / (1.0 + decay))


def classes_json(classes: tuple[ClassScores, ...]) -> list[dict[str, object]]:
    """Return classifiers as plain data, which read_classes reads."""
    return [
        {
            "labels": list(one.labels),
            "link": one.link,
            "scores": one.scores,
            "exclusive": int(one.exclusive),
            "factor": one.factor,
            "offset": one.offset,
        }
        for one in classes
    ]


def read_classes(fields: Fields) -> tuple[ClassScores, ...]:
    """Read the field `classes`; the error of `fields` names what is wrong."""
    classes = []
    for child in fields.children("classes", MOST_CLASSIFIERS):
        link = child.text("link", 20)
        if link not in get_args(Link):
            raise child.error(f"link must be one of {', '.join(get_args(Link))}, got {link!r}")
        one = ClassScores(
            labels=tuple(
                label for label in child.cells("labels", MOST_LABELS, LABEL_LENGTH) if label is not None
            ),
            link=link,  # type: ignore[arg-type]
            scores=child.integer("scores", 1, MOST_LABELS),
            exclusive=bool(child.integer("exclusive", 0, 1)),
            factor=child.number("factor", -LARGEST, LARGEST),
            offset=child.number("offset", -LARGEST, LARGEST),
        )
        if one.problem() is not None:
            raise child.error(str(one.problem()))
        child.done()
        classes.append(one)
    return tuple(classes)
