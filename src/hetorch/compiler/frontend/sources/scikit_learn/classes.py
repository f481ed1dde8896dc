"""The probabilities and labels of a classifier of scikit-learn, as functions of the scores that its module computes.

The function is the one of a few candidates that gives what the classifier itself gives, on samples on both sides of the
borders between its classes and at all distances from them.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.plan.class_scores import ClassScores, Label

Array = NDArray[np.float64]
Scores = Callable[[Array], Array]

SAMPLES = 64
"""Number of random samples of each size; more find borders between rarer classes."""
SIZES = (0.1, 1.0, 10.0, 1000.0)
"""Standard deviations of random samples: some of them reach both sides of a border far from the origin."""
BORDERS = 8
"""Number of pairs of samples between which a border is looked for."""
HALVINGS = 40
"""Number of points on the way from a sample to a border, each half as far from it as the one before."""
TOLERANCE = 1e-6
"""Largest accepted difference between probabilities. libsvm rounds its own to 1e-7; a higher tolerance would let a
wrong function pass."""


def class_scores(model: Any, scores: Scores) -> tuple[ClassScores, ...]:
    """Return how the labels and probabilities of a fitted classifier follow from its scores.

    Args:
        model: the classifier, with numbers as inputs.
        scores: the function of its module: samples (batch, features) to scores (batch, scores).

    Returns:
        One ClassScores; none if the model is no classifier, or its labels do not follow from the scores.
    """
    size = getattr(model, "n_features_in_", None)
    labels = _labels(model)
    if size is None or labels is None:
        return ()
    samples = _samples(size, scores)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        values = scores(samples)
        chosen = np.asarray(model.predict(samples))
        truth = np.asarray(model.predict_proba(samples)) if hasattr(model, "predict_proba") else None
        exclusive = chosen.ndim == 1
        for one in _candidates(model, labels, values.shape[1], exclusive, truth is not None):
            if one.problem() is None and _matches(one, values, chosen, truth):
                return (one,)
    return ()


def _labels(model: Any) -> tuple[Label, ...] | None:
    """Return the labels of a classifier, or the two of a detector of outliers; None if there are none."""
    classes = getattr(model, "classes_", None)
    if classes is None:
        is_detector = hasattr(model, "decision_function") and hasattr(model, "offset_")
        return (-1, 1) if is_detector else None
    if isinstance(classes, list):
        return None
    labels = tuple(np.asarray(classes).tolist())
    return labels if all(isinstance(label, str | int | float) for label in labels) else None


def _candidates(
    model: Any, labels: tuple[Label, ...], count: int, exclusive: bool, probable: bool
) -> Iterator[ClassScores]:
    if probable:
        yield ClassScores(labels, "sigmoid" if count == 1 or not exclusive else "softmax", count, exclusive)
        # Two classes with a softmax of -s and s.
        yield ClassScores(labels, "sigmoid", count, exclusive, factor=2.0)
        for factor in np.ravel(getattr(model, "probA_", ())):
            for sign in (1.0, -1.0):  # of the score in libsvm
                offset = float(model.probB_[0])
                yield ClassScores(labels, "sigmoid", count, exclusive, sign * float(factor), offset)
                yield ClassScores(labels, "sigmoid", count, exclusive, sign * float(factor), -offset)
        yield ClassScores(labels, "one_vs_rest", count, exclusive)
        yield ClassScores(labels, "clipped", count, exclusive)
    yield ClassScores(labels, "none", count, exclusive)


def _matches(one: ClassScores, values: Array, chosen: NDArray[np.generic], truth: Array | None) -> bool:
    """Return True if the candidate gives the labels and the probabilities of the classifier."""
    own = one.choose(values)
    # On a border, rounding decides.
    margins = (
        np.sort(values, axis=1)[:, -1] - np.sort(values, axis=1)[:, -2]
        if values.shape[1] > 1
        else values[:, 0]
    )
    if not one.exclusive:
        margins = np.abs(values).min(axis=1)
    clear = np.abs(margins) > TOLERANCE * (1 + np.abs(values).max(axis=1))
    if own.shape != chosen.shape or not np.array_equal(own[clear], chosen[clear]):
        return False
    if one.link == "none" or truth is None:
        return True
    shares = one.probabilities(values)
    return shares.shape == truth.shape and bool(np.all(np.abs(shares - truth) <= TOLERANCE))


def _samples(size: int, scores: Scores) -> Array:
    """Return samples (batch, size) of all sizes, and on the ways from some of them to the borders between classes."""
    base = np.random.default_rng(0).standard_normal((SAMPLES, size))
    samples = np.concatenate([scale * base for scale in SIZES])

    def side(points: Array) -> NDArray[np.int64]:
        values = scores(points)
        return np.asarray(values[:, 0] > 0 if values.shape[1] == 1 else values.argmax(axis=1)).astype(
            np.int64
        )

    sides = side(samples)
    ways: list[Array] = []
    for first in range(len(samples)):
        others = np.flatnonzero(sides != sides[first])
        if len(others) and len(ways) < BORDERS:
            ways.append(_way(samples[first], samples[others[first % len(others)]], side))
    return np.concatenate([samples, *ways])


def _way(start: Array, end: Array, side: Callable[[Array], NDArray[np.int64]]) -> Array:
    """Return points on the way from `start` to a border on the way to `end`, ever nearer to the border."""
    low, high = 0.0, 1.0
    own = side(start[None])[0]
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if side((start + middle * (end - start))[None])[0] == own else (low, middle)
        )
    places = low * (1 - 0.5 ** np.arange(HALVINGS))
    return np.asarray(start + places[:, None] * (end - start))
