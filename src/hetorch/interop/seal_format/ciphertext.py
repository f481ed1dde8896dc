"""SEAL's serialised ciphertexts, seeded or in full."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.errors import WireError
from hetorch.interop.seal_format.compression import DEFAULT_COMPRESSION, compression_number
from hetorch.interop.seal_format.members import (
    Members,
    ciphertext_limit,
    frame_pieces,
    members_bytes,
    read_members,
)
from hetorch.interop.seal_format.orders import to_ours, to_seal
from hetorch.interop.seal_format.parameters import seal_parameters
from hetorch.interop.seal_format.stream import Bytes, Reader
from hetorch.params import ParameterSet

_MAX_PARTS = 16
"""Most polynomials of a ciphertext: two, and more for products that were not relinearised. SEAL's own limit
(util/defines.h); a higher one would admit ciphertexts that SEAL cannot have made."""


def load_ciphertext(parameters: ParameterSet, data: Bytes) -> _native.Ciphertext:
    """Read a ciphertext that SEAL saved, at the level that its parms_id names, with its scale.

    Its slots are in SEAL's order: decode them with slot_generator=3.

    Raises:
        ParameterError: `parameters` have several special primes, or a digit_size other than 1.
        WireError: the bytes are not a ciphertext of these parameters.
    """
    what = "a ciphertext of SEAL"
    levels = level_primes(parameters)
    n = parameters.ring_degree
    size = memoryview(data).nbytes
    reader = Reader.of_frame(data, what, ciphertext_limit(size, _MAX_PARTS, parameters.modulus_chain, n))
    members = read_members(reader, levels, n, _MAX_PARTS, what)
    primes = levels[members.parms_id]
    if members.scale < 1:
        raise WireError(f"{what}: the scale {members.scale:g} is below 1")
    rows = to_ours(members.rows, primes)
    return _native.ciphertext_of_rows(
        core_context(parameters), len(primes) - 1, rows.shape[0], members.scale, rows
    )


def dump_ciphertext(
    parameters: ParameterSet, ciphertext: _native.Ciphertext, *, compression: str = DEFAULT_COMPRESSION
) -> bytes:
    """Write a ciphertext as SEAL saves it, in full.

    One that compresses better than any encryption does (the zeros of x - x) is written without compression, since
    load_ciphertext refuses it compressed.
    """
    primes = parameters.modulus_chain[: ciphertext.level + 1]
    rows = to_seal(np.asarray(_native.ciphertext_rows(ciphertext)), primes)
    parms_id = seal_parameters(parameters).parms_id(len(primes))
    pieces = Members(parms_id, rows, ciphertext.scale).pieces(primes)
    framed = frame_pieces(pieces, compression_number(compression))
    limit = ciphertext_limit(len(framed), _MAX_PARTS, parameters.modulus_chain, parameters.ring_degree)
    size = members_bytes(ciphertext.size, len(primes), parameters.ring_degree)
    return framed if size <= limit else frame_pieces(pieces)


@lru_cache(maxsize=64)
def level_primes(parameters: ParameterSet) -> dict[bytes, tuple[int, ...]]:
    """Return the primes of each level by its parms_id."""
    seal = seal_parameters(parameters)
    return {
        seal.parms_id(level + 1): parameters.modulus_chain[: level + 1]
        for level in range(parameters.max_level + 1)
    }
