"""The options of hetorch.compile: each has its type, range, unit, default and help at this one place.

`hetorch.compile(**options)`, `hetorch.analyze(**options)`, the command line and the pipeline hold the same
CompileOptions. A new option is one field here; signatures, help texts and the command line follow from the fields
(`hetorch.compiler.option_help`). The command line imports this module when it starts, so it loads neither numpy nor
torch.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from numbers import Integral, Real
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from hetorch.engine.backend import NATIVE, AnyBackend
from hetorch.errors import HetorchError, InputError
from hetorch.interop.backends import BACKENDS, backend
from hetorch.params import Security

SMALLEST_RING = 1 << 11
"""Smallest ring degree that the compiler tries. In a smaller ring no secure chain has useful precision."""
LARGEST_RING = max(known.largest_ring for known in BACKENDS)
"""Largest ring degree that the compiler tries."""
LEAST_SCALE_BITS, MOST_SCALE_BITS = 20, 45
"""Range of the scale, in bits; each level takes a prime of about this size. Above, q_0, which is larger by the headroom
of the outputs, would pass the 50 bits at which the fastest vector kernels end."""
MOST_DEGREE = 127
"""Highest degree of a polynomial that replaces a function. It takes seven levels."""
MOST_OWN_DEGREE = 8
"""Highest degree of a polynomial that has coefficients of its own for each element. It takes three levels; a series,
which has one set of coefficients, is needed beyond."""
MEGABYTE, GIGABYTE = 1_000_000, 1_000_000_000
"""Bytes in a unit of an option that is given in MB or GB on the command line."""
SIZE_UNITS = {"B": 1, "KB": 1000, "MB": MEGABYTE, "GB": GIGABYTE, "TB": 1000 * GIGABYTE}
"""Bytes in each unit that a size in text may have."""


NAME_LENGTH = 200
"""Most characters in the name of an output, as in a plan."""


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError  # The message is made of the field's `expected`.
    return int(value)


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError
    return float(value)


def _size(value: object) -> int:
    if not isinstance(value, str):
        return _whole(value)
    parts = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,9})?)\s*([KMGT]?B)\s*", value.upper(), re.ASCII)
    if parts is None:
        raise ValueError
    return round(float(parts[1]) * SIZE_UNITS[parts[2]])


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError
    return value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError
    return value


def _known_engine(value: str) -> str:
    if all(value != known.name for known in BACKENDS):
        raise ValueError
    return value


def _names(value: object) -> tuple[str, ...]:
    names = value.split(",") if isinstance(value, str) else value
    if not isinstance(names, list | tuple) or not all(
        isinstance(name, str) and 0 < len(name) <= NAME_LENGTH for name in names
    ):
        raise ValueError
    if not names or len(set(names)) < len(names):
        raise ValueError
    return tuple(names)


def _truth(value: object) -> bool:
    if not isinstance(value, bool):
        raise ValueError
    return value


Flag = Annotated[bool, BeforeValidator(_truth)]
"""True or False."""
Whole = Annotated[int, BeforeValidator(_whole)]
"""An integer of Python or numpy; no float, text or truth value."""
Number = Annotated[float, BeforeValidator(_real)]
"""A real number of Python or numpy; no text or truth value."""
Size = Annotated[int, BeforeValidator(_size)]
"""A number of bytes, as a number or as text such as "6GB"."""
RingDegree = Annotated[Whole, AfterValidator(_power_of_two)]
Text = Annotated[str, AfterValidator(_printable)]
Engine = Annotated[str, AfterValidator(_known_engine)]
Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
SecurityLevel = Annotated[Security, BeforeValidator(Security.parse)]


def _option(default: Any, expected: str, help: str, *, unit: int | None = None, **limits: Any) -> Any:
    """Return a field.

    Args:
        default: the value of an option that was left out.
        expected: completes the sentence "NAME must be ...".
        help: full sentences for users.
        unit: value of one unit of the option on the command line; None if the command line takes the value itself.
        **limits: pydantic's gt, ge, lt, le, min_length and max_length.
    """
    return Field(default, description=help, json_schema_extra={"expected": expected, "unit": unit}, **limits)


def _whole_option(low: int, high: int, help: str) -> Any:
    """Return a field for a whole number from `low` to `high` that the compiler chooses if it is left out."""
    return _option(None, f"a whole number from {low} to {high}", help, ge=low, le=high)


def _one_of(names: tuple[str, ...], help: str) -> Any:
    """Return a field for one of `names`; the first is the default."""
    return _option(names[0], " or ".join(f'"{name}"' for name in names), help)


def _flag(help: str) -> Any:
    """Return a field that is off unless it is given."""
    return _option(False, "True or False", help)


Ranges = Literal["calibrated", "interval"]
Objective = Literal["latency", "throughput"]
Weights = Literal["clear", "encrypted"]
Bootstrap = Literal["auto", "never"]


ELSEWHERE: Mapping[str, str] = MappingProxyType(
    {
        "poly_modulus_degree": "ring_degree",
        "coeff_mod_bit_sizes": "scale_bits",
        "n_bits": "precision",
        "verbose": "progress",
        "show_progress": "progress",
        "callback": "progress",
        "polynomial_degree": "activation_degree",
        "inputset": "calibration_inputs",
        "sample_inputs": "calibration_inputs",
        "example_inputs": "calibration_inputs",
        "calibration_data": "calibration_inputs",
    }
)
"""Names that other libraries have for the arguments of hetorch.compile."""


class CompileOptions(BaseModel):
    """Everything that a user may ask of the compiler. Frozen, and checked when it is made.

    Raises:
        InputError: a value out of range, or options that contradict each other. The message names the option, the
            values that it takes and the value seen.
        ParameterError: an unknown security level.
        TypeError: an option that does not exist.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: Text | None = _option(
        None,
        "printable text of 1 to 200 characters",
        "Name of the plan in reports; the model's class if left out. A server names a model by the plan's folder.",
        min_length=1,
        max_length=200,
    )
    outputs: Names | None = _option(
        None,
        "names of outputs, each once, in a list or separated by commas",
        "Outputs to compute, of a model that returns several: keys of its dictionary, attributes, or output_0, ... of "
        "a tuple. All of them if left out.",
    )
    precision: Number | None = _option(
        None,
        "a number between 0 and 1 (a share of the output range)",
        "Bound of the predicted encryption error, relative to the range of the outputs. If left out: 2^-11 or, where "
        "activations are approximated less exactly than that, a third of their error, up to 2^-6.",
        gt=0,
        lt=1,
    )
    shared_queries: Whole | None = _option(
        None,
        "a whole number of at least 1",
        "Number of results that each data owner will share in all (Sharing, --for-sharing). The precision is then so "
        "fine that the noise which hides the key is at most a tenth of the outputs' range, for one sample a request or "
        "batch_size of them.",
        ge=1,
    )
    security: SecurityLevel = _option(
        Security.CLASSICAL_128,
        "a security level",
        "Security level: 128, 192 or 256 bits, he-standard-2018 or, for tests only, none.",
    )
    activation_degree: Whole | None = _whole_option(
        1,
        MOST_DEGREE,
        "Degree of all activation polynomials; the least that meets the tolerances if left out.",
    )
    activation_tolerance: Number = _option(
        0.05,
        "a number between 0 and 1",
        "Largest difference between the outputs of the network with polynomials and those of the model, relative to "
        "the range of the model's outputs.",
        gt=0,
        lt=1,
    )
    activation_agreement: Number = _option(
        0.995,
        "a number from 0 to 1",
        "Least share of inputs whose argmax can be expected to stay the same, from the margins and errors on the "
        "calibration inputs. One of these may always differ. Only a row of two or more outputs has an argmax.",
        ge=0,
        le=1,
    )
    activation_precision: Number | None = _option(
        None,
        "a number from 2^-20 to 1",
        "Largest error of each activation, relative to the largest absolute value in its range. Functions with kinks "
        "(ReLU, MaxPool) then become compositions of minimax polynomials of the sign.",
        ge=2.0**-20,
        lt=1,
    )
    activation_ranges: Ranges = _one_of(
        get_args(Ranges),
        "Ranges of activations. calibrated: as seen on the calibration inputs, with a margin. interval: by interval "
        "arithmetic, which is wider but holds for every input within the calibrated range.",
    )
    strict: Flag = _flag(
        "Refuse a network that is less exact than the activation_... options ask. If left out, the best one found is "
        "returned with a warning.",
    )
    ring_degree: RingDegree | None = _option(
        None,
        f"a power of two from 2^{SMALLEST_RING.bit_length() - 1} to 2^{LARGEST_RING.bit_length() - 1}",
        "Ring degree N, a power of two; the smallest that is large enough if left out.",
        ge=SMALLEST_RING,
        le=LARGEST_RING,
    )
    scale_bits: Whole | None = _whole_option(
        LEAST_SCALE_BITS, MOST_SCALE_BITS, "Bits of the scale; as many as the precision needs if left out."
    )
    digit_size: Whole | None = _whole_option(
        1, 32, "Number of data primes in a digit of key switching; the fastest if left out."
    )
    objective: Objective = _one_of(
        get_args(Objective),
        "latency: one run answers as soon as possible. throughput: a sample costs as little as possible.",
    )
    batch_size: Whole | None = _option(
        None,
        f"a whole number from 1 to {LARGEST_RING // 2}, the slots of the largest ring",
        "Number of samples that one run takes, rounded up to a power of two. If left out: one for latency, as many as "
        "the slots hold for throughput.",
        ge=1,
        le=LARGEST_RING // 2,
    )
    weights: Weights = _one_of(
        get_args(Weights),
        "clear: the server sees the weights. encrypted: it does not; they are ciphertexts under the data owner's key.",
    )
    engine: Engine = _one_of(
        tuple(known.name for known in BACKENDS),
        f"Engine that must be able to run the plan ({', '.join(known.name for known in BACKENDS)}); "
        f"{NATIVE.name} always can.",
    )
    bootstrap: Bootstrap = _one_of(
        get_args(Bootstrap),
        "auto: values of a network that has more levels than a ring are bootstrapped, where the run is then fastest. "
        "never: the levels of the ring must do.",
    )
    key_limit: Size | None = _option(
        None,
        'a whole number of bytes, at least 1, or text such as "800MB"',
        "Largest size of the evaluation keys that a client uploads. If left out, as much as a client accepts, and "
        "fewer keys are used where that costs little time.",
        unit=MEGABYTE,
        ge=1,
    )
    memory_limit: Size | None = _option(
        None,
        'a whole number of bytes, at least 1, or text such as "6GB"',
        "Largest memory of a run with keys and weights: plans take more time where they would take more memory. If "
        "left out, that of this machine, rounded down to a power of two or one and a half times one.",
        unit=GIGABYTE,
        ge=1,
    )

    def __init__(self, **options: Any) -> None:
        """Check `options`, which are given by name."""
        unknown = sorted(set(options) - set(type(self).model_fields))
        if unknown:
            raise TypeError(_unknown_option(unknown[0]))
        try:
            super().__init__(**options)
        except ValidationError as error:
            raise _first_problem(error, options) from None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.encrypted_weights and self.objective == "throughput":
            raise InputError(
                'encrypted weights need the objective "latency": in throughput every weight would be a ciphertext'
            )
        engine = self.backend
        if self.encrypted_weights and not engine.takes_encrypted_weights:
            able = " or ".join(
                f'engine="{known.name}"' for known in BACKENDS if known.takes_encrypted_weights
            )
            raise InputError(f"encrypted weights need {able}")
        if engine.digit_size is not None and self.digit_size not in (None, engine.digit_size):
            raise InputError(
                f'digit_size must be {engine.digit_size} with engine="{engine.name}", got {self.digit_size}'
            )
        if self.ring_degree is not None and self.ring_degree > engine.largest_ring:
            raise InputError(
                f'ring_degree must be at most {engine.largest_ring} with engine="{engine.name}", '
                f"got {self.ring_degree}"
            )
        return self

    @property
    def backend(self) -> AnyBackend:
        """The backend that the plan must run on besides the native one."""
        return backend(self.engine)

    @property
    def encrypted_weights(self) -> bool:
        """True if the server sees the weights as ciphertexts only."""
        return self.weights == "encrypted"


ONE_VALUE = ("name", "outputs")
"""Options that a sweep has one value of: another one would be another network."""
ANALYSIS_OPTIONS = (
    "outputs",
    "bootstrap",
    "security",
    "ring_degree",
    *(name for name in CompileOptions.model_fields if name.startswith("activation_") or name == "strict"),
)
"""Names of the options that decide about outputs, activations, levels and bootstraps, and so about the result of
hetorch.analyze."""


def expected(name: str) -> str:
    """Return the values that the option `name` takes, worded to follow "must be"."""
    extra = CompileOptions.model_fields[name].json_schema_extra
    assert isinstance(extra, dict)
    return str(extra["expected"])


def _unknown_option(name: str) -> str:
    """Return the message for an option that does not exist: the nearest that do, and all of them."""
    known = [*CompileOptions.model_fields, "progress"]
    low = name.lower().replace("-", "_")
    near = [ELSEWHERE[low]] if low in ELSEWHERE else difflib.get_close_matches(low, known, n=2, cutoff=0.5)
    meant = f"; did you mean {' or '.join(near)}?" if near else "."
    return f"{name!r} is no option of hetorch.compile{meant} The options are {', '.join(known)}"


def _first_problem(error: ValidationError, options: Mapping[str, object]) -> HetorchError:
    """Return the first problem as an InputError of one sentence; an error of ours as it is."""
    problem = error.errors(include_url=False)[0]
    ours = problem.get("ctx", {}).get("error")
    if isinstance(ours, HetorchError):
        return ours
    name = str(problem["loc"][0])
    return InputError(f"{name} must be {expected(name)}, got {repr(options[name])[:60]}")
