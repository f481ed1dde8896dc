"""Ciphertexts and keys as bytes: blobs, which are a frame around the bytes of the core's codec.

A blob is: magic "HTCH", u8 format version, u8 kind, two zero bytes, the parameter fingerprint (32 bytes), u64 length of
the body (little-endian), the body, SHA-256 of everything before it. Its exact size follows from the parameters, so a
reader knows it before it reads.
"""

from __future__ import annotations

import hashlib
import struct

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec
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
    """Return the exact size in bytes of the dumped keys."""
    context = core_context(parameters)
    return FRAME_BYTES + sum(
        _native.switching_key_bytes(context, level) for level in _key_levels(parameters, spec)
    )


def dump_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, keys: _native.EvaluationKeys
) -> bytes:
    """Return one blob with the keys of `spec` in its order, each as a seed and the half that is not uniform.

    Raises:
        KeyMissingError: a key of `spec` is not among `keys`.
    """
    context = core_context(parameters)
    present = set(keys.galois_elements())
    parts: list[bytes] = []
    if spec.relinearisation_level is not None:
        if keys.relinearisation is None:
            raise KeyMissingError("the relinearisation key was not made")
        parts.append(_native.dump_switching_key(context, keys.relinearisation))
    for element, _ in spec.galois:
        if element not in present:
            raise KeyMissingError(f"the key of Galois element {element} was not made")
        parts.append(_native.dump_switching_key(context, keys.galois(element)))
    return _frame(parameters, _EVALUATION_KEYS, b"".join(parts))


def load_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, data: bytes
) -> _native.EvaluationKeys:
    """Read exactly the keys of `spec`, each at exactly its level.

    Raises:
        WireError: the bytes are anything else.
    """
    context = core_context(parameters)
    levels = _key_levels(parameters, spec)
    sizes = [_native.switching_key_bytes(context, level) for level in levels]
    body = _unframe(parameters, _EVALUATION_KEYS, data)
    if len(body) != sum(sizes):
        raise WireError(f"the evaluation keys take {sum(sizes)} bytes for this plan, got {len(body)}")
    keys = []
    start = 0
    for size, level in zip(sizes, levels, strict=True):
        keys.append(_native.load_switching_key(context, body[start : start + size], level, uniform_piece))
        start += size
    relinearisation = keys.pop(0) if spec.relinearisation_level is not None else None
    elements = [element for element, _ in spec.galois]
    return _native.EvaluationKeys(relinearisation, list(zip(elements, keys, strict=True)))


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


def _key_levels(parameters: ParameterSet, spec: EvaluationKeySpec) -> tuple[int, ...]:
    for level in spec.levels:
        if not 0 <= level <= parameters.max_level:
            raise ParameterError(f"a key is asked for level {level}; levels are 0..{parameters.max_level}")
    return spec.levels


def _frame(parameters: ParameterSet, kind: int, body: bytes) -> bytes:
    head = _HEADER.pack(MAGIC, FORMAT_VERSION, kind, parameters.fingerprint(), len(body))
    digest = hashlib.sha256(head)
    digest.update(body)
    return b"".join((head, body, digest.digest()))


def _unframe(parameters: ParameterSet, kind: int, data: bytes) -> bytes:
    kind_name = _KIND_NAMES[kind]
    if len(data) < FRAME_BYTES:
        raise WireError(
            f"expected {kind_name}, got {count_text(len(data), 'byte')}: shorter than its frame of {FRAME_BYTES} bytes"
        )
    magic, version, seen_kind, fingerprint, length = _HEADER.unpack_from(data)
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
    if data[6:8] != b"\0\0":
        raise WireError(f"{kind_name}: reserved bytes are not zero")
    if fingerprint != parameters.fingerprint():
        raise MixupError(
            "parameters", f"{kind_name} was made for other parameters: fingerprint {fingerprint.hex()[:16]}…"
        )
    if length != len(data) - FRAME_BYTES:
        raise WireError(
            f"{kind_name} claims a body of {count_text(length, 'byte')}, {len(data) - FRAME_BYTES} are there"
        )
    if hashlib.sha256(memoryview(data)[:-_DIGEST_BYTES]).digest() != data[-_DIGEST_BYTES:]:
        raise WireError(f"{kind_name}: the checksum does not match; the data was changed on its way")
    return bytes(memoryview(data)[_HEADER.size : -_DIGEST_BYTES])
