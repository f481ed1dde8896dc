"""Encryption of an update under the secret of a round, and decryption of the sum under the sum of the secrets.

All work is on CHUNK blocks at a time, so that the memory beside the messages does not grow with the update.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np

from hetorch.engine.random import keystream, random_seed, wipe
from hetorch.errors import RoundVoidError
from hetorch.federated.party.sampling import gaussian
from hetorch.federated.party.tag import Tag, TagKey, add_tags
from hetorch.federated.party.transform import forward, inverse
from hetorch.federated.residues import (
    Residues,
    add,
    centred,
    multiply,
    pack,
    reduce_signed,
    subtract,
    uniform,
    unpack,
)
from hetorch.federated.ring import BLOCK_BYTES, ERROR_BOUND, RING_DEGREE, error_factor

CHUNK = 64
"""Blocks that are worked on at a time, 1 MB; the expansion of the public polynomials depends on it."""
_UNIFORM_BYTES = 16


def encrypt(
    integers: Residues, secret: Residues, identifier: bytes, party_count: int, tag_key: TagKey
) -> tuple[bytes, Tag]:
    """Return the packed ciphertext of `integers` (blocks, N), and its tag.

    Args:
        integers: at most largest_integer(party_count) in size.
        secret: the Gaussian secret (N,) of this round, which must encrypt nothing else.
        identifier: the id of the round, from which the public polynomials follow.
        party_count: the number of parties, for the factor above the errors.
        tag_key: the factors of the tag.
    """
    transformed = forward(reduce_signed(secret)[None])
    seed = random_seed()
    packed, tags = [], []
    for index, first in enumerate(range(0, len(integers), CHUNK)):
        chunk = integers[first : first + CHUNK]
        error = gaussian(seed, len(chunk), domain=b"federated error" + index.to_bytes(4, "little"))
        error += error_factor(party_count) * chunk
        masked = inverse(multiply(_public(identifier, index, len(chunk)), transformed))
        blocks = add(masked, reduce_signed(error))
        error.fill(0)
        masked.fill(0)
        tags.append(tag_key.part(blocks, first))
        packed.append(pack(blocks))
    transformed.fill(0)
    wipe(seed)
    return b"".join(packed), add_tags(tags)


def tag_of(packed: bytes | memoryview, tag_key: TagKey) -> Tag:
    """Return the tag of a packed ciphertext or sum; WireError if it is malformed."""
    return add_tags(
        [tag_key.part(unpack(piece), index * CHUNK) for index, piece in enumerate(_pieces(packed))]
    )


def decrypt(
    packed: bytes | memoryview, secret: Residues, identifier: bytes, party_count: int, contributor_count: int
) -> Residues:
    """Return the integers (blocks, N) of a packed sum.

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
    factor = error_factor(party_count)
    transformed = forward(secret[None])
    integers = np.empty((len(packed) // BLOCK_BYTES, RING_DEGREE), dtype=np.int64)
    for index, piece in enumerate(_pieces(packed)):
        blocks = unpack(piece)
        masks = inverse(multiply(_public(identifier, index, len(blocks)), transformed))
        values = centred(subtract(blocks, masks))
        rounded = (values + factor // 2) >> (factor.bit_length() - 1)
        if np.abs(values - factor * rounded).max() > contributor_count * ERROR_BOUND:
            raise RoundVoidError(
                "the round is void: the opened secret does not fit the sum; a party sent shares or an update that do "
                "not belong together",
                exposed=True,
            )
        integers[index * CHUNK : index * CHUNK + len(blocks)] = rounded
    transformed.fill(0)
    return integers


def _pieces(packed: bytes | memoryview) -> Iterator[memoryview]:
    view = memoryview(packed)
    size = CHUNK * BLOCK_BYTES
    return (view[start : start + size] for start in range(0, len(view), size))


def _public(identifier: bytes, index: int, count: int) -> Residues:
    """Return the transforms of the public polynomials of a chunk, expanded from the id of the round."""
    seed = hashlib.sha256(b"hetorch federated uniform" + identifier).digest()
    length = count * RING_DEGREE * _UNIFORM_BYTES
    domain = b"federated uniform" + index.to_bytes(4, "little")
    return uniform(keystream(seed, length, domain=domain)).reshape(count, RING_DEGREE)
