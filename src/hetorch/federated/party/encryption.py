"""Encryption of an update under the secret of a round, and decryption of the sum under the sum of the secrets.

All work is on CHUNK blocks at a time, so that the memory beside the messages does not grow with the update. The work on
a block is in cpp/federated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from hetorch.engine import _native, _secret
from hetorch.engine.random import Keystream, random_seed, wipe
from hetorch.errors import RoundVoidError
from hetorch.federated.party.tag import TagKey
from hetorch.federated.residues import Residues, new_blocks
from hetorch.federated.ring import (
    BLOCK_BYTES,
    ERROR_BOUND,
    GAUSSIAN_BYTES,
    UNIFORM_BYTES,
    error_shift,
)

CHUNK = 32
"""Blocks that are worked on at a time, 65,536 integers in half a megabyte. With more they leave the cache of a core;
with fewer the calls cost more than the work."""


def encrypt(
    chunks: Iterable[Residues],
    block_count: int,
    secret: Residues,
    identifier: bytes,
    party_count: int,
    tag_key: TagKey,
) -> tuple[memoryview, bytes]:
    """Return the packed ciphertext of an update, which is added to the tag, and its SHA-256.

    Args:
        chunks: the integers of the update, at most largest_integer(party_count) in size, in CHUNK blocks (count, N) at
            a time; the last ones may be fewer.
        block_count: the number of blocks of all chunks together.
        secret: the Gaussian secret (N,) of this round, which must encrypt nothing else.
        identifier: the id of the round, from which the public polynomials follow.
        party_count: the number of parties, for the factor above the errors.
        tag_key: the factors of the tag.
    """
    transformed = _secret.RoundSecret(secret)
    seed = random_seed()
    public, errors = _public(identifier), Keystream(seed, domain=b"federated error")
    uniform = _native.pool_memory(CHUNK * UNIFORM_BYTES).data
    random = _native.pool_memory(CHUNK * GAUSSIAN_BYTES)
    packed, digest = _native.pool_memory(block_count * BLOCK_BYTES).data, hashlib.sha256()
    shift, first = error_shift(party_count), 0
    try:
        for chunk in chunks:
            count = len(chunk)
            out = packed[first * BLOCK_BYTES :][: count * BLOCK_BYTES]
            _secret.encrypt_blocks(
                out,
                chunk,
                transformed,
                public.fill(uniform[: count * UNIFORM_BYTES]),
                errors.fill(random.data[: count * GAUSSIAN_BYTES]),
                tag_key.tag,
                first,
                shift,
            )
            digest.update(out)
            first += count
    finally:
        transformed.wipe()
        wipe(seed)
        random.fill(0)
    return packed, digest.digest()


def decrypt(
    packed: bytes | memoryview, secret: Residues, identifier: bytes, party_count: int, contributor_count: int
) -> Iterator[Residues]:
    """Yield the integers of a packed sum, CHUNK blocks (count, N) at a time, in memory that the next ones take over.

    Args:
        packed: the sum of the contributors' ciphertexts.
        secret: the sum of their secrets (N,), in residues.
        identifier: the id of the round.
        party_count: the number of parties, for the factor above the errors.
        contributor_count: the number of contributors, which bounds the errors.

    Raises:
        RoundVoidError: an error is larger than the contributors' can be. A sum under another secret is uniform, and
            passes with a probability below (2/3)^2048.
    """
    transformed = _secret.RoundSecret(secret)
    public, uniform = _public(identifier), _native.pool_memory(CHUNK * UNIFORM_BYTES).data
    integers = new_blocks(CHUNK)
    shift, bound = error_shift(party_count), contributor_count * ERROR_BOUND
    try:
        for piece in pieces(packed):
            count = len(piece) // BLOCK_BYTES
            expanded = public.fill(uniform[: count * UNIFORM_BYTES])
            if not _secret.decrypt_blocks(integers[:count], piece, transformed, expanded, shift, bound):
                raise RoundVoidError(
                    "the round is void: the opened secret does not fit the sum; a party sent shares or an update "
                    "that do not belong together",
                    exposed=True,
                )
            yield integers[:count]
    finally:
        transformed.wipe()


def pieces(packed: bytes | memoryview) -> Iterator[memoryview]:
    """Yield packed blocks, CHUNK at a time."""
    view = memoryview(packed)
    size = CHUNK * BLOCK_BYTES
    return (view[start : start + size] for start in range(0, len(view), size))


def _public(identifier: bytes) -> Keystream:
    """Return the bytes of the transforms of the public polynomials, UNIFORM_BYTES for each."""
    seed = hashlib.sha256(b"hetorch federated uniform" + identifier).digest()
    return Keystream(seed, domain=b"federated uniform")
