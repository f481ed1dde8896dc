"""Pictures of traces, compared with stored ones."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest

from hetorch.errors import InputError, MissingPackageError
from hetorch.inspect.pictures.layer_axis import labels_of
from hetorch.inspect.pictures.style import SMALL
from hetorch.inspect.trace_result import Trace
from tests.inspect.stored_pictures import MOST, assert_stored, distance, same_style
from tests.inspect.traces import NAMES, written_trace


@pytest.fixture(autouse=True)
def _same_style() -> Iterator[None]:
    with same_style():
        yield


def forty() -> Trace:
    return written_trace(names=("input", *(f"layer{n // 10}.{n % 10}.conv + bn" for n in range(39))))


def without_model() -> Trace:
    return written_trace("simulated", model=False)


def drawn_into_one_figure(trace: Trace) -> Any:
    figure, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
    assert trace.plot.times(ax=axes[0]) is axes[0] and trace.plot.activation(ax=axes[1]) is axes[1]
    assert plt.get_fignums() == [figure.number]
    return axes


DRAWINGS: dict[str, Callable[[], Any]] = {
    "overview": lambda: written_trace().plot(),
    "overview_simulated": lambda: without_model().plot(),
    "overview_of_forty": lambda: forty().plot(),
    "errors": lambda: written_trace().plot.errors(),
    "noise": lambda: written_trace().plot.noise(),
    "values": lambda: written_trace().plot.values("add"),
    "values_in_clear": lambda: without_model().plot.values(),
    "times": lambda: written_trace().plot.times(),
    "levels": lambda: written_trace().plot.levels(),
    "activation": lambda: written_trace().plot.activation("relu"),
    "given_axes": lambda: drawn_into_one_figure(written_trace()),
    "small_axes_of_forty": lambda: forty().plot.errors(
        ax=plt.subplots(figsize=(5, 3), layout="constrained")[1]
    ),
}


def figure_of(drawn: Any) -> Any:
    return drawn[0].figure if isinstance(drawn, np.ndarray) else drawn.figure


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_picture_is_the_stored_one(name: str) -> None:
    assert_stored(figure_of(DRAWINGS[name]()), name)


def test_a_bar_of_another_length_is_seen() -> None:
    """The tolerance is smaller than the change of one of eight bars."""
    trace = written_trace()
    layers = list(trace.layers)
    layers[5] = replace(layers[5], seconds=0.001)
    drawn = replace(trace, layers=tuple(layers)).plot.times()
    assert distance(figure_of(drawn), "times") > MOST


@pytest.mark.parametrize("draw", [forty, written_trace, without_model])
def test_labels_do_not_overlap_and_legends_hide_nothing(draw: Callable[[], Trace]) -> None:
    for axes in (
        draw().plot(),
        [draw().plot.noise(ax=plt.subplots(figsize=(4, 2.5), layout="constrained")[1])],
    ):
        figure = axes[0].figure
        figure.canvas.draw()
        renderer = figure.canvas.get_renderer()  # type: ignore[union-attr]
        for ax in axes:
            labels = [text for text in ax.get_yticklabels() if text.get_text() and text.get_visible()]
            boxes = sorted((text.get_window_extent(renderer) for text in labels), key=lambda box: box.y0)
            assert all(a.y1 <= b.y0 + 1 for a, b in itertools.pairwise(boxes))
            assert all(text.get_fontsize() == SMALL for text in labels)
            legend = ax.get_legend()
            if legend is not None:
                assert legend.get_window_extent(renderer).y0 >= ax.get_window_extent(renderer).y1 - 1


def test_layers_of_one_name_are_numbered_and_long_names_lose_their_middle() -> None:
    labels = labels_of(written_trace().layers)
    assert labels[2] == "relu #1" and labels[4] == "relu #2" and labels[7] == "fc"
    assert labels[5] == "features.block…nsample.0 + bn" and len(labels[5]) <= 30 < len(NAMES[5])


def test_the_figures_are_those_of_the_trace() -> None:
    trace = written_trace()
    (measured,) = (bars for bars in trace.plot.times().containers if bars.get_label() == "measured")
    assert [bar.get_width() for bar in measured] == [1e3 * (layer.seconds or 0) for layer in trace.layers]
    rms = trace.plot.errors().get_lines()[-3].get_xdata()
    rms = np.asarray(rms)
    assert trace.layers[1].error is not None and rms[1] == 100 * trace.layers[1].error.relative
    assert np.isnan(rms[0]) and np.isnan(rms[4])  # without error, and not compared
    noise = trace.plot.noise().get_lines()[0].get_xdata()
    assert np.asarray(noise).tolist() == [layer.noise.relative for layer in trace.layers if layer.noise]
    stairs: Any = trace.plot.levels().patches[-1]
    assert list(stairs.get_data().values) == [layer.level for layer in trace.layers]


def test_what_cannot_be_drawn_is_told() -> None:
    with pytest.raises(InputError, match="give model="):
        without_model().plot.errors()
    with pytest.raises(InputError, match='run="simulated"'):
        written_trace("cleartext").plot.noise()
    with pytest.raises(InputError, match="no activation 'tanh' with a polynomial; those it has: relu"):
        written_trace().plot.activation("tanh")
    with pytest.raises(InputError, match="no layer 'head'"):
        written_trace().plot.values("head")
    assert not plt.get_fignums()  # nothing is left half drawn
    assert len(written_trace("cleartext").plot()) == 3


def test_values_beyond_all_numbers() -> None:
    trace = written_trace()
    broken = np.full((8, 30), np.inf)
    layers = list(trace.layers)
    layers[3] = replace(layers[3], values=layers[3].values | {"compared": broken})  # type: ignore[operator]
    with pytest.raises(InputError, match="find_divergence"):
        replace(trace, layers=tuple(layers)).plot.values(layers[3].name)


@pytest.mark.parametrize("name", ["errors", "noise", "values", "times", "levels", "activation", "__call__"])
def test_without_matplotlib_the_extra_is_named(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in [module for module in sys.modules if module.partition(".")[0] == "matplotlib"]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=r"Trace\.plot needs the package matplotlib.*pip install"):
        getattr(written_trace().plot, name)()
