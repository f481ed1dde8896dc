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
"""Number of special primes in Lattigo's published parameter sets, by log2 of the ring degree."""
GIANT_STEP_RATIO = 2
"""Ratio of baby steps to giant steps, as Orion sets it."""


class _Answer(ctypes.Structure):
    """A C array with its length, as the Go side returns it."""

    _fields_ = (("data", ctypes.c_void_p), ("length", ctypes.c_ulong))


class _Scheme:
    """Keys, and the encoding, encryption and decryption of vectors, at one size."""

    def __init__(self, go: ctypes.CDLL, log2_n: int, primes: int, bits: int) -> None:
        self.go, self.slots = go, 1 << (log2_n - 1)
        self.level, self._scale = primes - 1, 1 << bits
        special = SPECIAL_PRIMES[log2_n]
        chain, extra = _ints([bits] * primes), _ints([SPECIAL_BITS] * special)
        # A dense ternary secret, as the others have.
        go.NewScheme(log2_n, chain, primes, extra, special, bits, self.slots, b"standard", b"", b"none")
        for step in (
            *("NewKeyGenerator", "GenerateSecretKey", "GeneratePublicKey", "GenerateRelinearizationKey"),
            *("GenerateEvaluationKeys", "NewEncoder", "NewEncryptor", "NewDecryptor", "NewEvaluator"),
        ):
            getattr(go, step)()

    def encode(self, values: Any) -> int:
        return int(self.go.Encode(values.ctypes.data, len(values), self.level, self._scale))

    def encrypt(self, values: Any) -> int:
        plaintext = self.encode(values)
        ciphertext = int(self.go.Encrypt(plaintext))
        self.go.DeletePlaintext(plaintext)
        return ciphertext

    def decrypt(self, ciphertext: int) -> Any:
        self.go.Decode.restype = _Answer
        answer = self.go.Decode(self.go.Decrypt(ciphertext))
        pointer = ctypes.cast(answer.data, ctypes.POINTER(ctypes.c_float))
        return np.ctypeslib.as_array(pointer, (self.slots,)).astype(float)


def setup(options: dict[str, Any]) -> Session:
    """Make keys and one encrypted vector of `log2_n`, `primes` and `prime_bits`; with `matrix`, a dense matrix of that
    size too."""
    go = _library()
    scheme = _Scheme(go, options["log2_n"], options["primes"], options["prime_bits"])
    values = np.random.default_rng(1).uniform(-1, 1, scheme.slots).astype(np.float32)
    ciphertext = scheme.encrypt(values)
    operations = {
        "rotate": Operation(lambda: go.RotateNew(ciphertext, 1), go.DeleteCiphertext),
        "multiply": Operation(lambda: go.MulRelinCiphertextNew(ciphertext, ciphertext), go.DeleteCiphertext),
        "encode": Operation(lambda: scheme.encode(values), go.DeletePlaintext),
        "encrypt": Operation(lambda: scheme.encrypt(values), go.DeleteCiphertext),
    }

    def check(_: Any) -> float:
        return float(np.abs(scheme.decrypt(go.RotateNew(ciphertext, 1)) - np.roll(values, -1)).max())

    calls: dict[str, Callable[[Any], Any]] = {"check": check}
    size = int(options.get("matrix") or 0)
    if size:
        operations["matrix"], calls["check matrix"] = _matrix(scheme, size, values[:size])
    setting = f"{SPECIAL_PRIMES[options['log2_n']]} special primes"
    return Session(operations, calls, {"setting": setting, "matrix": size})


def _matrix(scheme: _Scheme, size: int, vector: Any) -> tuple[Operation, Callable[[Any], float]]:
    """Return the product of a dense matrix with a vector that repeats with the matrix's size, and its check."""
    go = scheme.go
    matrix = np.random.default_rng(2).uniform(-1, 1, (size, size)).astype(np.float32) / size
    slots = np.arange(scheme.slots)
    diagonals = np.concatenate([matrix[slots % size, (slots + k) % size] for k in range(size)])
    packed = (ctypes.c_float * len(diagonals)).from_buffer(diagonals.data)
    go.NewLinearTransformEvaluator()
    ratio = ctypes.c_float(GIANT_STEP_RATIO)
    transform = go.GenerateLinearTransform(
        _ints(list(range(size))), size, packed, len(diagonals), scheme.level, ratio, b"none"
    )
    go.GetLinearTransformRotationKeys.restype = _Answer
    needed = go.GetLinearTransformRotationKeys(transform)
    elements = ctypes.cast(needed.data, ctypes.POINTER(ctypes.c_int))
    for index in range(needed.length):
        go.GenerateLinearTransformRotationKey(elements[index])
    periodic = scheme.encrypt(np.resize(vector, scheme.slots))

    def apply() -> int:
        return int(go.Rescale(go.EvaluateLinearTransform(transform, periodic)))

    def check(_: Any) -> float:
        return float(np.abs(scheme.decrypt(apply()) - np.resize(matrix @ vector, scheme.slots)).max())

    return Operation(apply, go.DeleteCiphertext), check


def _library() -> ctypes.CDLL:
    files = importlib.metadata.files("orion-fhe") or []
    shared = [file for file in files if str(file).endswith("lattigo-linux.so")]
    library = ctypes.CDLL(str(shared[0].locate()))
    library.Encode.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_ulong]
    return library


def _ints(values: list[int]) -> Any:
    return (ctypes.c_int * len(values))(*values)


if __name__ == "__main__":
    serve(setup)
