"""Ciphertexts and keys as bytes: blobs, which are a frame around the bytes of the core's codec.

A blob is: magic "HTCH", u8 format version, u8 kind, two zero bytes, the parameter fingerprint (32 bytes), u64 length of
the body (little-endian), the body, SHA-256 of everything before it. Its exact size follows from the parameters, so a
reader knows it before it reads.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterable, Iterator
from typing import BinaryIO

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec, KeyLink, all_links
from hetorch.engine.uniform import uniform_piece
from hetorch.errors import KeyMissingError, MixupError, OtherVersionError, ParameterError, WireError
from hetorch.format_version import tell_other_version
from hetorch.params import ParameterSet
from hetorch.quantities import count_text

MAGIC = b"HTCH"
FORMAT_VERSION = 1
_HEADER = struct.Struct("<4sBBxx32sQ")
_DIGEST_BYTES = 32
FRAME_BYTES = _HEADER.size + _DIGEST_BYTES

_CIPHERTEXT = 1
_EVALUATION_KEYS = 2
_PUBLIC_KEY = 3
_KIND_NAMES = {_CIPHERTEXT: "a ciphertext", _EVALUATION_KEYS: "evaluation keys", _PUBLIC_KEY: "a public key"}


def ciphertext_blob_bytes(parameters: ParameterSet, level: int, *, seeded: bool, parts: int = 2) -> int:
    """Return the exact size in bytes of a dumped ciphertext of `parts` ring elements.

    A `seeded` ciphertext, fresh from the secret key, has about half the size.
    """
    if not 0 <= level <= parameters.max_level:
        raise ParameterError(f"level {level} does not exist; levels are 0..{parameters.max_level}")
    return FRAME_BYTES + _native.ciphertext_bytes(core_context(parameters), level, parts, seeded)


def dump_ciphertext(parameters: ParameterSet, ciphertext: _native.Ciphertext) -> bytes:
    """Return the blob of a ciphertext: its residues bit-packed, or half of them and a seed."""
    body = _native.dump_ciphertext(core_context(parameters), ciphertext)
    return _frame(parameters, _CIPHERTEXT, body)


def load_ciphertext(parameters: ParameterSet, data: bytes) -> _native.Ciphertext:
    """Read the blob of a ciphertext.

    Raises:
        WireError: dump_ciphertext did not write these bytes under these parameters. No other error is raised.
    """
    body = _unframe(parameters, _CIPHERTEXT, data)
    return _native.load_ciphertext(core_context(parameters), body, uniform_piece)


def evaluation_keys_blob_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    """Return the exact size in bytes of the dumped keys; raises as `all_links`."""
    context = core_context(parameters)
    return FRAME_BYTES + sum(_key_bytes(context, link) for link in all_links(parameters, spec))


def dump_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, keys: Iterable[_native.SwitchingKey]
) -> Iterator[bytes]:
    """Yield the pieces of one blob with the keys of `spec`, each as a seed and the half that is not uniform.

    `keys` are asked for one at a time, in the order of `all_links`, and dropped before the next one.

    Raises:
        KeyMissingError: they are not those of `spec`.
    """
    context = core_context(parameters)
    head = _head(parameters, _EVALUATION_KEYS, evaluation_keys_blob_bytes(parameters, spec) - FRAME_BYTES)
    digest = hashlib.sha256(head)
    yield head
    made = iter(keys)
    for link in all_links(parameters, spec):
        key = next(made, None)
        if key is None or (key.level, key.family) != (link.level, link.family.pair):
            raise KeyMissingError(f"the key {link} was not made")
        piece = _native.dump_switching_key(context, key)
        del key  # else it takes memory while the next one is made
        digest.update(piece)
        yield piece
        del piece
    if next(made, None) is not None:
        raise KeyMissingError("more keys were made than were asked for")
    yield digest.digest()


def load_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, data: bytes
) -> _native.EvaluationKeys:
    """Read exactly the keys of `spec`, each at exactly its level.

    Raises:
        WireError: the bytes are anything else.
    """
    keys = read_switching_keys(parameters, spec, io.BytesIO(data), len(data))
    return collect_keys(parameters, spec, keys)


class KeyReader:
    """Reads a blob of evaluation keys part by part: its head, each key in the order of `spec`, its checksum.

    Args:
        parameters: the parameters of the keys.
        spec: the keys that must be there.
        length: the bytes of the whole blob.
    """

    def __init__(self, parameters: ParameterSet, spec: EvaluationKeySpec, length: int) -> None:
        self._parameters = parameters
        self._context = core_context(parameters)
        self._links = all_links(parameters, spec)
        self._expected = evaluation_keys_blob_bytes(parameters, spec)
        self._length = length
        self._digest = hashlib.sha256()
        self._parts = 0

    @property
    def next_bytes(self) -> int:
        """The bytes of the next part; 0 after the last one."""
        if self._parts == 0:
            return _HEADER.size
        if self._parts <= len(self._links):
            return _key_bytes(self._context, self._links[self._parts - 1])
        return _DIGEST_BYTES if self._parts == len(self._links) + 1 else 0

    @property
    def digest(self) -> bytes:
        """The SHA-256 of the parts that were taken."""
        return self._digest.digest()

    def take(self, part: bytes) -> _native.SwitchingKey | None:
        """Take the next part; return its key, or None for head and checksum. After an error the reader is of no use.

        Raises:
            WireError: the part is shorter, or not as dump_evaluation_keys writes it, or these keys have another length
            than the blob. The message names the key.
        """
        if self._parts and len(part) != self.next_bytes:
            raise WireError(f"the evaluation keys were cut short, inside {self._part_name()}")
        key = None
        if self._parts == 0:
            self._check_head(part)
        elif self._parts <= len(self._links):
            link = self._links[self._parts - 1]
            try:
                key = _native.load_switching_key(
                    self._context, part, link.level, uniform_piece, link.family.pair
                )
            except WireError as error:
                raise WireError(f"{self._part_name()} is malformed: {error}") from None
        else:
            _check_digest(_EVALUATION_KEYS, self.digest, part)
        self._digest.update(part)
        self._parts += 1
        return key

    def _check_head(self, head: bytes) -> None:
        _check_head(self._parameters, _EVALUATION_KEYS, head, self._length)
        if self._length != self._expected:
            body, seen = self._expected - FRAME_BYTES, self._length - FRAME_BYTES
            raise WireError(f"the evaluation keys take {body} bytes for this plan, got {seen}")

    def _part_name(self) -> str:
        if self._parts > len(self._links):
            return "their checksum"
        return f"key {self._parts} of {len(self._links)} ({self._links[self._parts - 1].text()})"


def read_switching_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, source: BinaryIO, length: int
) -> Iterator[_native.SwitchingKey]:
    """Yield the keys of a blob of `length` bytes, in the order of `spec`; one is in memory at a time.

    WireError if one of them is not as dump_evaluation_keys writes it, and after the last one if the checksum is not.
    """
    reader = KeyReader(parameters, spec, length)
    while size := reader.next_bytes:
        key = reader.take(source.read(size))
        if key is not None:
            yield key
            del key


def collect_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, keys: Iterable[_native.SwitchingKey]
) -> _native.EvaluationKeys:
    """Return the keys of `spec`, which are given in the order of `all_links`, as one object."""
    named = [
        (_native.KeyEnd[link.from_end.name], _native.KeyEnd[link.to_end.name], link.element, key)
        for link, key in zip(all_links(parameters, spec), keys, strict=True)
    ]
    return _native.EvaluationKeys(None, [], named)


def public_key_blob_bytes(parameters: ParameterSet) -> int:
    """Return the exact size in bytes of a dumped public key."""
    return FRAME_BYTES + _native.public_key_bytes(core_context(parameters))


def dump_public_key(parameters: ParameterSet, key: _native.PublicKey) -> bytes:
    """Return the blob of a public key: a seed and the half that is not uniform."""
    return _frame(parameters, _PUBLIC_KEY, _native.dump_public_key(core_context(parameters), key))


def load_public_key(parameters: ParameterSet, data: bytes) -> _native.PublicKey:
    """Read the blob of a public key.

    Raises:
        WireError: dump_public_key did not write these bytes under these parameters.
    """
    body = _unframe(parameters, _PUBLIC_KEY, data)
    return _native.load_public_key(core_context(parameters), body, uniform_piece)


def is_of_other_version(beginning: bytes) -> bool:
    """True if the beginning of a blob, 5 bytes or more, shows that another version of this codec wrote it."""
    return beginning[:4] == MAGIC and beginning[4:5] != bytes([FORMAT_VERSION])


def _key_bytes(context: _native.Context, link: KeyLink) -> int:
    return _native.switching_key_bytes(context, link.level, link.family.pair)


def _frame(parameters: ParameterSet, kind: int, body: bytes) -> bytes:
    head = _head(parameters, kind, len(body))
    digest = hashlib.sha256(head)
    digest.update(body)
    return b"".join((head, body, digest.digest()))


def _head(parameters: ParameterSet, kind: int, length: int) -> bytes:
    return _HEADER.pack(MAGIC, FORMAT_VERSION, kind, parameters.fingerprint(), length)


def _unframe(parameters: ParameterSet, kind: int, data: bytes) -> bytes:
    _check_head(parameters, kind, data[: _HEADER.size], len(data))
    view = memoryview(data)
    _check_digest(kind, hashlib.sha256(view[:-_DIGEST_BYTES]).digest(), data[-_DIGEST_BYTES:])
    return bytes(view[_HEADER.size : -_DIGEST_BYTES])


def _check_head(parameters: ParameterSet, kind: int, head: bytes, size: int) -> None:
    """Raise WireError unless `head` begins a blob of this kind and of `size` bytes in all."""
    kind_name = _KIND_NAMES[kind]
    if size < FRAME_BYTES or len(head) < _HEADER.size:
        raise WireError(
            f"expected {kind_name}, got {count_text(size, 'byte')}: shorter than its frame of {FRAME_BYTES} bytes"
        )
    magic, version, seen_kind, fingerprint, length = _HEADER.unpack(head)
    if magic != MAGIC:
        raise WireError(f"expected {kind_name}: the data does not begin with {MAGIC.decode()}")
    if version != FORMAT_VERSION:
        raise OtherVersionError(
            tell_other_version(
                kind_name,
                version,
                FORMAT_VERSION,
                "update hetorch where the bytes come from, and make them again",
                "update hetorch here",
            )
        )
    if seen_kind != kind:
        raise WireError(
            f"expected {kind_name}, got {_KIND_NAMES.get(seen_kind, f'an object of kind {seen_kind}')}"
        )
    if head[6:8] != b"\0\0":
        raise WireError(f"{kind_name}: reserved bytes are not zero")
    if fingerprint != parameters.fingerprint():
        raise MixupError(
            "parameters", f"{kind_name} was made for other parameters: fingerprint {fingerprint.hex()[:16]}…"
        )
    if length != size - FRAME_BYTES:
        raise WireError(
            f"{kind_name} claims a body of {count_text(length, 'byte')}, {size - FRAME_BYTES} are there"
        )


def _check_digest(kind: int, seen: bytes, expected: bytes) -> None:
    if seen != expected:
        raise WireError(f"{_KIND_NAMES[kind]}: the checksum does not match; the data was changed on its way")
