"""The kinds of uploads that a server keeps: evaluation keys, and weights encrypted under a client's key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from hetorch.engine.codec import evaluation_keys_blob_bytes, load_evaluation_keys
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.params import ParameterSet
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.memory import key_memory
from hetorch.plan.plan import Plan
from hetorch.wire.weights import WeightsFormat, read_weights_header

V = TypeVar("V", covariant=True)


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of an upload: `key_id` of the evaluation keys that it is or belongs to, and `content`, the SHA-256
    (hex) of its bytes."""

    key_id: str
    content: str


class StoredKind(Protocol[V]):
    """A kind of upload of one plan, which is parsed to a V. Equal kinds share uploads."""

    @property
    def what(self) -> str:
        """The noun for messages, such as "keys"."""

    @property
    def smallest_upload(self) -> int:
        """The fewest bytes of an upload."""

    @property
    def largest_upload(self) -> int:
        """The most bytes of an upload."""

    @property
    def memory_bytes(self) -> int:
        """Bytes in memory when ready for use."""

    @property
    def folder(self) -> str:
        """The name of the folder of these uploads."""

    @property
    def suffix(self) -> str:
        """The suffix of the files of these uploads."""

    def identify(self, data: bytes | bytearray) -> Identity:
        """Return the identity of an upload, before it is parsed; WireError if its header is malformed."""

    def parse(self, data: bytes | bytearray) -> V:
        """Parse an upload; WireError unless it is whole and fits the plan."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """The evaluation keys of one plan: the parameters and the spec that they are parsed with."""

    parameters: ParameterSet
    spec: EvaluationKeySpec
    what = "keys"
    suffix = ".evk"

    @property
    def smallest_upload(self) -> int:
        """The exact bytes of an upload."""
        return self.largest_upload

    @property
    def largest_upload(self) -> int:
        """The exact bytes of an upload."""
        return evaluation_keys_blob_bytes(self.parameters, self.spec)

    @property
    def memory_bytes(self) -> int:
        """Bytes in memory: both halves of every digit."""
        return key_memory(self.parameters, self.spec)

    @property
    def folder(self) -> str:
        """The folder of one spec: the same upload parses differently for another."""
        text = f"{self.parameters.fingerprint().hex()}:{self.spec.relinearisation_level}:{self.spec.galois}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def identify(self, data: bytes | bytearray) -> Identity:
        """Return the identity: the id of keys is the SHA-256 of their bytes."""
        key_id = hashlib.sha256(data).hexdigest()
        return Identity(key_id, key_id)

    def parse(self, data: bytes | bytearray) -> EvaluationKeys:
        """Parse keys; WireError unless they are whole and fit the plan."""
        return load_evaluation_keys(self.parameters, self.spec, bytes(data))


@dataclass(frozen=True, slots=True, eq=False)
class WeightKind:
    """The encrypted weights of one plan. They name the evaluation keys that they belong to, and other weights for the
    same keys replace them."""

    format: WeightsFormat
    memory_bytes: int
    smallest_upload: int
    largest_upload: int
    what = "weights"
    suffix = ".weights"

    @classmethod
    def of(cls, plan: Plan) -> WeightKind | None:
        """Return the kind for a plan; None if its weights are in clear."""
        if not plan.program.encrypted_weights:
            return None
        form = WeightsFormat.of(plan)
        program = plan.program
        memory = sum(op.weight_bytes(program, plan.parameters, plan.weights) for op in program.operations)
        return cls(form, memory, form.limits.smallest, form.limits.largest)

    @property
    def folder(self) -> str:
        """The folder of one plan: weights belong to one."""
        return self.format.fingerprint[:32]

    def identify(self, data: bytes | bytearray) -> Identity:
        """Return the identity from the header; the checksum at the end is only the sender's word."""
        header = read_weights_header(self.format.name, self.format.fingerprint, data)
        return Identity(header.key_id.hex(), hashlib.sha256(data).hexdigest())

    def parse(self, data: bytes | bytearray) -> EncryptedWeights[Ciphertext]:
        """Parse weights; WireError unless they are whole and fit the plan."""
        return self.format.load(data).weights


@dataclass(frozen=True, slots=True)
class TenantKind(Generic[V]):
    """A kind of upload that belongs to one tenant: no other tenant can find, use or replace what is stored under it."""

    kind: StoredKind[V]
    tenant: str

    @property
    def what(self) -> str:
        return self.kind.what

    @property
    def smallest_upload(self) -> int:
        return self.kind.smallest_upload

    @property
    def largest_upload(self) -> int:
        return self.kind.largest_upload

    @property
    def memory_bytes(self) -> int:
        return self.kind.memory_bytes

    @property
    def folder(self) -> str:
        """The folder of one tenant and kind."""
        return f"{hashlib.sha256(self.tenant.encode()).hexdigest()[:32]}-{self.kind.folder}"

    @property
    def suffix(self) -> str:
        return self.kind.suffix

    def identify(self, data: bytes | bytearray) -> Identity:
        """Return the identity of an upload; WireError if its header is malformed."""
        return self.kind.identify(data)

    def parse(self, data: bytes | bytearray) -> V:
        """Parse an upload; WireError unless it is whole and fits the plan."""
        return self.kind.parse(data)
