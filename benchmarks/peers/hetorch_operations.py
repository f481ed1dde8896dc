"""Our operations at the sizes of benchmarks.engine, in the environment of hetorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.engine import SIZES
from benchmarks.peers.session import Operation, Session, serve
from hetorch.compiler.packing.baby_giant import split
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.engine.transform import DiagonalTransform
from hetorch.params import ParameterSet


def setup(options: dict[str, Any]) -> Session:
    """Make keys and one encrypted vector of the size with these options; `rotations` are hoisted at once."""
    wanted = tuple(options[name] for name in ("log2_n", "primes", "prime_bits"))
    size = next(s for s in SIZES if (s.log2_n, s.primes, s.prime_bits) == wanted)
    n, slots, bits = 1 << size.log2_n, 1 << (size.log2_n - 1), options["prime_bits"]
    scale = 2.0**bits
    parameters = ParameterSet.from_bits(
        n, [bits] * size.primes, size.special_bits, digit_size=size.digit_size
    )
    level = parameters.max_level
    steps = list(range(1, options["rotations"] + 1))
    matrix = int(options.get("matrix") or 0)
    dense = _dense(matrix, slots) if matrix else None
    needed = {*steps} | (dense.rotations if dense else set())
    key = SecretKey.generate(parameters)
    spec = EvaluationKeySpec.from_rotations(dict.fromkeys(sorted(needed), level), n, level)
    engine = NativeEngine(parameters, evaluation_keys=key.evaluation_keys(spec))
    public_key = key.public_key()
    values = np.random.default_rng(1).uniform(-1, 1, slots)
    ciphertext = key.encrypt(values, scale=scale)
    product = engine.multiply(ciphertext, ciphertext)
    kept = engine.prepare_transform(
        _rotations(steps, slots), level=level, input_scale=scale, output_scale=scale
    )
    operations = {
        "rotate": Operation(lambda: engine.rotate(ciphertext, 1)),
        "multiply": Operation(lambda: engine.multiply(ciphertext, ciphertext)),
        "hoisted": Operation(lambda: engine.rotate_many(ciphertext, steps), count=len(steps)),
        "kept in QP": Operation(lambda: engine.linear_transform(kept, [ciphertext]), count=len(steps)),
        "rescale": Operation(lambda: engine.rescale(product)),
        "encode": Operation(lambda: engine.encode(values, level=level, scale=scale)),
        "encrypt": Operation(lambda: encrypt_with_public_key(parameters, public_key, values, scale=scale)),
        "decrypt": Operation(lambda: key.decrypt(ciphertext)),
    }

    def check(_: object) -> float:
        turned = key.decrypt(engine.rotate(ciphertext, 1))
        return float(np.abs(turned - np.roll(values, -1)).max())

    calls: dict[str, Callable[[Any], Any]] = {"check": check}
    if dense is not None:
        prepared = engine.prepare_transform(dense, level=level, input_scale=scale, output_scale=scale)
        vector = np.random.default_rng(3).uniform(-1, 1, matrix)
        periodic = key.encrypt(np.resize(vector, slots), scale=scale)

        def check_matrix(_: object) -> float:
            (product,) = engine.linear_transform(prepared, [periodic])
            return float(np.abs(key.decrypt(product) - np.resize(_matrix(matrix) @ vector, slots)).max())

        operations["matrix"] = Operation(lambda: engine.linear_transform(prepared, [periodic]))
        calls["check matrix"] = check_matrix
    digits = -(-size.primes // size.digit_size)
    facts = {
        "setting": f"{len(size.special_bits)} special primes, {digits} digits",
        "matrix": matrix,
    }
    return Session(operations, calls, facts)


def _matrix(size: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(2).uniform(-1, 1, (size, size)) / size


def _rotations(steps: list[int], slots: int) -> DiagonalTransform:
    """Return the sum of the rotations by `steps`: only the sum is divided by P, so the rotations stay modulo QP."""
    count = len(steps)
    zeros, babies = np.zeros(count, dtype=np.int32), np.array(steps, dtype=np.int32)
    return DiagonalTransform(slots, 1, 1, zeros, zeros, zeros, babies, np.ones((count, 1)))


def _dense(size: int, slots: int) -> DiagonalTransform:
    """Return a dense matrix for a vector that repeats with its size, a diagonal a column, in the compiler's split."""
    parts = split(np.arange(size, dtype=np.int64), size)
    rows = np.arange(size)
    matrix = _matrix(size)
    values = np.stack([matrix[rows, (rows + k) % size] for k in parts.representatives])
    zeros = np.zeros(size, dtype=np.int32)
    giants, babies = (parts.giants % slots).astype(np.int32), (parts.babies % slots).astype(np.int32)
    return DiagonalTransform(slots, 1, 1, zeros, zeros, giants, babies, values)


if __name__ == "__main__":
    serve(setup)
