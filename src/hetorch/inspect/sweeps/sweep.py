"""`hetorch.inspect.sweep`: one model compiled with many configurations of options, and the figures of each."""

from __future__ import annotations

import os
import warnings
from typing import Any

from hetorch.compiler.option_help import signature_with_options
from hetorch.compiler.options import CompileOptions
from hetorch.errors import ApproximationWarning, CalibrationWarning, InputError
from hetorch.inspect.simulate import check_seed
from hetorch.inspect.sweeps.grid import Grid, make_grid, text_of
from hetorch.inspect.sweeps.measure import Warned, measure
from hetorch.inspect.sweeps.result import Sweep
from hetorch.inspect.sweeps.row import Row
from hetorch.inspect.sweeps.store import Store, open_store
from hetorch.inspect.sweeps.study import Study, make_study
from hetorch.progress import Progress, ProgressOption, reporting

READING = "reading the model"
"""The stage that Progress is told before the first configuration."""


def sweep(
    model: object,
    data: object,
    labels: object | None = None,
    *,
    calibration_inputs: object | None = None,
    encrypted_samples: int = 0,
    folder: str | os.PathLike[str] | None = None,
    seed: int = 0,
    progress: ProgressOption = None,
    **options: Any,
) -> Sweep:
    """Compile a model with every combination of options and tell what each of them costs and how exact it is.

    An option of hetorch.compile that is a list varies: ring_degree=[8192, 16384], precision=[None, 1e-3]; None leaves
    the choice to the compiler, as if the option were left out. Nothing is encrypted unless `encrypted_samples` asks
    for it: accuracy and errors come from a simulation with modelled noise. A configuration that does not compile is a
    row with the reason.

    Long because of its arguments' descriptions.

    Args:
        model: as for hetorch.compile.
        data: test samples (batch, ...), as for hetorch.evaluate, a tuple of them for a model of several inputs; or a
            Dataset or DataLoader of inputs or of pairs (input, label), which is read once.
        labels: their labels, as for hetorch.evaluate; without them there is no accuracy.
        calibration_inputs: as for hetorch.compile. If left out, the first 512 samples of `data`; figures on samples
            that the ranges were taken from flatter a little.
        encrypted_samples: number of samples to run on ciphertexts too, with keys made on the spot, for the measured
            time and error; 0 for none.
        folder: where to keep the rows, so that a sweep that was interrupted goes on where it stopped and another one
            computes only what is new. A row is found again by model, data, options, hetorch's version, tuned constants
            and number of threads.
        seed: the seed of the modelled noise, 0 or more.
        progress: called with the configuration and its stage, and the fraction of all work that is done. By default a
            bar on the terminal, and a line in a notebook, for what takes more than a second, and elsewhere a line on
            stderr every minute; False for none.
        **options: fields of hetorch.compile, each one value for all configurations or a list of them.

    Each warning of a configuration is in its row's notes; all but ApproximationWarning are raised once for the sweep.

    Returns:
        A row for each configuration, in the order of the lists, the last one fastest.

    Raises:
        InputError: a value of an option is out of range, a list is empty, or data or labels do not fit the model.
        UnsupportedModelError: the model cannot be compiled with any options.
        StorageError: the folder cannot be read or written, or a file in it is damaged.
    """
    check_seed(seed)
    _check_samples(encrypted_samples)
    grid, store = make_grid(options), open_store(folder)
    outputs = grid.configurations[0].get("outputs")
    with reporting(progress, "sweep", even_unseen=True) as report:
        report(READING, 0.0)
        study = make_study(
            model,
            data,
            labels,
            calibration_inputs,
            None if outputs is None else str(outputs),
            seed,
            encrypted_samples,
        )
        for doubt in study.captured.doubts:
            warnings.warn(f"{study.captured.name}: {doubt}", CalibrationWarning, stacklevel=2)
        runner = _Runner(study, grid, store, report)
        rows = tuple(runner.row(number) for number in range(len(grid.configurations)))
    for category, text in runner.warned:
        if not issubclass(category, ApproximationWarning):  # those belong to one row, where they are a note
            warnings.warn(text, category, stacklevel=2)
    name = grid.configurations[0].get("name") or study.captured.name
    return Sweep(str(name), grid.varied, rows)


sweep.__signature__ = signature_with_options(sweep, CompileOptions.model_fields)  # type: ignore[attr-defined]


def _check_samples(count: object) -> None:
    if isinstance(count, bool) or not isinstance(count, int) or count < 0:
        raise InputError(f"encrypted_samples must be a whole number of samples, 0 for none, got {count!r}")


class _Runner:
    """Computes the rows of a sweep one after the other, or reads them from the store."""

    def __init__(self, study: Study, grid: Grid, store: Store | None, report: Progress) -> None:
        self._study, self._grid, self._store, self._report = study, grid, store, report
        self.warned: dict[Warned, None] = {}

    def row(self, number: int) -> Row:
        """Return the row of a configuration; it is in the store when this returns."""
        options, count = self._grid.configurations[number], len(self._grid.configurations)
        shown = text_of(options, self._grid.varied)
        title = f"{number + 1} of {count}" + (f" ({shown})" if shown else "")

        def tell(stage: str, share: float) -> None:
            self._report(f"{title}: {stage}", (number + min(share, 1.0)) / count)

        key = "" if self._store is None else self._study.key(options)
        row = None if self._store is None else self._store.read(key)
        if row is None:
            tell("compile", 0.0)
            measured = measure(self._study, options, tell)
            row = measured.row
            self.warned |= dict.fromkeys(measured.warned)
            if self._store is not None and measured.is_lasting:
                self._store.write(key, row)
        tell("done", 1.0)
        return row
