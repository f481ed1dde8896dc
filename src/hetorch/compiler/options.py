"""The options of hetorch.compile: each with its type, range, unit, default and help at this one place.

`hetorch.compile(**options)`, `hetorch.analyze(**options)`, the command line and the pipeline hold the same
CompileOptions. A new option is one field here; its help on the command line and in `help(hetorch.compile)` follows.
"""

from __future__ import annotations

import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from numbers import Integral, Real
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
from pydantic.fields import FieldInfo

from hetorch.errors import HetorchError, InputError
from hetorch.params import Security

SMALLEST_RING, LARGEST_RING = 1 << 11, 1 << 16
"""Ring degrees that the compiler tries: below, no chain of useful precision is secure; above, the tables end."""
MOST_DEGREE = 63
"""Highest degree of a polynomial in the place of a function: it uses six levels, and 127 would use one more."""
MEGABYTE = 1_000_000


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise ValueError  # the message is made of the field's `expected`
    return int(value)


def _real(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, Real):
        raise ValueError
    return float(value)


def _power_of_two(value: int) -> int:
    if value & (value - 1):
        raise ValueError
    return value


Whole = Annotated[int, BeforeValidator(_whole)]
"""An integer of Python or numpy; no float, text or truth value."""
Number = Annotated[float, BeforeValidator(_real)]
"""A real number of Python or numpy; no text or truth value."""
RingDegree = Annotated[Whole, Field(ge=SMALLEST_RING, le=LARGEST_RING), AfterValidator(_power_of_two)]


def option(default: Any, expected: str, help: str, *, unit: int | None = None, **limits: Any) -> Any:
    """Return a field. `expected` completes the sentence "NAME must be ..."; `help` is for people; `unit` is the number
    that one unit of the command line's option stands for; `limits` are pydantic's gt, ge, lt, le, max_length."""
    return Field(default, description=help, json_schema_extra={"expected": expected, "unit": unit}, **limits)


class CompileOptions(BaseModel):
    """What a user may ask of the compiler. Frozen, and checked when it is made: InputError names the option, what it
    must be and the value seen; ParameterError an unknown security level; TypeError an option that does not exist."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: str | None = option(
        None,
        "printable text of 1 to 200 characters",
        "Name of the plan; the model's class if left out.",
        min_length=1,
        max_length=200,
    )
    precision: Number | None = option(
        None,
        "a number between 0 and 1 (a share of the output range)",
        "Bound of the predicted encryption error, relative to the range of the outputs. If left out: 2^-11 or, where "
        "activations are approximated less exactly than that, a third of their error, up to 2^-6.",
        gt=0,
        lt=1,
    )
    security: Annotated[Security, BeforeValidator(Security.parse)] = option(
        Security.CLASSICAL_128,
        "a security level",
        "Security level: 128, 192 or 256 bits, he-standard-2018 or, for tests only, none.",
    )
    activation_degree: Whole | None = option(
        None,
        f"a whole number from 1 to {MOST_DEGREE}",
        "Degree of all activation polynomials; the least that will do if left out.",
        ge=1,
        le=MOST_DEGREE,
    )
    activation_tolerance: Number = option(
        0.05,
        "a number between 0 and 1",
        "Largest difference between the outputs of the network with polynomials and those of the model, relative to "
        "the range of the model's outputs.",
        gt=0,
        lt=1,
    )
    activation_agreement: Number = option(
        0.995,
        "a number from 0 to 1",
        "Least share of calibration inputs whose argmax stays the same. One may always differ, and a single output "
        "has no argmax.",
        ge=0,
        le=1,
    )
    activation_precision: Number | None = option(
        None,
        "a number from 2^-20 to 1",
        "Largest error of each activation, relative to the largest absolute value in its range. Functions with kinks "
        "(ReLU, MaxPool) then become compositions of minimax polynomials of the sign.",
        ge=2.0**-20,
        lt=1,
    )
    activation_ranges: Literal["calibrated", "interval"] = option(
        "calibrated",
        '"calibrated" or "interval"',
        "Ranges of activations: calibrated, or by interval arithmetic, which is wider but holds for every input within "
        "the calibrated range.",
    )
    ring_degree: RingDegree | None = option(
        None,
        "a power of two from 2^11 to 2^16",
        "Ring degree N, a power of two; the smallest that will do if left out.",
    )
    scale_bits: Whole | None = option(
        None,
        "a whole number from 20 to 45",
        "Bits of the scale; what the precision needs if left out.",
        ge=20,
        le=45,
    )
    digit_size: Whole | None = option(
        None,
        "a whole number from 1 to 16",
        "Data primes in a digit of key switching; the fastest if left out.",
        ge=1,
        le=16,
    )
    objective: Literal["latency", "throughput"] = option(
        "latency",
        '"latency" or "throughput"',
        "latency: one run answers as soon as possible. throughput: a sample costs as little as possible.",
    )
    batch_size: Whole | None = option(
        None,
        "a whole number from 1 to 32768, the slots of the largest ring",
        "Samples that one run takes, rounded up to a power of two. If left out: one for latency, as many as the slots "
        "hold for throughput.",
        ge=1,
        le=LARGEST_RING // 2,
    )
    weights: Literal["clear", "encrypted"] = option(
        "clear",
        '"clear" or "encrypted"',
        "encrypted: the server does not see the weights either; they are ciphertexts under the data owner's key.",
    )
    engine: Literal["native", "seal"] = option(
        "native",
        '"native" or "seal"',
        "Engine that the plan must run on besides native. seal: SEAL too, in its order of slots.",
    )
    key_limit: Whole | None = option(
        None,
        "a whole number of bytes, at least 1",
        "Most bytes of evaluation keys that a client uploads (on the command line in MB). If left out, keys are saved "
        "where that costs next to no time.",
        unit=MEGABYTE,
        ge=1,
    )

    def __init__(self, **given: Any) -> None:
        """Check `given`, options by name."""
        unknown = sorted(set(given) - set(type(self).model_fields))
        if unknown:
            known = ", ".join(type(self).model_fields)
            raise TypeError(f"{unknown[0]!r} is no option of hetorch.compile; the options are {known}")
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise _as_ours(error, given) from None

    @model_validator(mode="after")
    def _agree(self) -> Self:
        if self.name is not None and not self.name.isprintable():
            raise InputError(f"name must be {expected('name')}, got {self.name[:60]!r}")
        if self.weights == "encrypted" and self.objective == "throughput":
            raise InputError(
                'encrypted weights need the objective "latency": in throughput every weight would be a ciphertext'
            )
        if self.engine == "seal" and self.digit_size not in (None, 1):
            raise InputError(
                f'SEAL\'s digits have one prime: digit_size must be 1 with engine="seal", got {self.digit_size}'
            )
        if self.engine == "seal" and self.weights == "encrypted":
            raise InputError('encrypted weights need engine="native"')
        if self.engine == "seal" and self.ring_degree is not None and self.ring_degree > 1 << 15:
            raise InputError(f"SEAL has rings up to 2^15, ring_degree is {self.ring_degree}")
        return self

    @property
    def for_seal(self) -> bool:
        """True if SEAL must be able to run the plan."""
        return self.engine == "seal"

    @property
    def encrypted_weights(self) -> bool:
        """True if the server sees the weights as ciphertexts only."""
        return self.weights == "encrypted"


def signature_with_options(function: Callable[..., object], names: Iterable[str]) -> inspect.Signature:
    """Return the signature of `function` with the options `names` in the place of its **options, for help and tools."""
    own = inspect.signature(function)
    kept = [p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD]
    added = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=CompileOptions.model_fields[name].default,
            annotation=kind(name),
        )
        for name in names
    ]
    return own.replace(parameters=[*kept, *added])


def options_help() -> str:
    """Return one paragraph an option, for docstrings: name, range, help, default."""
    return "\n".join(
        textwrap.fill(
            f"{name}: {expected(name)}{'' if field.default is None else f' (default {field.default})'}. "
            f"{field.description}",
            width=110,
            initial_indent=" " * 12,
            subsequent_indent=" " * 16,
        )
        for name, field in CompileOptions.model_fields.items()
    )


ACTIVATION_OPTIONS = tuple(name for name in CompileOptions.model_fields if name.startswith("activation_"))
"""Options that decide what becomes of activations: the ones that hetorch.analyze depends on."""


def expected(name: str) -> str:
    """Return what the option `name` must be, as it follows "must be"."""
    return str(_extra(CompileOptions.model_fields[name])["expected"])


def kind(name: str) -> type:
    """Return the type of one value of the option `name`: int, float or str."""
    pending: list[Any] = [CompileOptions.model_fields[name].annotation]
    while pending:
        part = pending.pop()
        if part in (int, float):
            return part  # type: ignore[no-any-return]
        pending += get_args(part)
    return str


def unit(name: str) -> int | None:
    """Return how much one unit of the command line's option stands for; None where it is the value itself."""
    found = _extra(CompileOptions.model_fields[name])["unit"]
    return None if found is None else int(found)


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    assert isinstance(extra, dict)
    return dict(extra)


def _as_ours(error: ValidationError, given: Mapping[str, object]) -> HetorchError:
    """The first problem as one sentence; our own errors as they are."""
    problem = error.errors(include_url=False)[0]
    ours = problem.get("ctx", {}).get("error")
    if isinstance(ours, HetorchError):
        return ours
    name = str(problem["loc"][0])
    return InputError(f"{name} must be {expected(name)}, got {repr(given[name])[:60]}")
