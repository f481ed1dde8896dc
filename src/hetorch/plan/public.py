"""The part of a plan that a client may see: all that it needs to pack, encrypt, decrypt and unpack, and no weights."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import HetorchError, ParameterError, WireError
from hetorch.ir.layout import Layout
from hetorch.params import ParameterSet
from hetorch.plan.evaluation_keys import key_spec_json, read_key_spec
from hetorch.plan.fields import LARGEST, Fields, canonical_json, encode_int32
from hetorch.plan.inputs import to_array, to_samples
from hetorch.plan.interface import Interface, interface_json, read_interface
from hetorch.plan.outputs import warn_of_outputs
from hetorch.preformatted import preformatted
from hetorch.quantities import count_text, size_text

FORMAT = "hetorch-public-plan"
VERSION = 3
MAX_BYTES = 1 << 25
"""Size in bytes above which a public plan is refused before it is parsed; two layouts of 64 * 2^15 slots need 22 MB."""
MAX_CIPHERTEXTS = 1 << 14
"""Largest number of ciphertexts of one layout; a public plan with more is refused, as with more of the next ones."""
MAX_POSITIONS = 1 << 24
"""Largest number of positions of all ciphertexts of one layout, which take 4 bytes each in memory. The size of the plan
does not bound them: a layout with a period of one slot takes a few bytes for any number of ciphertexts."""
MAX_SIZE = 1 << 50
"""Largest size in bytes, of keys or ciphertexts, that a plan may state."""
MAX_AXES = 8
"""Largest number of axes of an input or output tensor."""
NAME_LENGTH = 200
"""Most characters in the name of a plan."""
OUTPUT_ROOM_BITS = 3
"""Bits that compile leaves in q_0 above the largest calibrated output. Inputs whose magnitude is more than two to this
power times the calibrated one are refused. Raised, such inputs are taken further, and q_0 takes more of the modulus."""


@dataclass(frozen=True, slots=True)
class PublicPlan:
    """The public part of a plan; equal plans have equal bytes.

    `input_range` is (min, max) of the calibration inputs; values far outside leave the range in which activations were
    approximated. `precision` is the predicted bound of the encryption error, relative to `output_range`, which is max -
    min of the outputs on the calibration inputs.

    Sizes in bytes do not include frames and headers (hetorch.plan.sizes); those of ciphertexts are for one request,
    which has up to `batch_size` samples.

    `encrypted_weight_bytes` is 0 if the server has the weights. Otherwise it computes on weights that are encrypted
    under the client's key, and this is the size of their upload. If the holder of the secret key encrypts them, the
    upload is half as large, plus a seed for each ciphertext.

    `interface` is the client's part of the model: columns of tables, names of outputs, classes.

    `expected_outputs` is (low, high) of the results that unseen inputs like those of calibration give, of all outputs
    together (hetorch.compiler.activations.unseen_range.unseen_outputs); None if the plan does not tell it.
    """

    name: str
    fingerprint: str
    parameters: ParameterSet
    key_spec: EvaluationKeySpec
    input_layout: Layout
    input_level: int
    input_scale: float
    output_layout: Layout
    output_level: int
    output_scale: float
    input_range: tuple[float, float]
    precision: float
    output_range: float
    evaluation_key_bytes: int
    input_ciphertext_bytes: int
    output_ciphertext_bytes: int
    interface: Interface
    encrypted_weight_bytes: int = 0
    expected_outputs: tuple[float, float] | None = None

    def __str__(self) -> str:
        """Return a short table: shapes, ring, sizes, accuracy."""
        ring, security = self.parameters.ring_degree.bit_length() - 1, self.parameters.security.value
        incoming, outgoing = size_text(self.input_ciphertext_bytes), size_text(self.output_ciphertext_bytes)
        low, high = self.input_range
        return "\n".join(
            [
                f"{self.name}: {self.input_shape} -> {self.output_shape}, up to "
                f"{count_text(self.batch_size, 'sample')} a run",
                f"inputs      {low:.4g}..{high:.4g} in calibration",
                f"ring        N = 2^{ring}, log2 QP = {self.parameters.log2_qp:.0f}, security {security}",
                f"keys        {self.key_spec.summary()}, {size_text(self.evaluation_key_bytes)}",
                f"ciphertexts {incoming} in, {outgoing} out",
                f"encryption  predicted error {self.precision:.1e} of the output range",
                f"fingerprint {self.fingerprint}",
                f"public part {self.sha256}",
            ]
        )

    def _repr_html_(self) -> str:
        """Return the table as a notebook shows it."""
        return preformatted(str(self))

    @property
    def sha256(self) -> str:
        """The SHA-256 in hexadecimal of the whole public plan, as one that was read writes it: it names the plan
        whatever a server says of it."""
        return hashlib.sha256(PublicPlan.from_bytes(self.to_bytes()).to_bytes()).hexdigest()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one sample, without a batch axis."""
        return self.input_layout.shape

    @property
    def output_shape(self) -> tuple[int, ...]:
        """The shape of one result, without a batch axis."""
        return self.output_layout.shape

    @property
    def input_count(self) -> int:
        """The number of ciphertexts of one request."""
        return self.input_layout.ciphertext_count

    @property
    def output_count(self) -> int:
        """The number of ciphertexts of the result of one request."""
        return self.output_layout.ciphertext_count

    @property
    def batch_size(self) -> int:
        """The largest number of samples that one request takes, side by side in the slots."""
        return self.input_layout.batch

    @property
    def slot_count(self) -> int:
        return self.parameters.slot_count

    @property
    def largest_input(self) -> float:
        """The magnitude beyond which an input is refused: it cannot be encoded, or results may wrap around the modulus.

        Calibrated outputs that grow in proportion to the input leave the modulus beyond 2^OUTPUT_ROOM_BITS times the
        calibrated magnitude. This is no proof for smaller inputs: a polynomial grows faster beyond its range, and so
        does an output in whose calibrated values large terms cancel. A bound for every input would need the weights,
        which the client may not see, and would refuse good inputs. hetorch.simulate tells each result that wraps.
        """
        modulus = math.prod(self.parameters.modulus_chain[: self.input_level + 1])
        bits = math.log2(modulus) - 1 - math.log2(self.input_scale)
        encodable = math.exp2(min(bits, 1023))
        calibrated = max(map(abs, self.input_range))
        return min(encodable, 2**OUTPUT_ROOM_BITS * calibrated) if calibrated else encodable

    @property
    def may_have_polynomials(self) -> bool:
        """False if the model is affine: nothing is multiplied by a ciphertext. True if the weights are encrypted."""
        return self.key_spec.relinearisation_level is not None

    def samples(
        self, x: object, *, fewest: int = 0, refuse_far: bool = True, stacklevel: int = 1
    ) -> tuple[NDArray[np.float64], bool]:
        """Return `x` as float64 (batch, *input_shape), and True if it is one sample without a batch axis.

        A table (a DataFrame, or a mapping from names to columns) is read by the names of its columns, if the plan has
        them; what the model computes from categories and missing values on the client's side is computed here.

        Warns with InputRangeWarning, `stacklevel` frames above the caller, if `x` leaves the calibrated range.
        InputError for any other shape, fewer than `fewest` samples, and values that are no real numbers, not finite or
        above largest_input: with refuse_far=False the latter are warned of too, and returned as they are.
        """
        if self.interface.columns is not None:
            x = self.interface.columns.read(x)
        return to_samples(
            x,
            self.input_shape,
            self.input_range,
            largest=self.largest_input,
            fewest=fewest,
            refuse_far=refuse_far,
            polynomials=self.may_have_polynomials,
            source=None if self.interface.columns is None else self.interface.columns.source,
            stacklevel=stacklevel + 3,
        )

    def warn_of_results(self, results: NDArray[np.float64], *, room: float = 0.0) -> None:
        """Warn with InputRangeWarning of decrypted results (batch, *output_shape) that may be meaningless: they lie
        outside `expected_outputs` by more than `room`, in their unit, which noise on shared results needs.

        Within the range nothing is proven: a result that is wrong by less is not seen. A result beyond may be right,
        because at most one unseen input in 10,000 is expected there, and not none. Therefore nothing is refused. Of a
        plan without that range no result is told.
        """
        warn_of_outputs(results, self.expected_outputs, self.name, room)

    def pack(self, x: ArrayLike) -> list[NDArray[np.float64]]:
        """Pack one sample of input_shape into slots: one float64 array (slot_count,) for each ciphertext. InputError as
        samples."""
        return self.input_layout.pack(to_array(x))

    def unpack(self, slots: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Unpack the decrypted slots of one result, in the order of its ciphertexts, into float64 of output_shape."""
        return self.output_layout.unpack(slots)

    def pack_batch(self, x: ArrayLike) -> list[NDArray[np.float64]]:
        """Pack 1 to batch_size samples, (n, *input_shape), into slots as pack; the last one fills the free places."""
        return self.input_layout.pack_batch(to_array(x))

    def unpack_batch(self, slots: list[NDArray[np.float64]]) -> NDArray[np.float64]:
        """Unpack decrypted slots into float64 (batch_size, *output_shape), in the order of the packed samples."""
        return self.output_layout.unpack_batch(slots)

    def named(self, results: NDArray[np.float64]) -> Any:
        """Return what the model returns, from results (..., *output_shape): one array or, if it has several outputs, a
        dictionary or a tuple of them, each (..., *shape); after the softmax, sigmoid or argmax that ends the model."""
        return self.interface.named(results, self.output_shape)

    def to_bytes(self) -> bytes:
        """Return the public plan as canonical JSON, which from_bytes reads."""
        # Without their values these fields are left out, so that older plans keep their bytes.
        optional: dict[str, object] = {}
        if self.encrypted_weight_bytes:
            optional["encrypted_weight_bytes"] = self.encrypted_weight_bytes
        if self.expected_outputs is not None:
            optional["expected_outputs"] = list(self.expected_outputs)
        return canonical_json(
            optional
            | {
                "format": FORMAT,
                "version": VERSION,
                "name": self.name,
                "fingerprint": self.fingerprint,
                "parameters": self.parameters.to_json(),
                "key_spec": key_spec_json(self.key_spec),
                "batch_size": self.batch_size,
                "input_layout": _layout_json(self.input_layout),
                "input_level": self.input_level,
                "input_scale": self.input_scale,
                "output_layout": _layout_json(self.output_layout),
                "output_level": self.output_level,
                "output_scale": self.output_scale,
                "input_range": list(self.input_range),
                "precision": self.precision,
                "output_range": self.output_range,
                "evaluation_key_bytes": self.evaluation_key_bytes,
                "input_ciphertext_bytes": self.input_ciphertext_bytes,
                "output_ciphertext_bytes": self.output_ciphertext_bytes,
                "interface": interface_json(self.interface),
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> PublicPlan:
        """Parse and check the bytes of a server that is not trusted.

        Raises:
            WireError: the bytes are not a complete and consistent public plan.
            SecurityError: the parameters are not secure.
        """
        if len(data) > MAX_BYTES:
            raise WireError(f"a public plan has at most {size_text(MAX_BYTES)}, got {size_text(len(data))}")
        fields = Fields.parse(data, "public plan", WireError)
        fields.check_format(
            "the server's public plan",
            FORMAT,
            VERSION,
            older="ask the server's owner to update hetorch",
            newer="update hetorch here to the server's version",
        )
        parameters = read_parameters(fields)
        slot_count, top = parameters.slot_count, parameters.max_level
        batch = fields.integer("batch_size", 1, slot_count)
        span = fields.numbers("input_range", -LARGEST, LARGEST, 2)
        if len(span) != 2:
            raise fields.error(f"input_range needs two numbers, got {len(span)}")
        layouts = [
            _read_layout(fields.child(name), slot_count, batch) for name in ("input_layout", "output_layout")
        ]
        plan = cls(
            name=fields.text("name", NAME_LENGTH),
            fingerprint=_fingerprint(fields),
            parameters=parameters,
            key_spec=read_key_spec(fields.child("key_spec"), parameters),
            input_layout=layouts[0],
            input_level=fields.integer("input_level", 0, top),
            input_scale=fields.number("input_scale", 1e-9, LARGEST),
            output_layout=layouts[1],
            output_level=fields.integer("output_level", 0, top),
            output_scale=fields.number("output_scale", 1e-9, LARGEST),
            input_range=(span[0], span[1]),
            precision=fields.number("precision", 0, LARGEST),
            output_range=fields.number("output_range", 0, LARGEST),
            evaluation_key_bytes=fields.integer("evaluation_key_bytes", 0, MAX_SIZE),
            input_ciphertext_bytes=fields.integer("input_ciphertext_bytes", 0, MAX_SIZE),
            output_ciphertext_bytes=fields.integer("output_ciphertext_bytes", 0, MAX_SIZE),
            encrypted_weight_bytes=(
                fields.integer("encrypted_weight_bytes", 1, MAX_SIZE)
                if fields.has("encrypted_weight_bytes")
                else 0
            ),
            interface=read_interface(fields.child("interface"), layouts[0].shape, layouts[1].shape),
            expected_outputs=read_expected_outputs(fields),
        )
        fields.done()
        return plan


def read_parameters(fields: Fields) -> ParameterSet:
    """Read and check the field `parameters`. SecurityError passes through, because it concerns the user."""
    try:
        return ParameterSet.from_json(fields.take("parameters"))
    except ParameterError as error:
        if type(error) is not ParameterError:
            raise
        raise fields.error(str(error)[:300]) from None


def read_expected_outputs(fields: Fields) -> tuple[float, float] | None:
    """Read the optional field `expected_outputs`: two numbers, the lower one first. None if there is none."""
    if not fields.has("expected_outputs"):
        return None
    span = fields.numbers("expected_outputs", -LARGEST, LARGEST, 2)
    if len(span) != 2 or span[0] > span[1]:
        raise fields.error(
            f"expected_outputs needs two numbers, the lower one first, got {', '.join(map(str, span))}"
        )
    return span[0], span[1]


def _layout_json(layout: Layout) -> dict[str, object]:
    block = layout.block
    return {
        "shape": list(layout.shape),
        "ciphertexts": layout.ciphertext_count,
        "period": layout.period,
        "index_of_slot": encode_int32(block),
    }


def _read_layout(fields: Fields, slot_count: int, batch: int) -> Layout:
    shape = fields.integers("shape", 1, 1 << 22, MAX_AXES)
    count = fields.integer("ciphertexts", 1, MAX_CIPHERTEXTS)
    period = fields.integer("period", 1, slot_count // batch)
    if count * (slot_count // batch) > MAX_POSITIONS:
        raise fields.error(
            f"{count_text(count, 'ciphertext')} of {count_text(slot_count // batch, 'position')}; at "
            f"most {MAX_POSITIONS} in all are read"
        )
    block = fields.int32_array("index_of_slot", (count, period))
    fields.done()
    try:
        return Layout.periodic(shape, slot_count, block, batch)
    except HetorchError as error:
        raise fields.error(str(error)[:200]) from None


def _fingerprint(fields: Fields) -> str:
    text = fields.text("fingerprint", 64)
    if len(text) != 64 or not set(text) <= set("0123456789abcdef"):
        raise fields.error("fingerprint must be 64 hexadecimal digits")
    return text
