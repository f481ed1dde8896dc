"""Every form in which a secret key could show up in bytes."""

from __future__ import annotations

import base64
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native, _secret
from hetorch.engine.context import core_context
from hetorch.engine.random import keystream
from hetorch.engine.secret import SecretKey
from hetorch.params import ParameterSet

PIECE = 24
"""Length of a piece that is searched for, in bytes; a gigabyte holds one by chance with a probability of 2^-160."""


def coefficients(parameters: ParameterSet, seed: bytes) -> NDArray[np.int8]:
    """Return the ternary coefficients that follow from a seed: floor(3 w / 2^64) - 1 of keystream words w."""
    words = keystream(seed, 8 * parameters.ring_degree, domain=b"secret key")
    numbers = [int.from_bytes(words[i : i + 8], "little") for i in range(0, len(words), 8)]
    return np.array([(3 * w >> 64) - 1 for w in numbers], dtype=np.int8)


def ntt_rows(parameters: ParameterSet, key: SecretKey) -> list[NDArray[np.uint64]]:
    """Return the key modulo each prime, in the NTT domain: the decryption of the ciphertext (0, 1)."""
    context = core_context(parameters)
    level, n = parameters.max_level, parameters.ring_degree
    rows = np.zeros((2, level + 1, n), dtype=np.uint64)
    rows[1] = 1
    unit = _native.ciphertext_of_rows(context, level, 2, 1.0, rows)
    plaintext = _secret.decrypt(context, key._core, unit)
    return [np.array(plaintext.row(r), dtype=np.uint64) for r in range(level + 1)]


def pack_bits(values: NDArray[np.uint64], bits: int) -> bytes:
    """Pack residues of `bits` bits one after the other, the lowest bit first, as ciphertexts are written."""
    table = (values[:, np.newaxis] >> np.arange(bits, dtype=np.uint64)) & np.uint64(1)
    return np.packbits(table.astype(np.uint8).reshape(-1), bitorder="little").tobytes()


def secret_traces(parameters: ParameterSet, seed: bytes) -> Mapping[str, bytes]:
    """Return the representations of the seed and of the key made from it, by name."""
    key = SecretKey.generate(parameters, seed)
    ternary = coefficients(parameters, seed)
    same = SecretKey.from_coefficients(parameters, ternary)
    rows = ntt_rows(parameters, key)
    assert all(np.array_equal(a, b) for a, b in zip(rows, ntt_rows(parameters, same), strict=True))
    traces = {
        "seed": seed,
        "seed in hex": seed.hex().encode(),
        "seed in base64": base64.b64encode(seed)[:40],
        "keystream": keystream(seed, 8 * parameters.ring_degree, domain=b"secret key"),
        "ternary int8": ternary.tobytes(),
        "ternary uint8, shifted": (ternary + 1).astype(np.uint8).tobytes(),
        "ternary int64": ternary.astype("<i8").tobytes(),
        "ternary float64": ternary.astype("<f8").tobytes(),
        "ternary, two bits": pack_bits((ternary + 1).astype(np.uint64), 2),
    }
    for index, (row, prime) in enumerate(zip(rows, parameters.modulus_chain, strict=True)):
        residues = np.where(ternary < 0, prime - 1, ternary).astype(np.uint64)
        traces[f"NTT row {index}"] = row.astype("<u8").tobytes()
        traces[f"NTT row {index}, packed"] = pack_bits(row, prime.bit_length())
        traces[f"coefficients mod q_{index}"] = residues.astype("<u8").tobytes()
        traces[f"coefficients mod q_{index}, packed"] = pack_bits(residues, prime.bit_length())
    return traces


def found_in(data: bytes, traces: Mapping[str, bytes]) -> list[str]:
    """Return the names of the traces from any eighth of which a piece is in `data`. Sparse pieces (mostly zeros) are
    longer, so that none is found by chance."""
    found = []
    for name, trace in traces.items():
        for start in range(0, len(trace) - PIECE + 1, max(len(trace) // 8, 1)):
            piece = trace[start : start + (PIECE if _dense(trace) else 512)]
            if len(piece) >= PIECE and piece in data:
                found.append(name)
                break
    return found


def _dense(trace: bytes) -> bool:
    return len(set(trace[:512])) > 16
