"""Zstandard's frames (RFC 8878) of residues, written at once: where the zero bytes are is known, nothing is searched.

A residue below 2^(8b) is b bytes and 8 - b zeros. Where these are three or more, the shortest match of zstd, a word is
written as a sequence of b literal bytes and a match with the zeros of the word DISTANCE places before. All sequences of
a block have the same codes, so that their tables are of the RLE type, whose symbols take no bits; the offset is the
repeated one. A block so consists of the literal bytes alone. Other bytes stand in raw blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from hetorch.interop.seal_format.stream import Bytes, Words

_START = b"\x28\xb5\x2f\xfd\xc0\x38"
"""The magic number, then two bytes: the content's size follows in 8 bytes, and the window is 128 KB."""
_BLOCK_BYTES = 1 << 17
"""Most bytes that a block stands for (RFC 8878, section 3.1.1.2.4)."""
_RAW, _COMPRESSED = 0, 2
_DISTANCE = 4
"""Words between a match and its source. Decoders copy from bytes that they have just written the faster, the longer ago
that was: at 4 in half the time that they take at 1 and 2, at 8 and more in the same; a higher one leaves more words
uncompressed at the beginning of each run."""
_MOST_LITERALS = 5
"""Most bytes of a word that a match of three may follow."""
_REPEATED = (0, b"\x01")
"""Offset code of the last offset, and the bits of any number of its sequences: none, behind them the end mark."""


@dataclass(frozen=True, slots=True)
class Residues:
    """Words (…, len(primes), N), each below the prime of its row."""

    rows: Words
    primes: tuple[int, ...]

    def view(self) -> memoryview:
        """Return their bytes."""
        return np.ascontiguousarray(self.rows, dtype="<u8").reshape(-1).data.cast("B")


Piece = Bytes | Residues


def zstd_frame(pieces: Iterable[Piece]) -> bytes:
    """Return one frame of the pieces' bytes, one after the other."""
    body: list[Bytes] = []
    size = 0
    offset_known = False
    for piece in pieces:
        if not isinstance(piece, Residues):
            size += memoryview(piece).nbytes
            body += _raw(memoryview(piece))
            continue
        size += piece.rows.nbytes
        for words, literals in _runs(piece):
            if literals > _MOST_LITERALS or len(words) <= _DISTANCE:
                body += _raw(words.data.cast("B"))
            else:
                body += _short_words(words, literals, offset_known)
                offset_known = True
    return b"".join((_START, size.to_bytes(8, "little"), *body, _block_header(_RAW, 0, last=True)))


def _runs(residues: Residues) -> Iterator[tuple[Words, int]]:
    """Yield neighbouring rows whose primes have equally many bytes, flat, with that number."""
    rows = np.ascontiguousarray(residues.rows, dtype="<u8").reshape(-1, residues.rows.shape[-1])
    literals = [(prime.bit_length() + 7) // 8 for prime in residues.primes]
    first = 0
    for count, group in groupby(literals * (len(rows) // len(literals))):
        last = first + len(list(group))
        yield rows[first:last].reshape(-1), count
        first = last


def _short_words(words: Words, literals: int, offset_known: bool) -> Iterator[Bytes]:
    """Yield blocks of `words`, each of that many bytes, which set the repeated offset unless the frame has it."""
    yield from _raw(words[:_DISTANCE].data.cast("B"))
    at = _DISTANCE
    if not offset_known:
        # Offset values up to 3 name repeated ones. A code is the logarithm, the lower bits follow, then the end mark.
        value = 8 * _DISTANCE + 3
        code = value.bit_length() - 1
        bits = (value - (1 << code)) | 1 << code
        yield from _sequences(words[at : at + 1], literals, code, bits.to_bytes(code // 8 + 1, "little"))
        at += 1
    for begin in range(at, len(words), _BLOCK_BYTES // 8):
        yield from _sequences(words[begin : begin + _BLOCK_BYTES // 8], literals, *_REPEATED)


def _sequences(words: Words, literals: int, offset_code: int, bits: bytes) -> Iterator[Bytes]:
    """Yield a block with one sequence for each word (RFC 8878, section 3.1.1.3)."""
    split = np.dtype([("low", f"V{literals}"), ("zeros", f"V{8 - literals}")])
    low = words.view(split)["low"].tobytes()
    count = len(words)
    # Raw literals with a size of 20 bits; then the number of sequences, three tables of type RLE and their symbols.
    head = (len(low) << 4 | 12).to_bytes(3, "little")
    number = bytes([count]) if count < 128 else bytes([128 + (count >> 8), count & 255])
    tail = number + bytes([0b01010100, literals, offset_code, 8 - literals - 3]) + bits
    yield _block_header(_COMPRESSED, len(head) + len(low) + len(tail)) + head
    yield low
    yield tail


def _raw(data: memoryview) -> Iterator[Bytes]:
    """Yield raw blocks."""
    for begin in range(0, len(data), _BLOCK_BYTES):
        block = data[begin : begin + _BLOCK_BYTES]
        yield _block_header(_RAW, len(block))
        yield block


def _block_header(kind: int, size: int, *, last: bool = False) -> bytes:
    return (size << 3 | kind << 1 | last).to_bytes(3, "little")
