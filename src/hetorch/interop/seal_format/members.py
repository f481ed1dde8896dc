"""The body of a serialised ciphertext, which public and switching keys consist of too.

32 bytes parms_id, u8 in NTT form, u64 polynomials, u64 N, u64 primes, f64 scale, u64 correction factor (of BGV; else
1), then the residues as a nested array. In a seeded body the array holds the first polynomial alone, and the seed of
the second, uniform one follows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hetorch.errors import WireError
from hetorch.interop.seal_format.compression import NONE, ZSTD
from hetorch.interop.seal_format.seeds import INFO_BYTES, UniformSeed
from hetorch.interop.seal_format.stream import HEADER_BYTES, Reader, Words, frame, header
from hetorch.interop.seal_format.zstd_frames import Piece, Residues, zstd_frame

_FIELDS = struct.Struct("<32sBQQQdQ")


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The fields of a body; `rows` are words (polynomials, primes, N) in SEAL's order, each below its prime."""

    parms_id: bytes
    rows: Words
    scale: float

    def pieces(self, primes: tuple[int, ...], seed: UniformSeed | None = None) -> list[Piece]:
        """Return the content of the frame, its rows modulo `primes`; with `seed`, which expands to rows[1], halved."""
        parts, _, n = self.rows.shape
        rows = self.rows if seed is None else self.rows[:1]
        fields = _FIELDS.pack(self.parms_id, 1, parts, n, len(primes), self.scale, 1)
        start = fields + header(8 + 8 * rows.size) + struct.pack("<Q", rows.size)
        return [start, Residues(rows, primes), *([] if seed is None else [seed.dump()])]


def frame_pieces(pieces: Iterable[Piece], mode: int = NONE) -> bytes:
    """Return a content that is given in pieces, residues among them, compressed behind its header."""
    if mode == ZSTD:
        body = zstd_frame(pieces)
        return b"".join((header(len(body), mode), body))
    parts = [piece.view() if isinstance(piece, Residues) else piece for piece in pieces]
    if mode != NONE:
        return frame(b"".join(parts), mode)
    return b"".join((header(sum(memoryview(part).nbytes for part in parts)), *parts))


def framed_prefix(parms_id: bytes, shape: tuple[int, int, int], scale: float) -> bytes:
    """Return the bytes before the residues (polynomials, primes, N) of a body in a frame, without compression."""
    parts, primes, n = shape
    count = parts * primes * n
    fields = _FIELDS.pack(parms_id, 1, parts, n, primes, scale, 1) + header(8 + 8 * count)
    return header(len(fields) + 8 + 8 * count) + fields + struct.pack("<Q", count)


def members_bytes(parts: int, primes: int, ring_degree: int) -> int:
    """Return the size of a body without seed, which is also the most that a seeded one takes."""
    return _FIELDS.size + HEADER_BYTES + 8 + max(8 * parts * primes * ring_degree, INFO_BYTES)


def uniform_limit(size: int, primes: tuple[int, ...]) -> int:
    """Return the most bytes of uniform residues, which all encrypted objects have, that `size` compressed bytes hold.

    A residue modulo q takes 8 bytes and has log2(q) bits of entropy, so no compression makes honest objects shorter
    than log2(q) / 64 of their size; a seed in place of one of two polynomials halves them once more.
    """
    return 2 * 64 * size // (min(q.bit_length() for q in primes) - 1)


def ciphertext_limit(size: int, parts: int, primes: tuple[int, ...], ring_degree: int) -> int:
    """Return the most bytes that a ciphertext's frame of `size` bytes may decompress to.

    A message may hold a million ciphertexts; ones that compress better than any encryption does (zeros) would fill the
    memory.
    """
    most = members_bytes(parts, len(primes), ring_degree)
    return min(most, members_bytes(0, 0, ring_degree) + uniform_limit(size, primes))


def read_members(
    reader: Reader, primes_of: dict[bytes, tuple[int, ...]], ring_degree: int, max_parts: int, what: str
) -> Members:
    """Read a body that is all of a reader.

    Args:
        reader: at the beginning of the body.
        primes_of: the primes of each parms_id that is allowed here.
        ring_degree: N.
        max_parts: the most polynomials that are allowed here.
        what: the object's name in messages.

    Raises:
        WireError: the form, a dimension, the scale or a residue is out of range. Dimensions are compared with those of
            the parms_id before the array is read.
    """
    parms_id = bytes(reader.take(32))
    if parms_id not in primes_of:
        raise WireError(f"{what} was made under other parameters: its parms_id is none of these")
    primes = primes_of[parms_id]
    if reader.byte() != 1:
        raise WireError(f"{what} is not in NTT form, as everything under CKKS is")
    parts = reader.number()
    if not 2 <= parts <= max_parts:
        raise WireError(f"{what} claims {parts} polynomials, expected 2 to {max_parts}")
    reader.expect(ring_degree, "the ring degree")
    reader.expect(len(primes), "the number of primes")
    scale = reader.real()
    if not 2.0**-1000 < scale < 2.0**1000:
        raise WireError(f"{what}: the scale {scale:g} is out of range")
    reader.expect(1, "the correction factor")
    one = len(primes) * ring_degree
    seeded = reader.left < HEADER_BYTES + 8 + 8 * parts * one
    if not seeded:
        rows = reader.words(parts * one).reshape(parts, len(primes), ring_degree)
    else:
        if parts != 2:
            raise WireError(f"{what} ends too early")
        first = reader.words(one).reshape(1, len(primes), ring_degree)
        rows = np.concatenate((first, UniformSeed.read(reader).expand(primes, ring_degree)[None]))
    reader.finish()
    check_residues(rows, primes, what)
    return Members(parms_id, rows, scale)


def check_residues(rows: Words, primes: tuple[int, ...], what: str) -> None:
    """Raise WireError unless each row of (…, primes, N) is below its prime."""
    for r, q in enumerate(primes):
        if int(rows[..., r, :].max()) >= q:
            raise WireError(f"{what}: a residue is not below its prime {q}")
