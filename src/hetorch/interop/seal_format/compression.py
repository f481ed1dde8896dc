"""The three compressions of SEAL's frames, with a bound on the size that a frame may decompress to."""

from __future__ import annotations

import zlib
from typing import Any

from hetorch.errors import InputError, WireError
from hetorch.optional_packages import require

NONE, ZLIB, ZSTD = 0, 1, 2
COMPRESSIONS = ("none", "zlib", "zstd")
"""Names of the compressions, in the order of their numbers in the header."""
DEFAULT_COMPRESSION = "none"
"""The compression that every build of SEAL reads; builds differ in the others."""

_MAX_WINDOW = 1 << 27
"""Largest zstd window, in bytes, which a decoder allocates before any output: zstd's own limit (RFC 8878, section
3.1.1.1.2, asks for at least 8 MB). A larger one lets a frame take that much more memory."""
_STEP = 1 << 20
"""Bytes of zstd's output buffer; a larger one saves calls and takes more memory."""
_EXPANSION = 16
"""Most times the size of the data that may be allocated before a byte is decompressed. A higher one lets claims of
stranger bytes cost more memory, and a lower one sends more frames the slower way, piece by piece."""
_LEVEL = 1
"""zlib's level. Residues are random: only their zero bytes compress, and the fastest level finds those too."""


def compression_number(name: str) -> int:
    """Return the number of a compression in the header; InputError for a name that is not one of COMPRESSIONS."""
    if name not in COMPRESSIONS:
        raise InputError(f"compression {name!r} is not known; use one of {', '.join(COMPRESSIONS)}")
    return COMPRESSIONS.index(name)


def compress(mode: int, data: bytes | bytearray | memoryview) -> bytes:
    """Return `data` as one stream of the compression."""
    if mode == ZLIB:
        return zlib.compress(data, _LEVEL)
    if mode == ZSTD:
        zstandard = _zstandard()
        # The zero bytes of small residues give many matches, which cost more time to find than they save: the search
        # is short. Measured: results are as small as with level 1 or smaller, in 30 to 100 % of its time.
        effort = zstandard.ZstdCompressionParameters(
            strategy=zstandard.STRATEGY_FAST,
            window_log=17,
            hash_log=6,
            chain_log=6,
            search_log=1,
            min_match=7,
            target_length=0,
        )
        compressed: bytes = zstandard.ZstdCompressor(compression_params=effort).compress(data)
        return compressed
    return bytes(data)


def decompress(mode: int, data: memoryview, limit: int) -> memoryview:
    """Return the content, at most `limit` bytes.

    WireError if the stream is broken, unfinished, followed by more bytes or would give more.
    """
    if mode == NONE:
        if len(data) > limit:
            raise WireError(f"the content has {len(data)} bytes, at most {limit} are possible here")
        return data
    if mode == ZLIB:
        return memoryview(_inflate(data, limit))
    if mode == ZSTD:
        at_once = _unzstd_at_once(data, limit)
        return memoryview(_unzstd(data, limit) if at_once is None else at_once)
    raise WireError(f"compression {mode} is not known; 0 (none), 1 (zlib) and 2 (zstd) are")


def _inflate(data: memoryview, limit: int) -> bytes:
    stream = zlib.decompressobj()
    try:
        # One byte more than allowed shows that there is more; the buffer grows with the output, not with the claim.
        result = stream.decompress(data, limit + 1)
    except zlib.error as error:
        raise WireError(f"the zlib stream is broken: {error}") from None
    if len(result) > limit:
        raise WireError(f"the content decompresses to more than the {limit} bytes that are possible here")
    if not stream.eof or stream.unused_data:
        raise WireError("the zlib stream does not end with the frame")
    return result


def _unzstd_at_once(data: memoryview, limit: int) -> bytes | None:
    """Decompress one frame in one call; return None if `limit` is far above the size of the data, or on any error.

    A frame that states its size is given that much memory, another one `limit`.
    """
    zstandard = _zstandard()
    if limit > _EXPANSION * len(data):
        return None
    try:
        if zstandard.frame_content_size(data) > limit:
            return None
        decompressor = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW)
        result: bytes = decompressor.decompress(data, max_output_size=limit, allow_extra_data=False)
    except zstandard.ZstdError:
        return None
    return result if len(result) <= limit else None


def _unzstd(data: memoryview, limit: int) -> bytearray:
    zstandard = _zstandard()
    result = bytearray()
    try:
        # decompressobj stops at the end of the first frame and keeps the rest in unused_data.
        stream = zstandard.ZstdDecompressor(max_window_size=_MAX_WINDOW).decompressobj(write_size=_STEP)
        for begin in range(0, len(data), _PIECE):
            chunk = stream.decompress(data[begin : begin + _PIECE])
            if len(result) + len(chunk) > limit:
                raise WireError(
                    f"the content decompresses to more than the {limit} bytes that are possible here"
                )
            result += chunk
            if stream.eof:
                if stream.unused_data or begin + _PIECE < len(data):
                    raise WireError("the zstd stream does not end with the frame")
                return result
    except zstandard.ZstdError as error:
        raise WireError(f"the zstd stream is broken: {error}") from None
    raise WireError("the zstd stream does not end with the frame")


_PIECE = 1 << 10
"""Bytes of input that zstd gets at a time. A block of 4 bytes expands to at most 128 KB (RFC 8878, section 3.1.1.2.3),
so a piece expands to at most 32 MB before the total is compared with the limit; a larger piece raises that peak."""


def _zstandard() -> Any:
    return require("zstandard", "data compressed with zstd")
