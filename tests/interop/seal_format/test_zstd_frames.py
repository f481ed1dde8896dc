"""Frames of residues are zstd's: its library and the SEAL inside TenSEAL read them, and their size is the bytes of the
residues."""

from __future__ import annotations

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from hetorch.interop.seal_format.zstd_frames import Piece, Residues, zstd_frame

lengths = st.sampled_from([1, 4, 5, 6, 127, 128, 4096, 16384, 16385, 20000])
bits = st.lists(st.integers(2, 61), min_size=1, max_size=4)


def residues(parts: int, bits: list[int], n: int, seed: int) -> Residues:
    rng = np.random.default_rng(seed)
    primes = tuple((1 << size) - 1 for size in bits)
    rows = np.empty((parts, len(bits), n), dtype=np.uint64)
    for r, prime in enumerate(primes):
        rows[:, r] = rng.integers(0, prime, (parts, n), dtype=np.uint64)
    return Residues(rows, primes)


@given(
    st.lists(
        st.one_of(
            st.binary(max_size=300), st.builds(residues, st.integers(1, 3), bits, lengths, st.integers(0))
        ),
        max_size=4,
    )
)
def test_zstd_reads_every_sequence_of_pieces(pieces: list[Piece]) -> None:
    plain = b"".join(piece.rows.tobytes() if isinstance(piece, Residues) else piece for piece in pieces)
    frame = zstd_frame(pieces)
    assert zstandard.frame_content_size(frame) == len(plain)
    assert (
        zstandard.ZstdDecompressor(max_window_size=1 << 17).decompress(frame, allow_extra_data=False) == plain
    )
    stream = zstandard.ZstdDecompressor().decompressobj()
    assert stream.decompress(frame) == plain and stream.eof


@pytest.mark.parametrize("size", [8, 16, 24, 31, 40])
def test_short_residues_take_their_bytes(size: int) -> None:
    n, parts = 4096, 8
    frame = zstd_frame([residues(parts, [size], n, 0)])
    # A block stands for 16,384 words and has fewer than 20 bytes more; four words of the run are whole.
    assert len(frame) < parts * n * ((size + 7) // 8) + 20 * parts * n // 16384 + 100


def test_long_residues_and_bytes_stand_as_they_are() -> None:
    words = residues(2, [41, 60], 1000, 1)
    frame = zstd_frame([b"abc", words, b"", bytes(200_000)])
    assert all(row.tobytes() in frame for row in words.rows.reshape(4, -1))
    assert len(frame) < 3 + words.rows.nbytes + 200_000 + 60
