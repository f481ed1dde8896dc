"""The figures of a row that are compared: how each is called, written and drawn, and which of two is better."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from hetorch.errors import InputError
from hetorch.inspect.sweeps.row import Row
from hetorch.quantities import size_text, time_text


def _percent(value: float) -> str:
    return f"{value:.2%}"


def _short(value: float) -> str:
    return f"{value:.3g}"


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure.

    heading  in tables
    label    on the axis of a picture
    text     from a value to its cell in a table
    sign     -1 if a larger value is better, 1 if a smaller one is
    is_log   True if its axis is logarithmic
    unit     the value of one unit of the axis
    """

    heading: str
    label: str
    text: Callable[[float], str] = _short
    sign: int = 1
    is_log: bool = False
    unit: float = 1.0


MEGABYTE = 1e6
METRICS: Mapping[str, Metric] = MappingProxyType(
    {
        "accuracy": Metric("accuracy", "accuracy, %", _percent, -1, unit=0.01),
        "r2": Metric("R²", "R²", lambda value: f"{value:.4f}", -1),
        "rmse": Metric("RMSE", "root mean square error"),
        "agreement": Metric("agreement", "agreement with the model, %", _percent, -1, unit=0.01),
        "error": Metric("error", "largest error, % of the output range", _percent, 1, True, 0.01),
        "precision_bits": Metric(
            "bits", "precision that noise leaves, bits", lambda value: f"{value:.1f}", -1
        ),
        "promised_error": Metric(
            "promised", "promised error, % of the output range", _percent, 1, True, 0.01
        ),
        "outside": Metric("outside", "samples outside an activation's range, %", _percent, unit=0.01),
        "seconds": Metric("time", "time of a run, s", time_text, 1, True),
        "seconds_per_sample": Metric("a sample", "time for a sample, s", time_text, 1, True),
        "predicted_seconds": Metric("predicted", "predicted time of a run, s", time_text, 1, True),
        "measured_seconds": Metric("measured", "measured time of a run, s", time_text, 1, True),
        "measured_error": Metric(
            "measured error", "measured error, % of the output range", _percent, 1, True, 0.01
        ),
        "memory_bytes": Metric("memory", "memory of a run, MB", size_text, 1, True, MEGABYTE),
        "key_bytes": Metric("keys", "evaluation keys, MB", size_text, 1, True, MEGABYTE),
        "ciphertext_bytes": Metric("ciphertexts", "ciphertexts of a run, MB", size_text, 1, True, MEGABYTE),
        "levels": Metric("levels", "levels", lambda value: f"{value:.0f}"),
        "degree": Metric("degree", "largest degree of an activation", lambda value: f"{value:.0f}"),
        "ring": Metric("ring", "ring degree", lambda value: f"2^{int(value).bit_length() - 1}", is_log=True),
        "compile_seconds": Metric("compiling", "time of compiling, s", time_text, 1, True),
    }
)
"""The figures by their names in Row."""


NEEDS: Mapping[str, str] = MappingProxyType(
    {
        "accuracy": "labels= with the classes of the samples",
        "r2": "labels= with the targets of the samples",
        "rmse": "labels= with the targets of the samples",
        "measured_seconds": "encrypted_samples=",
        "measured_error": "encrypted_samples=",
    }
)
"""The argument of a sweep that some figures need."""


def metric(name: str) -> Metric:
    """Return the figure of that name; InputError, which lists them, for any other."""
    if name not in METRICS:
        raise InputError(f"{name!r} is no figure of a sweep; the figures are {', '.join(METRICS)}")
    return METRICS[name]


def known_values(rows: Sequence[Row], name: str) -> list[float | None]:
    """Return a figure of each row; InputError if no row has it, or there is no such figure."""
    metric(name)
    values: list[float | None] = [getattr(row, name) for row in rows]
    if all(value is None for value in values):
        if not any(row.is_compiled for row in rows):
            raise InputError("no configuration was compiled; print the sweep for the reasons")
        raise _not_known(name)
    return values


def check_known(name: str, has_labels: bool, encrypted_samples: int) -> None:
    """Raise InputError if no row of a sweep with these arguments can have a figure, or there is no such figure."""
    metric(name)
    need = NEEDS.get(name, "")
    if (need.startswith("labels=") and not has_labels) or (
        need.startswith("encrypted_samples=") and not encrypted_samples
    ):
        raise _not_known(name)


def _not_known(name: str) -> InputError:
    return InputError(
        f"no configuration has the figure {name!r}; it needs {NEEDS.get(name, 'a model that has it')}"
    )


def front(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Return the rows than which no other is as good in all these figures and better in one, sorted by the first."""
    columns = [known_values(rows, name) for name in names]
    signs = [METRICS[name].sign for name in names]
    points = [
        (row, tuple(sign * value for sign, value in zip(signs, values, strict=True)))
        for row, *values in zip(rows, *columns, strict=True)
        if all(value is not None for value in values)
    ]
    best = [
        (point, number, row)
        for number, (row, point) in enumerate(points)
        if not any(_is_better(other, point) for _, other in points)
    ]
    return [row for _, _, row in sorted(best, key=lambda one: one[:2])]


def _is_better(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
