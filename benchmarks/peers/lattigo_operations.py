"""Lattigo's operations through the Go library that orion-fhe ships; runs in its own environment."""

from __future__ import annotations

import ctypes
import importlib.metadata
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve

SPECIAL_BITS = 45
SPECIAL_PRIMES = {13: 1, 14: 2, 15: 3, 16: 4}
"""How many special primes its published parameter sets have at these rings."""


def _library() -> ctypes.CDLL:
    files = importlib.metadata.files("orion-fhe") or []
    shared = [file for file in files if str(file).endswith("lattigo-linux.so")]
    library = ctypes.CDLL(str(shared[0].locate()))
    library.Encode.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_ulong]
    return library


class _Answer(ctypes.Structure):
    """A C array with its length, as the Go side returns it."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_ulong))


def _ints(values: list[int]) -> Any:
    return (ctypes.c_int * len(values))(*values)


def setup(options: dict[str, Any]) -> Session:
    """Keys, and one encrypted vector of `log2_n`, `primes` and `prime_bits`; a dense matrix if `matrix` is its size."""
    go = _library()
    n, bits, primes = 1 << options["log2_n"], options["prime_bits"], options["primes"]
    special = SPECIAL_PRIMES[options["log2_n"]]
    chain, extra = _ints([bits] * primes), _ints([SPECIAL_BITS] * special)
    # A dense ternary secret, as the others have.
    go.NewScheme(options["log2_n"], chain, primes, extra, special, bits, n // 2, b"standard", b"", b"none")
    for step in (
        *("NewKeyGenerator", "GenerateSecretKey", "GeneratePublicKey", "GenerateRelinearizationKey"),
        *("GenerateEvaluationKeys", "NewEncoder", "NewEncryptor", "NewDecryptor", "NewEvaluator"),
    ):
        getattr(go, step)()
    level, scale = primes - 1, 1 << bits
    values = np.random.default_rng(1).uniform(-1, 1, n // 2).astype(np.float32)

    def encode() -> int:
        return int(go.Encode(values.ctypes.data, len(values), level, scale))

    def encrypt() -> int:
        plaintext = encode()
        made = int(go.Encrypt(plaintext))
        go.DeletePlaintext(plaintext)
        return made

    def decode(ciphertext: int) -> Any:
        go.Decode.restype = _Answer
        plaintext = go.Decrypt(ciphertext)
        answer = go.Decode(plaintext)
        found = np.ctypeslib.as_array(ctypes.cast(answer.data, ctypes.POINTER(ctypes.c_float)), (n // 2,))
        return found.astype(float)

    ciphertext = encrypt()
    operations = {
        "rotate": Operation(lambda: go.RotateNew(ciphertext, 1), go.DeleteCiphertext),
        "multiply": Operation(lambda: go.MulRelinCiphertextNew(ciphertext, ciphertext), go.DeleteCiphertext),
        "encode": Operation(encode, go.DeletePlaintext),
        "encrypt": Operation(encrypt, go.DeleteCiphertext),
    }

    expected = np.roll(values, -1)

    def check(_: Any) -> float:
        return float(np.abs(decode(go.RotateNew(ciphertext, 1)) - expected).max())

    calls: dict[str, Callable[[Any], Any]] = {"check": check}
    if options.get("matrix"):
        size = int(options["matrix"])
        matrix = np.random.default_rng(2).uniform(-1, 1, (size, size)).astype(np.float32) / size
        slots = np.arange(n // 2)
        diagonals = np.concatenate([matrix[slots % size, (slots + k) % size] for k in range(size)])
        packed = (ctypes.c_float * len(diagonals)).from_buffer(diagonals.data)
        go.NewLinearTransformEvaluator()
        # 2 is the ratio of baby steps to giant steps that Orion gives it.
        transform = go.GenerateLinearTransform(
            _ints(list(range(size))), size, packed, len(diagonals), level, ctypes.c_float(2), b"none"
        )
        go.GetLinearTransformRotationKeys.restype = _Answer
        needed = go.GetLinearTransformRotationKeys(transform)
        elements = ctypes.cast(needed.data, ctypes.POINTER(ctypes.c_int))
        for index in range(needed.length):
            go.GenerateLinearTransformRotationKey(elements[index])
        # The map takes a vector whose period is that of the matrix.
        values[:] = np.resize(values[:size], n // 2)
        periodic = encrypt()

        def apply() -> int:
            return int(go.Rescale(go.EvaluateLinearTransform(transform, periodic)))

        def check_matrix(_: Any) -> float:
            product = np.resize(matrix @ values[:size], n // 2)
            return float(np.abs(decode(apply()) - product).max())

        operations["matrix"] = Operation(apply, go.DeleteCiphertext)
        calls["check matrix"] = check_matrix
    return Session(
        operations, calls, {"setting": f"{special} special primes", "matrix": int(options.get("matrix") or 0)}
    )


if __name__ == "__main__":
    serve(setup)
