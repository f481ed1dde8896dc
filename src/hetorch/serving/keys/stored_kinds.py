"""The kinds of uploads that a server keeps: evaluation keys, and weights encrypted under a client's key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Generic, Protocol, TypeVar

from hetorch.engine.codec import evaluation_keys_blob_bytes
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import Ciphertext, EvaluationKeys
from hetorch.engine.packed_keys import (
    KeyPacking,
    map_evaluation_keys,
    pack_evaluation_keys,
    packed_file_bytes,
)
from hetorch.errors import WireError
from hetorch.params import ParameterSet
from hetorch.plan.encrypted import EncryptedWeights
from hetorch.plan.memory import key_memory
from hetorch.plan.plan import Plan
from hetorch.wire.frame import HEADER_BYTES
from hetorch.wire.weights import WeightsFormat, read_weights_header

V = TypeVar("V", covariant=True)
ANY_TENANT = ""
"""The tenant of a server without tokens; the name of no other one."""
_PIECE_BYTES = 1 << 20
"""Bytes of an upload that are read at a time. Raised, an upload takes more memory and is not faster."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The identity of an upload: `key_id` of the evaluation keys that it is or belongs to, and `content`, the SHA-256
    (hex) of its bytes."""

    key_id: str
    content: str


class Packing(Protocol):
    """Makes the file of an upload part by part. The id of such an upload is its SHA-256."""

    @property
    def next_bytes(self) -> int:
        """The bytes of the upload's next part; 0 when the file is whole."""

    def pack(self, part: bytes) -> bytes:
        """Return the next bytes of the file; WireError if the part is malformed, or the whole has another SHA-256."""


class StoredKind(Protocol[V]):
    """A kind of upload of one plan and one tenant, which is opened as a V. Equal kinds share uploads."""

    @property
    def what(self) -> str:
        """The noun for messages, such as "keys"."""

    @property
    def tenant(self) -> str:
        """The owner; ANY_TENANT on a server without tokens."""

    @property
    def name(self) -> str:
        """The name of the kind in the catalogue, the same for all tenants."""

    @property
    def smallest_upload(self) -> int:
        """The fewest bytes of an upload."""

    @property
    def largest_upload(self) -> int:
        """The most bytes of an upload."""

    @property
    def memory_bytes(self) -> int:
        """Bytes in memory when open."""

    def file_bytes(self, upload_bytes: int) -> int:
        """Return the bytes of the file that is made of an upload."""

    def identify(self, upload: BinaryIO) -> Identity:
        """Return the identity of an upload, which is read to its end; WireError if its header is malformed."""

    def prepare(self, upload: BinaryIO, length: int, content: str) -> Iterator[bytes]:
        """Yield the file that is made of an upload of `length` bytes, whose SHA-256 (hex) is `content`; WireError
        unless it is whole and fits the plan."""

    def begin(self, length: int, content: str) -> Packing | None:
        """Return what makes the same file while the upload comes; None if it is made of a whole upload only."""

    def open(self, path: Path, key_id: str) -> V:
        """Open a file that `prepare` made; WireError unless it is whole and for these keys, OSError if it cannot be
        read."""


@dataclass(frozen=True, slots=True)
class KeyKind:
    """The evaluation keys of one plan: the parameters and the spec that they are parsed with.

    A key is indistinguishable from random numbers for all who do not have the secret key, so what can be checked is its
    form: lengths, level, seed, and each residue below its prime.
    """

    parameters: ParameterSet = field(compare=False)
    spec: EvaluationKeySpec = field(compare=False)
    name: str = field(init=False)
    what = "keys"
    tenant = ANY_TENANT

    def __post_init__(self) -> None:
        """Make the name of parameters and spec: the same upload parses differently for another."""
        text = ":".join((self.parameters.fingerprint().hex(), *map(str, self.spec.canonical())))
        object.__setattr__(self, "name", f"keys-{hashlib.sha256(text.encode()).hexdigest()[:32]}")

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
        """Bytes in memory: both halves of every digit. Processes that map the same file share them."""
        return key_memory(self.parameters, self.spec)

    def file_bytes(self, upload_bytes: int) -> int:
        """Return the bytes of the packed file."""
        return packed_file_bytes(self.parameters, self.spec)

    def identify(self, upload: BinaryIO) -> Identity:
        """Return the identity: the id of keys is the SHA-256 of their bytes."""
        digest = hashlib.sha256()
        while piece := upload.read(_PIECE_BYTES):
            digest.update(piece)
        return Identity(digest.hexdigest(), digest.hexdigest())

    def prepare(self, upload: BinaryIO, length: int, content: str) -> Iterator[bytes]:
        """Yield the packed keys; one is in memory at a time."""
        return pack_evaluation_keys(self.parameters, self.spec, upload, length, content)

    def begin(self, length: int, content: str) -> KeyPacking:
        """Return what packs each key when it has come."""
        return KeyPacking(self.parameters, self.spec, length, content)

    def open(self, path: Path, key_id: str) -> EvaluationKeys:
        """Map the keys."""
        return map_evaluation_keys(self.parameters, self.spec, path, key_id)


@dataclass(frozen=True, slots=True, eq=False)
class WeightKind:
    """The encrypted weights of one plan. They name the evaluation keys that they belong to, and other weights for the
    same keys replace them. A file has the bytes of the upload."""

    format: WeightsFormat
    memory_bytes: int
    smallest_upload: int
    largest_upload: int
    what = "weights"
    tenant = ANY_TENANT

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
    def name(self) -> str:
        """The name of one plan: weights belong to one."""
        return f"weights-{self.format.fingerprint[:32]}"

    def file_bytes(self, upload_bytes: int) -> int:
        """Return the bytes of the upload."""
        return upload_bytes

    def identify(self, upload: BinaryIO) -> Identity:
        """Return the identity from the header; the checksum at the end is only the sender's word."""
        head = upload.read(HEADER_BYTES)
        header = read_weights_header(self.format.name, self.format.fingerprint, head)
        digest = hashlib.sha256(head)
        while piece := upload.read(_PIECE_BYTES):
            digest.update(piece)
        return Identity(header.key_id.hex(), digest.hexdigest())

    def prepare(self, upload: BinaryIO, length: int, content: str) -> Iterator[bytes]:
        """Parse the weights, and yield the bytes of the upload if they fit the plan."""
        start = upload.tell()
        self.format.load(upload.read(length))
        upload.seek(start)
        while piece := upload.read(_PIECE_BYTES):
            yield piece

    def begin(self, length: int, content: str) -> None:
        """Return None: weights are parsed as a whole."""

    def open(self, path: Path, key_id: str) -> EncryptedWeights[Ciphertext]:
        """Read and parse the weights."""
        uploaded = self.format.load(path.read_bytes())
        if uploaded.key_id != key_id:
            raise WireError(f"the weights are for the keys {uploaded.key_id[:12]}…, not {key_id[:12]}…")
        return uploaded.weights


@dataclass(frozen=True, slots=True)
class TenantKind(Generic[V]):
    """A kind of upload that belongs to one tenant: no other tenant can find, use or replace what is stored under it."""

    kind: StoredKind[V]
    tenant: str

    @property
    def what(self) -> str:
        return self.kind.what

    @property
    def name(self) -> str:
        return self.kind.name

    @property
    def smallest_upload(self) -> int:
        return self.kind.smallest_upload

    @property
    def largest_upload(self) -> int:
        return self.kind.largest_upload

    @property
    def memory_bytes(self) -> int:
        return self.kind.memory_bytes

    def file_bytes(self, upload_bytes: int) -> int:
        """Return the bytes of the file that is made of an upload."""
        return self.kind.file_bytes(upload_bytes)

    def identify(self, upload: BinaryIO) -> Identity:
        """Return the identity of an upload; WireError if its header is malformed."""
        return self.kind.identify(upload)

    def prepare(self, upload: BinaryIO, length: int, content: str) -> Iterator[bytes]:
        """Yield the file that is made of an upload; WireError unless it is whole and fits the plan."""
        return self.kind.prepare(upload, length, content)

    def begin(self, length: int, content: str) -> Packing | None:
        """Return what makes the same file while the upload comes; None if it is made of a whole upload only."""
        return self.kind.begin(length, content)

    def open(self, path: Path, key_id: str) -> V:
        """Open a file that `prepare` made; WireError unless it is whole and for these keys."""
        return self.kind.open(path, key_id)
