"""What a server keeps for its clients: evaluation keys, and weights that are encrypted under a client's key."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Protocol, TypeVar

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
    """Of an upload: the id of the evaluation keys that it is or belongs to, and the SHA-256 (hex) of its bytes."""

    key_id: str
    content: str


class StoredKind(Protocol[V]):
    """One thing that a client uploads, ready for use as a V. Equal kinds share uploads."""

    @property
    def what(self) -> str:
        """A word for it, such as "keys"."""

    @property
    def smallest_upload(self) -> int:
        """Fewest bytes of an upload."""

    @property
    def largest_upload(self) -> int:
        """Most bytes of an upload."""

    @property
    def memory_bytes(self) -> int:
        """Bytes when ready for use."""

    @property
    def folder(self) -> str:
        """Name of the folder of these uploads."""

    @property
    def suffix(self) -> str:
        """Of their files."""

    def identify(self, data: bytes | bytearray) -> Identity:
        """Who an upload belongs to, before it is parsed; WireError if that cannot be told."""

    def parse(self, data: bytes | bytearray) -> V:
        """WireError for anything but a whole and right upload."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """What keys of one plan look like: the parameters and spec they are parsed with."""

    parameters: ParameterSet
    spec: EvaluationKeySpec
    what = "keys"
    suffix = ".evk"

    @property
    def smallest_upload(self) -> int:
        """Exact bytes of an upload."""
        return self.largest_upload

    @property
    def largest_upload(self) -> int:
        """Exact bytes of an upload."""
        return evaluation_keys_blob_bytes(self.parameters, self.spec)

    @property
    def memory_bytes(self) -> int:
        """Both halves of every digit."""
        return key_memory(self.parameters, self.spec)

    @property
    def folder(self) -> str:
        """The same upload parses differently for another spec."""
        text = f"{self.parameters.fingerprint().hex()}:{self.spec.relinearisation_level}:{self.spec.galois}"
        return hashlib.sha256(text.encode()).hexdigest()[:32]

    def identify(self, data: bytes | bytearray) -> Identity:
        """The id of keys is the SHA-256 of their bytes."""
        key_id = hashlib.sha256(data).hexdigest()
        return Identity(key_id, key_id)

    def parse(self, data: bytes | bytearray) -> EvaluationKeys:
        """WireError for anything but whole and right keys."""
        return load_evaluation_keys(self.parameters, self.spec, bytes(data))


@dataclass(frozen=True, slots=True, eq=False)
class WeightKind:
    """What encrypted weights of one plan look like. They name the keys that they belong to, and other weights for the
    same keys take their place."""

    format: WeightsFormat
    memory_bytes: int
    smallest_upload: int
    largest_upload: int
    what = "weights"
    suffix = ".weights"

    @classmethod
    def of(cls, plan: Plan) -> WeightKind | None:
        """None for a plan whose weights are in clear."""
        if not plan.program.encrypted_weights:
            return None
        made = WeightsFormat.of(plan)
        program = plan.program
        memory = sum(op.weight_bytes(program, plan.parameters, plan.weights) for op in program.operations)
        return cls(made, memory, made.limits.smallest, made.limits.largest)

    @property
    def folder(self) -> str:
        """Weights belong to one plan."""
        return self.format.fingerprint[:32]

    def identify(self, data: bytes | bytearray) -> Identity:
        """From the header; the checksum at the end is only the sender's word."""
        header = read_weights_header(self.format.name, self.format.fingerprint, data)
        return Identity(header.key_id.hex(), hashlib.sha256(data).hexdigest())

    def parse(self, data: bytes | bytearray) -> EncryptedWeights[Ciphertext]:
        """WireError for anything but whole and right weights."""
        return self.format.load(data).weights
