"""SEAL's serialised plaintexts.

32 bytes parms_id, u64 number of coefficients (N times primes), f64 scale, then the residues as a nested array.
"""

from __future__ import annotations

import struct

import numpy as np

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.errors import WireError
from hetorch.interop.seal_format.ciphertext import level_primes
from hetorch.interop.seal_format.compression import DEFAULT_COMPRESSION, compression_number
from hetorch.interop.seal_format.members import check_residues
from hetorch.interop.seal_format.orders import to_ours, to_seal
from hetorch.interop.seal_format.parameters import seal_parameters
from hetorch.interop.seal_format.stream import HEADER_BYTES, Bytes, Reader, Words, array_frame, frame
from hetorch.params import ParameterSet

_FIELDS_BYTES = 32 + 8 + 8


def load_plaintext(parameters: ParameterSet, data: Bytes) -> _native.Plaintext:
    """Read an encoded plaintext that SEAL saved; arguments and errors are those of load_ciphertext."""
    what = "a plaintext of SEAL"
    levels = level_primes(parameters)
    rows, parms_id, scale = read_plaintext(data, levels, parameters.ring_degree, what)
    if not 1 <= scale < 2.0**1000:
        raise WireError(f"{what}: the scale {scale:g} is out of range")
    return _native.plaintext_of_rows(core_context(parameters), scale, to_ours(rows, levels[parms_id]))


def dump_plaintext(
    parameters: ParameterSet, plaintext: _native.Plaintext, *, compression: str = DEFAULT_COMPRESSION
) -> bytes:
    """Write a plaintext as SEAL saves it."""
    primes = parameters.modulus_chain[: plaintext.level + 1]
    rows = to_seal(np.asarray(_native.plaintext_rows(plaintext)), primes)
    parms_id = seal_parameters(parameters).parms_id(len(primes))
    return frame(plaintext_content(parms_id, rows, plaintext.scale), compression_number(compression))


def plaintext_content(parms_id: bytes, rows: Words, scale: float) -> bytes:
    """Return the content of a plaintext's frame; `rows` are (primes, N) in SEAL's order."""
    return parms_id + struct.pack("<Qd", rows.size, scale) + array_frame(rows)


def read_plaintext(
    data: Bytes, primes_of: dict[bytes, tuple[int, ...]], ring_degree: int, what: str
) -> tuple[Words, bytes, float]:
    """Read a plaintext whose parms_id is one of `primes_of`; `what` is its name in messages.

    Returns:
        Rows (primes, N) in SEAL's order, checked against the primes of the parms_id; the parms_id; the scale.
    """
    most = max(len(primes) for primes in primes_of.values())
    limit = _FIELDS_BYTES + HEADER_BYTES + 8 + 8 * most * ring_degree
    reader = Reader.of_frame(data, what, limit)
    parms_id = bytes(reader.take(32))
    if parms_id not in primes_of:
        raise WireError(f"{what} was made under other parameters: its parms_id is none of these")
    primes = primes_of[parms_id]
    reader.expect(len(primes) * ring_degree, "the number of coefficients")
    scale = reader.real()
    rows = reader.words(len(primes) * ring_degree).reshape(len(primes), ring_degree)
    reader.finish()
    check_residues(rows, primes, what)
    return rows, parms_id, scale
