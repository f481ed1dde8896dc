"""Pictures compared with stored ones; HETORCH_DRAW=1 stores them anew (then look at each)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from numpy.typing import NDArray

STORED = Path(__file__).parent / "pictures"
MOST = 6.0
"""Largest root mean square difference of a pixel from the stored picture, of 255: versions of FreeType and Agg move
edges by parts of a pixel. A bar or a point that is missing or elsewhere, or other labels, make more."""
DPI = 60


@contextmanager
def same_style() -> Iterator[None]:
    """Draw with the same fonts and sizes on every machine, and close all figures at the end."""
    mpl.use("Agg")
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update({"font.family": "DejaVu Sans", "figure.dpi": DPI, "savefig.dpi": DPI})
        yield
    plt.close("all")


def distance(figure: Any, name: str) -> float:
    """Return the root mean square difference of a pixel between a figure and the stored picture of that name."""
    drawn = _pixels(figure)
    stored = np.asarray(plt.imread(STORED / f"{name}.png"))[:, :, :3] * 255
    assert drawn.shape == stored.shape
    return float(np.sqrt(np.mean((drawn - stored) ** 2)))


def assert_stored(figure: Any, name: str) -> None:
    """Compare a figure with the stored picture of that name, or store it if HETORCH_DRAW is set."""
    if os.environ.get("HETORCH_DRAW"):
        tones = (
            np.round(_pixels(figure) / 17) * 17 / 255
        )  # sixteen of each colour, so that the files are small
        plt.imsave(STORED / f"{name}.png", tones)
    assert distance(figure, name) < MOST


def _pixels(figure: Any) -> NDArray[np.float64]:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    buffer.seek(0)
    return np.asarray(plt.imread(buffer), dtype=np.float64)[:, :, :3] * 255
