"""Pictures of sweeps and resources, compared with stored ones."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hetorch.errors import InputError, MissingPackageError
from hetorch.inspect.resource_picture import draw_resources
from hetorch.inspect.resource_samples import ResourceSample
from hetorch.inspect.sweeps.result import Sweep
from hetorch.inspect.sweeps.row import Row
from tests.inspect.stored_pictures import MOST, assert_stored, distance, same_style


@pytest.fixture(autouse=True)
def _same_style() -> Iterator[None]:
    with same_style():
        yield


def written() -> Sweep:
    """A sweep by hand: errors fall with the degree, times grow with it and with the ring."""
    rows = []
    for ring, degree in itertools.product((4096, 8192, 16384), (2, 4, None)):
        options = {"ring_degree": ring, "activation_degree": degree}
        if ring == 4096 and degree != 2:
            rows.append(Row(options, reason="no parameters fit"))
            continue
        depth = {2: 1, 4: 2, None: 3}[degree]
        rows.append(
            Row(
                options,
                accuracy=0.9 + 0.02 * depth,
                error=0.1 / 4**depth + 1e-6 * ring / 4096,
                predicted_seconds=1e-3 * depth * ring / 4096,
                key_bytes=1000 * ring * depth,
                run_samples=1,
            )
        )
    return Sweep("net", ("ring_degree", "activation_degree"), tuple(rows))


def samples() -> list[ResourceSample]:
    return [
        ResourceSample(0.1 * n, 2.0 if 10 <= n < 30 else 0.5, 100_000_000 + 5_000_000 * min(n, 25))
        for n in range(1, 41)
    ]


DRAWINGS: dict[str, Callable[[], Any]] = {
    "sweep_pareto": lambda: written().plot(),
    "sweep_pareto_accuracy": lambda: written().plot.pareto("key_bytes", "accuracy"),
    "sweep_curve": lambda: written().plot.curve("error", "ring_degree"),
    "sweep_curve_of_choices": lambda: written().plot.curve("accuracy", "activation_degree"),
    "sweep_curve_of_figures": lambda: written().plot.curve("error", "seconds"),
    "resources": lambda: draw_resources(samples(), 2),
}


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_is_the_stored_one(name: str) -> None:
    assert_stored(DRAWINGS[name]().figure, name)


def test_a_configuration_that_is_missing_is_seen() -> None:
    """The tolerance is smaller than the change of one of seven points."""
    rows = list(written().rows)
    del rows[4]
    drawn = Sweep("net", written().varied, tuple(rows)).plot.curve("error", "ring_degree")
    assert distance(drawn.figure, "sweep_curve") > MOST


def test_points_are_the_figures_in_their_units() -> None:
    sweep = written()
    axes = sweep.plot.pareto("key_bytes", "accuracy")
    all_points = axes.get_lines()[0]
    compiled = sweep.compiled
    assert list(np.asarray(all_points.get_xdata())) == [(row.key_bytes or 0) / 1e6 for row in compiled]
    assert list(np.asarray(all_points.get_ydata())) == pytest.approx(
        [100 * (row.accuracy or 0) for row in compiled]
    )
    key = axes.get_legend()
    assert key is not None
    names = [text.get_text() for text in key.get_texts()]
    assert names[0] == "1  ring_degree=4096, activation_degree=2" and "auto" in names[-1]


def test_pictures_go_into_axes_of_the_caller() -> None:
    figure, axes = plt.subplots(1, 3, figsize=(12, 4), layout="constrained")
    assert written().plot(ax=axes[0]) is axes[0]
    assert written().plot.curve("error", "ring_degree", ax=axes[1]) is axes[1]
    assert draw_resources(samples(), 2, axes[2]) is axes[2]
    assert plt.get_fignums() == [figure.number]
    figure.canvas.draw()


def test_unknown_figures_and_options_are_told() -> None:
    with pytest.raises(
        InputError, match="'rings' is neither an option of this sweep \\(ring_degree, activation"
    ):
        written().plot.curve("error", "rings")
    with pytest.raises(InputError, match="'errors' is no figure"):
        written().plot.curve("errors", "ring_degree")
    with pytest.raises(InputError, match="'measured_seconds'; it needs encrypted_samples="):
        written().plot.pareto("measured_seconds")


def test_matplotlib_is_asked_for_on_use_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        MissingPackageError, match=r"matplotlib, which is not installed: pip install 'hetorch\["
    ):
        written().plot.pareto()
