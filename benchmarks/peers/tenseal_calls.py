"""TenSEAL's calls under either package: `tenseal` in an environment of its own, or `hetorch.tenseal` in ours."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.peers.session import Operation, Session, serve

Call = Callable[["Side"], object]


class Side:
    """One package with a context, and what the calls take."""

    def __init__(self, package: Any, bits: list[int], scale: float, threads: int) -> None:
        self.ts = package
        self.context = package.context(
            package.SCHEME_TYPE.CKKS,
            poly_modulus_degree=8192,
            coeff_mod_bit_sizes=bits,
            n_threads=threads,
        )
        self.context.global_scale = scale
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
        self.lower = self.vector * 1.0
        self.one = package.ckks_vector(self.context, self.values[:1])
        self.columns = package.enc_matmul_encoding(self.context, rng.uniform(-1, 1, (64, 49)).tolist())
        self.vector_bytes = self.vector.serialize()
        self.matrix_bytes = self.matrix.serialize()
        self.context_bytes = self.context.serialize()
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

    def product_error(self) -> float:
        """Return the largest error of a product of vectors: a wrong one is not worth timing."""
        seen = np.array((self.vector * self.vector).decrypt())
        return float(np.abs(seen - np.square(self.values)).max())


CALLS: dict[str, Call] = {
    "encrypt vector (private context)": lambda s: s.ts.ckks_vector(s.context, s.values),
    "encrypt vector (public context)": lambda s: s.ts.ckks_vector(s.public, s.values),
    "decrypt vector": lambda s: s.vector.decrypt(),
    "vector + vector": lambda s: s.vector + s.vector,
    "vector + list": lambda s: s.vector + s.values,
    "vector - list": lambda s: s.vector - s.values,
    "vector + vector a level lower": lambda s: s.vector + s.lower,
    "vector + number": lambda s: s.vector + 0.5,
    "-vector": lambda s: -s.vector,
    "vector * vector": lambda s: s.vector * s.vector,
    "vector.square()": lambda s: s.vector.square(),
    "vector ** 3": lambda s: s.short**3,
    "vector * list": lambda s: s.vector * s.values,
    "vector * number": lambda s: s.vector * 0.5,
    "polyval, degree 3": lambda s: s.vector.polyval([0.5, 0.197, 0, -0.004]),
    "pack_vectors, 4 of 256": lambda s: s.ts.CKKSVector.pack_vectors([s.short] * 4),
    "sum of 4096": lambda s: s.vector.sum(),
    "dot, encrypted, 4096": lambda s: s.vector.dot(s.vector),
    "dot, plain, 4096": lambda s: s.vector.dot(s.values),
    "conv2d_im2col, 7 x 7, 64 windows": lambda s: s.windows.conv2d_im2col(s.kernels[0], s.window_count),
    "im2col_encoding, 7 x 7, stride 3": lambda s: s.ts.im2col_encoding(s.context, s.image, 7, 7, 3),
    "enc_matmul_plain, 64 x 49": lambda s: s.columns.enc_matmul_plain(s.values[:49], 64),
    "encrypt tensor 4 x 4": lambda s: s.ts.ckks_tensor(s.context, s.plain_matrix),
    "decrypt tensor 4 x 4": lambda s: s.matrix.decrypt(),
    "tensor 4 x 4 + tensor": lambda s: s.matrix + s.matrix,
    "tensor 4 x 4 + plain": lambda s: s.matrix + s.plain_matrix,
    "tensor 4 x 4 + number": lambda s: s.matrix + 0.5,
    "-tensor 4 x 4": lambda s: -s.matrix,
    "tensor 4 x 4, sum(0)": lambda s: s.matrix.sum(0),
    "tensor 4 x 4, polyval, degree 2": lambda s: s.matrix.polyval([0.5, 0.25, 0.125]),
    "tensor 4 x 4, dot, plain": lambda s: s.matrix.dot([0.5, -0.5, 0.25, 1.0]),
    "tensor 4 x 4, transposed": lambda s: s.matrix.transpose(),
    "tensor 4 x 4, sliced": lambda s: s.matrix[0:2],
    "tensor 4 x 4, square": lambda s: s.matrix.square(),
    "tensor 4 x 4 * tensor": lambda s: s.matrix * s.matrix,
    "tensor 4 x 4 * plain": lambda s: s.matrix * s.plain_matrix,
    "tensor 4 x 4 mm tensor": lambda s: s.matrix.mm(s.matrix),
    "tensor 4 x 4 mm plain": lambda s: s.matrix.mm(s.plain_matrix),
    "tensor batch of 64 sum_batch": lambda s: s.batch.sum_batch(),
    "serialize vector": lambda s: s.vector.serialize(),
    "ckks_vector_from": lambda s: s.ts.ckks_vector_from(s.context, s.vector_bytes),
    "serialize tensor 4 x 4": lambda s: s.matrix.serialize(),
    "ckks_tensor_from, 4 x 4": lambda s: s.ts.ckks_tensor_from(s.context, s.matrix_bytes),
    "serialize context": lambda s: s.context.serialize(),
    "context_from": lambda s: s.ts.context_from(s.context_bytes),
    "generate_galois_keys": lambda s: s.context.copy().generate_galois_keys(),
    "mm 256 x 64": lambda s: s.short.mm(s.weights[256, 64]),
    "mm 784 x 128": lambda s: s.pixels.mm(s.weights[784, 128]),
    "CNN of the tutorial": lambda s: s.network(),
    "784-128-10 by mm": lambda s: s.perceptron(),
}


def setup(options: dict[str, Any]) -> Session:
    """`package`: tenseal or hetorch.tenseal; `bits` and `scale` of the context; `threads` that TenSEAL may use."""
    warnings.simplefilter("ignore")  # that the tutorials' parameters are those of the 2018 table
    package = importlib.import_module(options["package"])
    side = Side(package, options["bits"], options["scale"], options["threads"])

    def operation(call: Call) -> Operation:
        return Operation(lambda: call(side))

    operations = {name: operation(call) for name, call in CALLS.items()}
    return Session(operations, {"check": lambda _: side.product_error()}, {})


if __name__ == "__main__":
    serve(setup)
