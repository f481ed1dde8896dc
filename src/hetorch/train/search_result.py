"""The result of `hetorch.train.search`: a degree for each activation, and what it was chosen by, as tables."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from hetorch.preformatted import preformatted
from hetorch.quantities import count_text, time_text
from hetorch.train.training_report import aligned


@dataclass(frozen=True, slots=True)
class SearchedActivation:
    """One activation: its path in the prepared model, what it replaced, the degree that was chosen (None keeps it), and
    by degree the distance from the model before that it adds by itself."""

    path: str
    before: str
    degree: int | None
    losses: Mapping[int | None, float]


@dataclass(frozen=True, slots=True)
class SearchedNetwork:
    """The network with some degrees.

    title     what it is, in tables
    degrees   the degree of each activation by its path
    seconds   predicted time of a run on the server; infinite if no parameters fit
    levels    levels of the modulus chain
    distance  mean square difference of the outputs from those of the model before, relative to their variance, after a
              few epochs of training; None if it was not trained
    accuracy  share of right classes on held-out data after these epochs; None if it is not known
    """

    title: str
    degrees: Mapping[str, int | None]
    seconds: float
    levels: int
    distance: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class Searched:
    """The degrees that the search chose: hetorch.train.fine_tune(model, loader, degree=result.degrees) trains them.

    activations  a row for each activation
    path         the networks from the highest degrees to those that were chosen or beyond; all can be taken
    chosen       the network that was chosen, with the prediction for it after a few epochs
    accuracy     share of right classes of the model before on the held-out data; None if it is not known
    epochs       epochs of training behind each distance and accuracy; fine_tune has more and keeps more
    note         what the user should know of the choice; mostly empty
    """

    activations: tuple[SearchedActivation, ...]
    path: tuple[SearchedNetwork, ...]
    chosen: SearchedNetwork
    accuracy: float | None
    epochs: int
    note: str = ""

    @property
    def degrees(self) -> dict[str, int | None]:
        """The degree of each activation by its path, for fine_tune and prepare."""
        return dict(self.chosen.degrees)

    def __repr__(self) -> str:
        """Return the tables as text."""
        before = "" if self.accuracy is None else f" (the model before: {self.accuracy:.2%})"
        notes = [
            f"distance and accuracy are those after {count_text(self.epochs, 'epoch')}{before}",
            self.note,
        ]
        return "\n".join(
            [
                *aligned(self._activations(), left=2),
                "",
                *aligned(self._networks(), left=1),
                *filter(None, notes),
            ]
        )

    def _repr_html_(self) -> str:
        """Return the tables as a notebook shows them."""
        return preformatted(repr(self))

    def _activations(self) -> list[tuple[str, ...]]:
        degrees = list(self.activations[0].losses)
        rows = [("activation", "before", "degree", *(f"loss at {degree_text(degree)}" for degree in degrees))]
        for row in self.activations:
            losses = (f"{row.losses[degree]:.1e}" for degree in degrees)
            rows.append((row.path, row.before, degree_text(row.degree), *losses))
        return rows

    def _networks(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("network", "levels", "predicted time", "distance", "accuracy")]
        for network in (*self.path, self.chosen):
            fits = math.isfinite(network.seconds)
            rows.append(
                (
                    network.title,
                    str(network.levels) if fits else "-",
                    time_text(network.seconds) if fits else "does not fit",
                    "-" if network.distance is None else f"{network.distance:.4f}",
                    "-" if network.accuracy is None else f"{network.accuracy:.2%}",
                )
            )
        return rows


def degree_text(degree: int | None) -> str:
    """Return a degree as tables show it."""
    return "kept" if degree is None else str(degree)
