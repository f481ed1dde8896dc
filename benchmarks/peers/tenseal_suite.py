"""A suite of small calls under either package: `tenseal` in an environment of its own, or `hetorch.tenseal` in ours.

As in a test suite, most groups make a context of their own for each of a few parameter sets, and then many small calls
over all methods, shapes and forms of operands. The calls are the same in both packages.
"""

from __future__ import annotations

import importlib
import itertools
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from benchmarks.peers.session import Session, clock, serve

Step = Callable[[], object]

VECTOR_SIZES = (1, 3, 64, 1000)
SHAPES = ((2,), (2, 3), (2, 2, 2), (4, 4))
T = 1032193
"""BFV's plain modulus: a prime = 1 mod 2N for N up to 8192."""


class Suite:
    """One package, and the groups of calls."""

    def __init__(self, package: Any, threads: int) -> None:
        self.ts = package
        self.threads = threads
        self.rng = np.random.default_rng(0)

    def ckks(self, degree: int, bits: list[int], scale: float, **options: Any) -> Any:
        context = self.ts.context(
            self.ts.SCHEME_TYPE.CKKS,
            degree,
            coeff_mod_bit_sizes=bits,
            n_threads=self.threads,
            **options,
        )
        context.global_scale = scale
        return context

    def bfv(self, degree: int) -> Any:
        return self.ts.context(self.ts.SCHEME_TYPE.BFV, degree, T, n_threads=self.threads)

    def reals(self, *shape: int) -> Any:
        return self.rng.uniform(-1, 1, shape).tolist()

    def integers(self, *shape: int) -> Any:
        return self.rng.integers(-50, 50, shape).tolist()

    # Groups: each yields its calls one by one, so that set-up is a call too.

    def set_up(self) -> Iterator[Step]:
        """Contexts and keys of every kind, and their bytes."""
        for degree, bits, scale in (
            (4096, [30, 24, 24, 30], 2.0**24),
            (8192, [60, 40, 40, 60], 2.0**40),
            (8192, [40, 21, 21, 21, 21, 40], 2.0**21),
        ):
            for kind in self.ts.ENCRYPTION_TYPE:
                made: list[Any] = []
                yield partial(
                    lambda d, b, s, k, m: m.append(self.ckks(d, b, s, encryption_type=k)),
                    degree,
                    bits,
                    scale,
                    kind,
                    made,
                )
                context = made[0]
                yield context.generate_galois_keys
                yield context.generate_relin_keys
                yield context.copy
                if kind is self.ts.ENCRYPTION_TYPE.ASYMMETRIC:
                    data = context.serialize()
                    private = context.serialize(save_secret_key=True)
                    yield context.serialize
                    yield partial(lambda data: self.ts.context_from(data, self.threads), data)
                    yield partial(lambda data: self.ts.context_from(data, self.threads), private)

    def vectors(self) -> Iterator[Step]:
        """CKKS vectors: every operation, size and form of operand, from fresh contexts."""
        for bits, galois in itertools.product(([60, 40, 40, 60], [60, 40, 40, 40, 60]), (True, False)):
            context = self.ckks(8192 if len(bits) < 5 else 16384, bits, 2.0**40)
            if galois:
                context.generate_galois_keys()
            for size in VECTOR_SIZES:
                values, others = self.reals(size), self.reals(size)
                yield partial(lambda c, v: self.ts.ckks_vector(c, v), context, values)
                x, y = self.ts.ckks_vector(context, values), self.ts.ckks_vector(context, others)
                for other in (y, others, np.array(others), self.ts.plain_tensor(others), 0.5, 2):
                    yield partial(lambda x, o: x + o, x, other)
                    yield partial(lambda x, o: x - o, x, other)
                    yield partial(lambda x, o: x * o, x, other)
                    yield partial(lambda x, o: x.copy().add_(o), x, other)
                    yield partial(lambda x, o: x.copy().mul_(o), x, other)
                yield partial(lambda x: -x, x)
                yield partial(lambda x: x.square(), x)
                yield partial(lambda x: x**2, x)
                yield partial(lambda x: x**3, x)
                yield partial(lambda x: x.polyval([1.0, 0.5, 0.25]), x)
                yield partial(lambda x: x.decrypt(), x)
                yield partial(lambda x, c: self.ts.ckks_vector_from(c, x.serialize()), x, context)
                if galois:
                    yield partial(lambda x: x.sum(), x)
                    yield partial(lambda x, y: x.dot(y), x, y)
                    yield partial(lambda x, o: x.dot(o), x, others)
                    if size <= 64:
                        matrix = self.reals(size, 5)
                        yield partial(lambda x, m: x.mm(m), x, matrix)

    def tensors(self) -> Iterator[Step]:
        """CKKS tensors: every operation and shape, with and without a batch."""
        context = self.ckks(8192, [60, 40, 40, 60], 2.0**40)
        context.generate_galois_keys()
        for shape, batch in itertools.product(SHAPES, (False, True)):
            values, others = self.reals(*shape), self.reals(*shape)
            yield partial(lambda v, b: self.ts.ckks_tensor(context, v, batch=b), values, batch)
            x, y = (self.ts.ckks_tensor(context, v, batch=batch) for v in (values, others))
            operands = [y, 0.5] if batch else [y, others, np.array(others), 0.5]
            for other in operands:
                yield partial(lambda x, o: x + o, x, other)
                yield partial(lambda x, o: x - o, x, other)
                yield partial(lambda x, o: x * o, x, other)
                yield partial(lambda x, o: x.copy().add_(o), x, other)
                yield partial(lambda x, o: x.copy().mul_(o), x, other)
            yield partial(lambda x: -x, x)
            yield partial(lambda x: x.square(), x)
            yield partial(lambda x: x**3, x)
            yield partial(lambda x: x.polyval([1.0, 0.5, 0.25]), x)
            yield partial(lambda x: x.sum(0), x)
            yield partial(lambda x: x.transpose(), x)
            yield partial(lambda x: x.decrypt(), x)
            yield partial(lambda x: self.ts.ckks_tensor_from(context, x.serialize()), x)
            if len(shape) == 2 and not batch:
                yield partial(lambda x, y: x.mm(y.transpose()), x, y)
                yield partial(lambda x, o: x.mm(np.transpose(o).tolist()), x, others)

    def integers_of_vectors(self) -> Iterator[Step]:
        """BFV vectors."""
        for degree in (4096, 8192):
            context = self.bfv(degree)
            yield context.generate_galois_keys
            for size in VECTOR_SIZES:
                values, others = self.integers(size), self.integers(size)
                yield partial(lambda c, v: self.ts.bfv_vector(c, v), context, values)
                x, y = self.ts.bfv_vector(context, values), self.ts.bfv_vector(context, others)
                for other in (y, others):
                    yield partial(lambda x, o: x + o, x, other)
                    yield partial(lambda x, o: x - o, x, other)
                    yield partial(lambda x, o: x * o, x, other)
                    yield partial(lambda x, o: x.copy().add_(o), x, other)
                    yield partial(lambda x, o: x.copy().mul_(o), x, other)
                yield partial(lambda x: x + 3, x)
                yield partial(lambda x: x * 3, x)
                yield partial(lambda x: x.sum(), x)
                yield partial(lambda x, y: x.dot(y), x, y)
                yield partial(lambda x: x.decrypt(), x)
                yield partial(lambda x, c: self.ts.bfv_vector_from(c, x.serialize()), x, context)

    def integers_of_tensors(self) -> Iterator[Step]:
        """BFV tensors."""
        context = self.bfv(4096)
        context.generate_galois_keys()
        for shape, batch in itertools.product(SHAPES, (False, True)):
            values, others = self.integers(*shape), self.integers(*shape)
            yield partial(lambda v, b: self.ts.bfv_tensor(context, v, b), values, batch)
            x, y = (self.ts.bfv_tensor(context, v, batch) for v in (values, others))
            for other in [y, 3] if batch else [y, others, 3]:
                yield partial(lambda x, o: x + o, x, other)
                yield partial(lambda x, o: x * o, x, other)
            yield partial(lambda x: -x, x)
            yield partial(lambda x: x.square(), x)
            yield partial(lambda x: x.sum(0), x)
            yield partial(lambda x: x.decrypt(), x)
            yield partial(lambda x: self.ts.bfv_tensor_from(context, x.serialize()), x)

    def switches(self) -> Iterator[Step]:
        """CKKS vectors and tensors with automatic steps turned off."""
        turned = list(itertools.product((True, False), repeat=3))[1:]
        for relin, rescale, mod_switch in turned:
            context = self.ckks(8192, [60, 40, 40, 60], 2.0**40)
            context.generate_galois_keys()
            context.auto_relin, context.auto_rescale, context.auto_mod_switch = relin, rescale, mod_switch
            for make, shape in (
                *((self.ts.ckks_vector, (size,)) for size in VECTOR_SIZES),
                (self.ts.ckks_tensor, (2, 3)),
            ):
                values, others = self.reals(*shape), self.reals(*shape)
                yield partial(lambda m, c, v: m(c, v), make, context, values)
                x, y = make(context, values), make(context, others)
                for other in (y, others, 0.5):
                    yield partial(lambda x, o: x * o, x, other)
                    yield partial(lambda x, o: (x * o).decrypt(), x, other)
                    yield partial(lambda x, o: x + o, x, other)
                yield partial(lambda x, y: (x * y) + (x * y), x, y)
                yield partial(lambda x: x.square().serialize(), x)

    def encodings(self) -> Iterator[Step]:
        """Images, matrices by columns, packed vectors."""
        context = self.ckks(8192, [60, 40, 40, 60], 2.0**40)
        context.generate_galois_keys()
        for size, kernel, stride in itertools.product((6, 8, 12), (2, 3), (1, 2)):
            image, weights = self.reals(size, size), self.reals(kernel, kernel)
            encode = partial(self.ts.im2col_encoding, context, image, kernel, kernel, stride)
            yield encode
            windows, count = encode()
            yield partial(lambda x, w, n: x.conv2d_im2col(w, n), windows, weights, count)
            yield partial(lambda x, w, n: x.conv2d_im2col(w, n).square().decrypt(), windows, weights, count)
        for rows, columns in itertools.product((4, 8, 20), (3, 8, 16)):
            matrix, vector = self.reals(rows, columns), self.reals(columns)
            yield partial(self.ts.enc_matmul_encoding, context, matrix)
            encoded = self.ts.enc_matmul_encoding(context, matrix)
            yield partial(lambda x, v, n: x.enc_matmul_plain(v, n), encoded, vector, rows)
        for count, size in itertools.product((2, 4, 8), (4, 16)):
            vectors = [self.ts.ckks_vector(context, self.reals(size)) for _ in range(count)]
            yield partial(self.ts.CKKSVector.pack_vectors, vectors)

    def shapes(self) -> Iterator[Step]:
        """Parts, shapes and products of CKKS tensors."""
        context = self.ckks(8192, [60, 40, 40, 60], 2.0**40)
        for shape in ((2, 3), (3, 4), (2, 2, 2)):
            x = self.ts.ckks_tensor(context, self.reals(*shape))
            flat = [int(np.prod(shape))]
            yield partial(lambda x: x[0], x)
            yield partial(lambda x: x[0:1], x)
            yield partial(lambda x: x[0:1, 0:2], x)
            yield partial(lambda x, s: x.reshape(s), x, flat)
            yield partial(lambda x, s: x.copy().reshape_(s), x, flat)
            yield partial(lambda x, s: x.broadcast(s), x, [2, *shape])
            yield partial(lambda x: x.copy().transpose_(), x)
            for axis in range(len(shape)):
                yield partial(lambda x, a: x.sum(a), x, axis)
            yield partial(lambda x, row: x + row, x, self.reals(1, shape[-1]))
            yield partial(lambda x, row: x * row, x, self.reals(1, shape[-1]))
        for rows, inner, columns in itertools.product((1, 2, 4), (1, 3), (1, 2, 4)):
            left, right = self.reals(rows, inner), self.reals(inner, columns)
            x, y = self.ts.ckks_tensor(context, left), self.ts.ckks_tensor(context, right)
            yield partial(lambda x, y: x.mm(y), x, y)
            yield partial(lambda x, m: x.mm(m), x, right)
            yield partial(lambda x, m: x @ m, x, right)

    def plain(self) -> Iterator[Step]:
        """Plain tensors."""
        for shape in ((3,), (2, 3), (4, 5, 6)):
            values = self.reals(*shape)
            for _ in range(20):
                yield partial(lambda v: self.ts.plain_tensor(v).tolist(), values)
                yield partial(lambda v: self.ts.plain_tensor(v).transpose(), values)
                yield partial(lambda v: self.ts.plain_tensor(v).batch(0), values)
                yield partial(
                    lambda v: self.ts.plain_tensor_from(self.ts.plain_tensor(v).serialize()), values
                )


GROUPS = (
    *("set_up", "vectors", "tensors", "switches", "encodings", "shapes"),
    *("integers_of_vectors", "integers_of_tensors", "plain"),
)


def setup(options: dict[str, Any]) -> Session:
    """`package`: tenseal or hetorch.tenseal; `threads` that TenSEAL may use."""
    warnings.simplefilter("ignore")  # of parameters of the 2018 table
    suite = Suite(importlib.import_module(options["package"]), options["threads"])

    def run(group: str) -> dict[str, float]:
        """The calls of a group, and the seconds that all of it took, set-up between the calls included."""
        start, count = clock(), 0
        for step in getattr(suite, group)():
            step()
            count += 1
        return {"calls": count, "seconds": clock() - start}

    return Session({}, {"run": run}, {})


if __name__ == "__main__":
    serve(setup)
