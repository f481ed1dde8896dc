"""TenSEAL's interface here against TenSEAL: each operation, its tutorials' network and matrix products.

The same calls on the same values, at the parameters of TenSEAL's tutorials; TenSEAL gets as many threads as hetorch.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import Row, compare
from benchmarks.output import arguments, rows_for_each_thread_count, write

Array = NDArray[np.float64]
Operation = Callable[["Side"], object]


@dataclass(frozen=True, slots=True)
class Parameters:
    """N = 8192 in all of them."""

    name: str
    bits: tuple[int, ...]
    scale: float


PARAMETERS = [
    Parameters("[60,40,40,60]", (60, 40, 40, 60), 2.0**40),
    Parameters("[40,21x6,40]", (40, *[21] * 6, 40), 2.0**21),
    Parameters("[31,26x6,31]", (31, *[26] * 6, 31), 2.0**26),
]


class Side:
    """One package with a context, and what the operations take."""

    def __init__(self, package: Any, parameters: Parameters, threads: int) -> None:
        self.ts = package
        self.context = package.context(
            package.SCHEME_TYPE.CKKS,
            poly_modulus_degree=8192,
            coeff_mod_bit_sizes=list(parameters.bits),
            n_threads=threads,
        )
        self.context.global_scale = parameters.scale
        self.context.generate_galois_keys()
        rng = np.random.default_rng(0)
        self.values = rng.uniform(-1, 1, 4096).tolist()
        self.vector = package.ckks_vector(self.context, self.values)
        self.public = self.context.copy()
        self.public.make_context_public()
        self.image = rng.uniform(0, 1, (28, 28)).tolist()
        self.windows, self.window_count = package.im2col_encoding(self.context, self.image, 7, 7, 3)
        self.kernels = (rng.uniform(-1, 1, (4, 7, 7)) / 7).tolist()
        self.pixels = package.ckks_vector(self.context, np.ravel(self.image).tolist())
        self.short = package.ckks_vector(self.context, self.values[:256])
        self.weights = {
            shape: (rng.uniform(-1, 1, shape) / shape[0] ** 0.5).tolist()
            for shape in [(256, 64), (64, 10), (784, 128), (128, 10)]
        }
        self.plain_matrix = rng.uniform(-1, 1, (4, 4)).tolist()
        self.matrix = package.ckks_tensor(self.context, self.plain_matrix)
        self.batch = package.ckks_tensor(self.context, rng.uniform(-1, 1, (64, 4, 4)).tolist(), batch=True)

    def network(self) -> Any:
        """Conv(1, 4, 7 x 7, stride 3) - square - 256-64 - square - 64-10."""
        channels = [self.windows.conv2d_im2col(kernel, self.window_count) + 0.1 for kernel in self.kernels]
        x = self.ts.CKKSVector.pack_vectors(channels)
        x.square_()
        x = x.mm(self.weights[256, 64]) + [0.1] * 64
        x.square_()
        return x.mm(self.weights[64, 10]) + [0.1] * 10

    def perceptron(self) -> Any:
        """784-128 - square - 128-10."""
        x = self.pixels.mm(self.weights[784, 128]) + [0.1] * 128
        x.square_()
        return x.mm(self.weights[128, 10]) + [0.1] * 10


QUICK: dict[str, Operation] = {
    "encrypt vector (private context)": lambda s: s.ts.ckks_vector(s.context, s.values),
    "encrypt vector (public context)": lambda s: s.ts.ckks_vector(s.public, s.values),
    "decrypt vector": lambda s: s.vector.decrypt(),
    "vector + vector": lambda s: s.vector + s.vector,
    "vector + list": lambda s: s.vector + s.values,
    "vector + number": lambda s: s.vector + 0.5,
    "-vector": lambda s: -s.vector,
    "vector * vector": lambda s: s.vector * s.vector,
    "vector.square()": lambda s: s.vector.square(),
    "vector * list": lambda s: s.vector * s.values,
    "vector * number": lambda s: s.vector * 0.5,
    "polyval, degree 3": lambda s: s.vector.polyval([0.5, 0.197, 0, -0.004]),
    "pack_vectors, 4 of 256": lambda s: s.ts.CKKSVector.pack_vectors([s.short] * 4),
    "sum of 4096": lambda s: s.vector.sum(),
    "dot, encrypted, 4096": lambda s: s.vector.dot(s.vector),
    "dot, plain, 4096": lambda s: s.vector.dot(s.values),
    "conv2d_im2col, 7 x 7, 64 windows": lambda s: s.windows.conv2d_im2col(s.kernels[0], s.window_count),
    "encrypt tensor 4 x 4": lambda s: s.ts.ckks_tensor(s.context, s.plain_matrix),
    "decrypt tensor 4 x 4": lambda s: s.matrix.decrypt(),
    "tensor 4 x 4 * tensor": lambda s: s.matrix * s.matrix,
    "tensor 4 x 4 * plain": lambda s: s.matrix * s.plain_matrix,
    "tensor 4 x 4 mm tensor": lambda s: s.matrix.mm(s.matrix),
    "tensor 4 x 4 mm plain": lambda s: s.matrix.mm(s.plain_matrix),
    "tensor batch of 64 sum_batch": lambda s: s.batch.sum_batch(),
    "generate_galois_keys": lambda s: s.context.copy().generate_galois_keys(),
}

SLOW: dict[str, Operation] = {
    "mm 256 x 64": lambda s: s.short.mm(s.weights[256, 64]),
    "mm 784 x 128": lambda s: s.pixels.mm(s.weights[784, 128]),
}

NETWORKS: dict[str, Operation] = {
    "CNN of the tutorial": lambda s: s.network(),
    "784-128-10 by mm": lambda s: s.perceptron(),
}


def measure(threads: int) -> list[Row]:
    """All rows with this process's threads."""
    ours = import_module("hetorch.tenseal")
    reason, peer, peer_version = "", None, ""
    try:
        peer, peer_version = import_module("tenseal"), version("tenseal")
    except (ImportError, PackageNotFoundError) as error:
        reason = f"not installed: {error}"
    rows = []
    for parameters in PARAMETERS:
        here = Side(ours, parameters, threads)
        there = None if peer is None else Side(peer, parameters, threads)
        operations = [(name, operation, 15) for name, operation in QUICK.items()]
        operations += [
            (name, operation, 3) for name, operation in SLOW.items() if parameters is not PARAMETERS[1]
        ]
        if parameters is PARAMETERS[2]:
            operations += [(name, operation, 3) for name, operation in NETWORKS.items()]
        for name, operation, repetitions in operations:
            rows.append(
                compare(
                    f"{name}, {parameters.name}",
                    "TenSEAL",
                    peer_version,
                    threads,
                    None if there is None else partial(operation, there),
                    partial(operation, here),
                    repetitions=repetitions,
                    reason=reason,
                )
            )
    return rows


def main() -> None:
    """Print the table; `--rows` measures with this process's threads and writes JSON."""
    options = arguments(__doc__ or "")
    if options.rows:
        warnings.simplefilter("ignore")  # that the tutorials' parameters are those of the 2018 table
        from hetorch.engine import _native

        print(json.dumps([row.to_json() for row in measure(_native.thread_count())]))
        return
    write(
        "hetorch.tenseal and TenSEAL", rows_for_each_thread_count("benchmarks.tenseal", (1, 2)), options.json
    )


if __name__ == "__main__":
    main()
