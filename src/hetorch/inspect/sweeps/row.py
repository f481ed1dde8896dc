"""The figures of one configuration, and their form in JSON."""

from __future__ import annotations

import dataclasses
import types
import typing
from dataclasses import dataclass, field

from hetorch.errors import StorageError
from hetorch.inspect.sweeps.grid import Options
from hetorch.plan.fields import Cell, Fields, canonical_json

FORMAT, VERSION = "hetorch-sweep", 1
LONGEST = 20_000
"""Characters that a text of a file may have."""
MOST_NOTES = 1000
"""Notes and options that a file may have."""


@dataclass(frozen=True, slots=True, eq=False)
class Row:
    """One configuration: what was asked, and the figures of its plan; None where a figure is not known.

    options               the options of hetorch.compile; None is the compiler's choice
    reason                why there is no plan; empty if there is one
    notes                 warnings and what could not be measured
    accuracy              share of right labels, with the modelled noise; accuracy_clear is the model's own
    r2, rmse              coefficient of determination and root mean square error, for labels that are numbers; with
                          _clear the model's own
    agreement             share of samples with the same label as the model in clear
    error                 largest difference of an output from the model's, relative to the range of the outputs
    precision_bits        bits that the noise of encryption leaves: -log2 of its root mean square, relative to the range
    promised_error        error that the plan promises on its calibration inputs
    outside               share of samples with which an activation leaves the range of its polynomial
    without_result        number of samples whose results are too large for the plan; they have a wrong label
    predicted_seconds     time of one run, by the cost model
    measured_seconds      the same on ciphertexts, the median of the runs; measured_error is their largest error
    run_samples           samples that one run takes
    memory_bytes          predicted memory of a run, with keys and weights
    key_bytes             size of the evaluation keys that a client uploads
    ciphertext_bytes      size of the input and the result of one run
    levels                rescalings that a fresh ciphertext allows
    degree                largest degree of an activation's polynomial
    ring                  ring degree of the plan
    log2_qp, most_log2_qp size of the modulus in bits, and the largest that the security level allows
    security_level        the security level, and security_bits its bits (0: none)
    compile_seconds       time that compiling took
    """

    options: Options
    reason: str = ""
    notes: tuple[str, ...] = ()
    accuracy: float | None = None
    accuracy_clear: float | None = None
    r2: float | None = None
    r2_clear: float | None = None
    rmse: float | None = None
    rmse_clear: float | None = None
    agreement: float | None = None
    error: float | None = None
    precision_bits: float | None = None
    promised_error: float | None = None
    outside: float | None = None
    without_result: int | None = None
    predicted_seconds: float | None = None
    measured_seconds: float | None = None
    measured_error: float | None = None
    run_samples: int | None = None
    memory_bytes: int | None = None
    key_bytes: int | None = None
    ciphertext_bytes: int | None = None
    levels: int | None = None
    degree: int | None = None
    ring: int | None = None
    log2_qp: float | None = None
    most_log2_qp: float | None = None
    security_level: str = ""
    security_bits: int | None = None
    compile_seconds: float | None = None
    study: str = field(default="", repr=False)

    @property
    def is_compiled(self) -> bool:
        """True if there is a plan."""
        return not self.reason

    @property
    def seconds(self) -> float | None:
        """The time of one run: measured if it was, else predicted."""
        return self.predicted_seconds if self.measured_seconds is None else self.measured_seconds

    @property
    def seconds_per_sample(self) -> float | None:
        """The time of one run, divided by the samples that it takes."""
        return None if self.seconds is None or not self.run_samples else self.seconds / self.run_samples

    @property
    def security(self) -> str:
        """The row of the security table, in words."""
        if self.log2_qp is None:
            return ""
        if not self.security_bits or self.most_log2_qp is None:
            return "none: for tests only"
        return f"{self.security_level} bits: log2 QP {self.log2_qp:.0f} of {self.most_log2_qp:.0f}"

    def to_dict(self) -> dict[str, object]:
        """Return options and figures, one entry for each."""
        figures = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)[1:]}
        derived = {"seconds": self.seconds, "seconds_per_sample": self.seconds_per_sample}
        return dict(self.options) | derived | figures | {"notes": "; ".join(self.notes)}

    def to_bytes(self) -> bytes:
        """Return the row as canonical JSON, which row_from_bytes reads."""
        data = {part.name: getattr(self, part.name) for part in dataclasses.fields(self)}
        return canonical_json(
            {"format": FORMAT, "version": VERSION}
            | data
            | {"options": [[name, value] for name, value in self.options.items()], "notes": list(self.notes)}
        )


def row_from_bytes(data: bytes, where: str) -> Row:
    """Parse and check the bytes of to_bytes; StorageError, which names the file `where`, for any others."""

    def fail(sentence: str) -> StorageError:
        return StorageError(f"{sentence}; delete this file, and the sweep computes it again")

    fields = Fields.parse(data, where, fail)
    fields.check_format(
        where,
        FORMAT,
        VERSION,
        older="the sweep computes it again once it is deleted",
        newer="update hetorch, or give another folder",
    )
    values: dict[str, typing.Any] = {}
    for name, hint in typing.get_type_hints(Row).items():
        if name == "options":
            values[name] = _read_options(fields)
        elif name == "notes":
            values[name] = fields.texts(name, MOST_NOTES, LONGEST)
        elif hint is str:
            values[name] = fields.text(name, LONGEST)
        else:
            number = fields.optional_number(name)
            whole = isinstance(hint, types.UnionType) and int in hint.__args__
            values[name] = int(number) if whole and number is not None else number
    fields.done()
    return Row(**values)


def _read_options(fields: Fields) -> dict[str, Cell]:
    pairs = fields.take("options")
    if not isinstance(pairs, list) or len(pairs) > MOST_NOTES:
        raise fields.error("options must be a list of pairs")
    options: dict[str, Cell] = {}
    for pair in pairs:
        if not isinstance(pair, list) or len(pair) != 2 or not isinstance(pair[0], str):
            raise fields.error("options must be a list of pairs of a name and a value")
        if pair[1] is not None and not isinstance(pair[1], str | int | float):
            raise fields.error(f"the option {pair[0]!r} is neither a number nor text")
        options[pair[0]] = pair[1]
    return options
