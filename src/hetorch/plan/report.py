"""The compiler's report on a plan, as data and as text: a row for each layer, the cost of a run, the errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hetorch.quantities import count_text, size_text, time_text

JOINED = " + "
"""The text between the names of fused layers."""
HEADINGS = (
    "layer",
    "kind",
    "level",
    "scale",
    "ciphertexts",
    "diagonals",
    "zero",
    "rotations",
    "time",
    "weights",
    "keys",
    "predicted error",
)


@dataclass(frozen=True, slots=True)
class LayerReport:
    """One layer of the compiled network.

    `level` is the level of the layer's result, `scale_bits` is log2 of its scale, and `ciphertexts` is the number of
    its ciphertexts. `diagonals` counts products by plaintexts, `rotations` counts rotations (a key switch each), and
    `multiplications` counts products of ciphertexts. `predicted_error` is a bound (hetorch.compiler.noise) of the error
    that the encryption noise of this layer adds to the network's output, relative to the range of the outputs.
    `predicted_seconds` is the time of the layer in one run. `weight_bytes` is the memory of the encoded weights,
    `key_bytes` the size on the wire of the keys that the layer uses, some of them together with other layers.
    `dense_diagonals` is the number of diagonals if no weight were zero, or 0 if it was not counted.

    gain * result + offset is the value that the model has after the last layer in `name`, up to the approximations:
    one pair for each of equal parts of the elements, in order, or none if the result itself is that value. `gain` is
    None where the result is no value of the model. A plan that encrypts its weights keeps no pairs for the server.
    """

    name: str
    kind: str
    level: int
    scale_bits: float
    diagonals: int
    rotations: int
    multiplications: int
    predicted_error: float
    predicted_seconds: float = 0.0
    ciphertexts: int = 1
    weight_bytes: int = 0
    key_bytes: int = 0
    dense_diagonals: int = 0
    gain: tuple[float, ...] | None = None
    offset: tuple[float, ...] = ()

    def without_channels(self) -> LayerReport:
        """Return the same without what shows single channels."""
        return replace(self, gain=None, offset=()) if self.gain else self


@dataclass(frozen=True, slots=True)
class ChannelCurve:
    """An activation of one channel: `function` and `polynomial` at points that lie evenly from `low` to `high`."""

    low: float
    high: float
    function: tuple[float, ...]
    polynomial: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PolynomialReport:
    """The polynomial in place of one activation.

    `layer` is the name of the activation and `function` its function. `low` and `high` are the range over all elements
    on which it was fitted, and `error` is the largest difference there, in the activation's own units.

    `channel_low` and `channel_high` are the ranges of the channels: equal parts of the elements, in order. For
    pictures, `curves` are those of some channels, and `histogram` has the shares of the calibration values in equal
    parts of the whole range. A plan that encrypts its weights keeps none of these for the server.
    """

    layer: str
    function: str
    degree: int
    low: float
    high: float
    error: float
    channel_low: tuple[float, ...] = ()
    channel_high: tuple[float, ...] = ()
    curves: tuple[ChannelCurve, ...] = ()
    histogram: tuple[float, ...] = ()

    def without_channels(self) -> PolynomialReport:
        """Return the same without what shows single channels and the calibration values."""
        return replace(self, channel_low=(), channel_high=(), curves=(), histogram=())


@dataclass(frozen=True, slots=True)
class PlanReport:
    """The report on a plan.

    `predicted_error` is a bound (hetorch.compiler.noise) of the whole encryption error of an output, relative to
    `output_range`, which is max - min of all outputs on the calibration inputs. `approximation_error` is the largest
    difference between the outputs of the polynomial network and of the model on the calibration inputs, relative to
    the same range. `agreement` is the share of calibration inputs with the same argmax (1.0 for a single output).
    `predicted_seconds` is the time of one run of up to `batch_size` samples, by the cost model with the constants of
    `machine` ("default", or "tuned" and a hash) on `threads` threads. `memory_bytes` is the predicted peak of a run,
    with keys and encoded weights. The plan was made for runs within `memory_limit` bytes and keys within `key_limit`
    bytes on the wire, 0 for no limit. `notes` are sentences for the user. `polynomials` stand in for the activations,
    in order. `expected_outputs` is (low, high) of the results of unseen inputs like those of calibration; None if the
    network is exact for every input, or if too few calibration inputs tell.

    str(report) is a table, and report() prints it. It has a row for each layer, with these columns:

        level            level of the result: the number of rescalings left, most at the input, fewest at the output
        scale            scale of the result: numbers are multiplied by it and rounded to integers
        ciphertexts      number of ciphertexts that hold the result
        diagonals        number of non-zero diagonals of the layer's matrix, each of them a product by a plaintext
        zero             number of diagonals that are saved because weights are zero
        rotations        number of rotations, each of them a key switch; they take most of the time
        time             predicted time of the layer in one run
        weights          memory of the encoded weights
        keys             size of the evaluation keys that the layer uses, as they are uploaded
        predicted error  bound of the error that the layer's noise adds to the outputs, relative to their range
    """

    layers: tuple[LayerReport, ...]
    predicted_error: float
    approximation_error: float
    agreement: float
    output_range: float
    calibration_samples: int
    predicted_seconds: float
    notes: tuple[str, ...]
    machine: str = "default"
    threads: int = 1
    memory_bytes: int = 0
    memory_limit: int = 0
    key_limit: int = 0
    polynomials: tuple[PolynomialReport, ...] = ()
    expected_outputs: tuple[float, float] | None = None

    @property
    def promised_error(self) -> float:
        """The largest error of an output on the calibration inputs, relative to `output_range`.

        It is the sum of `predicted_error`, which bounds the encryption noise, and of `approximation_error`, which was
        measured. For other inputs within the calibrated ranges the first holds too, and the second is an estimate.
        """
        return self.predicted_error + self.approximation_error

    def __str__(self) -> str:
        return "\n".join([*layer_lines(self), "", *summary_lines(self)])

    def __call__(self) -> None:
        """Print the table, as print(plan.report) does; there is nothing to print in the result."""
        print(self)


def layer_lines(report: PlanReport) -> list[str]:
    """Return the lines of the table of layers, headings first."""
    cells = [HEADINGS, *(_cells(row) for row in report.layers)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(HEADINGS))]
    lines = [_line(row, widths) for row in cells]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return lines


def summary_lines(report: PlanReport) -> list[str]:
    """Return the lines on time, memory, errors and notes."""
    constants = f"{report.machine} constants"
    if report.machine == "default":
        constants += ": hetorch tune measures this machine's"
    return [
        f"run         predicted {time_text(report.predicted_seconds)} on "
        f"{count_text(report.threads, 'thread')} ({constants}), "
        f"{size_text(report.memory_bytes)} of memory with keys and weights",
        f"encryption  predicted error {report.predicted_error:.1e} of the output range {report.output_range:.4g}",
        f"polynomials error {report.approximation_error:.1e} of the output range, "
        f"{report.agreement:.1%} agreement on {count_text(report.calibration_samples, 'calibration input')}",
        f"promise     on calibration inputs, outputs within {report.promised_error:.1e} of the output range of the "
        "model's: both errors together",
        *(f"note        {note}" for note in report.notes),
    ]


def _cells(row: LayerReport) -> tuple[str, ...]:
    return (
        row.name,
        row.kind,
        str(row.level),
        f"2^{row.scale_bits:.1f}",
        str(row.ciphertexts),
        str(row.diagonals or "-"),
        str(max(row.dense_diagonals - row.diagonals, 0) or "-"),
        str(row.rotations or "-"),
        time_text(row.predicted_seconds),
        size_text(row.weight_bytes) if row.weight_bytes else "-",
        size_text(row.key_bytes) if row.key_bytes else "-",
        f"{row.predicted_error:.1e}",
    )


def _line(row: tuple[str, ...], widths: list[int]) -> str:
    left = [cell.ljust(width) for cell, width in zip(row[:2], widths[:2], strict=True)]
    right = [cell.rjust(width) for cell, width in zip(row[2:], widths[2:], strict=True)]
    return "  ".join(left + right)
