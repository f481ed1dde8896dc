"""Calls of the whole interface: every method with every form of operand, from every state, under every switch.

Long because it lists the calls of one interface, which are looked for in one place.

`calls()` has all of them by name; a call is a function of a World, so that it can be made under TenSEAL and here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tests.tenseal.world import (
    ON,
    OWN_OPERANDS,
    PLAIN_OPERANDS,
    SQUARE,
    STATES,
    THREE,
    TURNED,
    WHOLE,
    Call,
    Switches,
    World,
)

Named = Iterator[tuple[str, Call]]


def method(name: str) -> Callable[[Any, Any], Any]:
    return lambda x, y: getattr(x, name)(y)


def in_place(name: str) -> Callable[[Any, Any], Any]:
    return lambda x, y: getattr(x, name)(y)


def setter(name: str) -> Callable[[Any, Any], Any]:
    return lambda x, y: setattr(x, name, y)


# Methods of one operand.
BINARY: dict[str, Callable[[Any, Any], Any]] = {
    **{name: method(name) for name in ("add", "sub", "mul", "dot")},
    **{f"{name}_": in_place(f"{name}_") for name in ("add", "sub", "mul")},
    "+": lambda x, y: x + y,
    "-": lambda x, y: x - y,
    "*": lambda x, y: x * y,
    "r+": lambda x, y: y + x,
    "r-": lambda x, y: y - x,
    "r*": lambda x, y: y * x,
}
MATRIX: dict[str, Callable[[Any, Any], Any]] = {
    "mm": lambda x, y: x.mm(y),
    "mm_": lambda x, y: x.mm_(y),
    "@": lambda x, y: x @ y,
}
VECTOR_ONLY: dict[str, Callable[[Any, Any], Any]] = {
    "matmul": lambda x, y: x.matmul(y),
    "conv2d_im2col, 3": lambda x, y: x.conv2d_im2col(y, 3),
    "conv2d_im2col, 0": lambda x, y: x.conv2d_im2col(y, 0),
    "enc_matmul_plain, 1": lambda x, y: x.enc_matmul_plain(y, 1),
    "enc_matmul_plain, 3": lambda x, y: x.enc_matmul_plain(y, 3),
}
TENSOR_ONLY: dict[str, Callable[[Any, Any], Any]] = {
    "reshape": lambda x, y: x.reshape(y),
    "reshape_": lambda x, y: x.reshape_(y),
    "broadcast": lambda x, y: x.broadcast(y),
}
WITH_ARGUMENT: dict[str, Callable[[Any, Any], Any]] = {
    "pow": lambda x, y: x.pow(y),
    "**": lambda x, y: x**y,
    "pow_": lambda x, y: x.pow_(y),
    "polyval": lambda x, y: x.polyval(y),
    "polyval_": lambda x, y: x.polyval_(y),
    "sum": lambda x, y: x.sum(y),
    "decrypt": lambda x, y: x.decrypt(y),
    "link_context": lambda x, y: x.link_context(y),
    "load": lambda x, y: type(x).load(y, b"abc"),
    "lazy_load": lambda x, y: type(x).lazy_load(y),
    "pack_vectors": lambda x, y: type(x).pack_vectors([x, y]),
    "set data": lambda x, y: setattr(x, "data", y),
    "wrap": lambda x, y: type(x)(data=y),
}
UNARY: dict[str, Callable[[Any], Any]] = {
    "neg": lambda x: -x,
    "neg_": lambda x: x.neg_(),
    "square": lambda x: x.square(),
    "square_": lambda x: x.square_(),
    "sum": lambda x: x.sum(),
    "sum_": lambda x: x.sum_(),
    "decrypt": lambda x: x.decrypt(),
    "serialize": lambda x: x.serialize(),
    "copy": lambda x: x.copy(),
    "context": lambda x: x.context(),
    "shape": lambda x: x.shape,
    "scale": lambda x: x.scale(),
    "size": lambda x: x.size(),
    "ciphertext": lambda x: x.ciphertext(),
    "transpose": lambda x: x.transpose(),
    "sum_batch": lambda x: x.sum_batch(),
    "sum, 1": lambda x: x.sum(1),
    "sum, 2": lambda x: x.sum(2),
    "sum, -1": lambda x: x.sum(-1),
    "square of a square": lambda x: x.square().square(),
    "power 0": lambda x: x**0,
    "power 1": lambda x: x**1,
    "power 3": lambda x: x**3,
    "power 5": lambda x: x**5,
    "power -1": lambda x: x**-1,
    "polyval of nothing": lambda x: x.polyval([]),
    "polyval, constant": lambda x: x.polyval([2]),
    "polyval, zero": lambda x: x.polyval([0, 0]),
    "polyval, degree 1": lambda x: x.polyval([1, 2]),
    "polyval, degree 1 without constant": lambda x: x.polyval([0, 2]),
    "polyval, degree 2": lambda x: x.polyval([1, 2, 3]),
    "polyval, x^2": lambda x: x.polyval([0, 0, 1]),
    "polyval, degree 3": lambda x: x.polyval([1, 2, 3, 4]),
    "polyval, x^3": lambda x: x.polyval([0, 0, 0, 1]),
    "polyval, degree 4": lambda x: x.polyval([1, 0, 0, 0, 1]),
    "division": lambda x: x / 2,
    "pack of itself": lambda x: type(x).pack_vectors([x, x]),
    "pack of one": lambda x: type(x).pack_vectors([x]),
    "pack of a list": lambda x: type(x).pack_vectors([x, [1.0]]),
    "row 0": lambda x: x[0],
    "row 5": lambda x: x[5],
    "row -1": lambda x: x[-1],
    "slice": lambda x: x[0:1],
    "two slices": lambda x: x[0:1, 0:1],
    "slice with a step": lambda x: x[0:2:2],
    "a word for an index": lambda x: x["a"],
    "x + x * x": lambda x: x + x * x,
    "x * x - x": lambda x: x * x - x,
    "(x * x) * x": lambda x: (x * x) * x,
    "x * x + 1": lambda x: x * x + 1,
    "x * x * 2": lambda x: x * x * 2,
    "x * 2 * 2": lambda x: x * 2 * 2,
    "x * 2 + 1": lambda x: x * 2 + 1,
    "x * 2 + x": lambda x: x * 2 + x,
    "x * 0": lambda x: x * 0,
    "x * 0 + 1": lambda x: x * 0 + 1,
    "x - x": lambda x: x - x,
    "x * 2 + x * x": lambda x: x * 2 + x * x,
}


def operands() -> dict[str, Any]:
    return {**PLAIN_OPERANDS, **OWN_OPERANDS}


def unary(kind: str, at: str, operation: Callable[[Any], Any], switches: Switches = ON) -> Call:
    """The operation on an object in a state."""
    return lambda w: operation(w.state(kind, at, switches))


def binary(
    kind: str, at: str, operation: Callable[[Any, Any], Any], value: Any, switches: Switches = ON
) -> Call:
    """The operation on an object in a state and an operand."""
    return lambda w: operation(w.state(kind, at, switches), w.foreign(value))


def given(operation: Callable[[World, Any], Any], value: Any) -> Call:
    """What is made of an operand."""
    return lambda w: operation(w, w.foreign(value))


def on_copy(kind: str, operation: Callable[[Any], Any]) -> Call:
    return lambda w: operation(w.copied(kind))


def of_operands() -> Named:
    """Fresh objects with every operand."""
    for kind in STATES:
        methods = {**BINARY, **MATRIX, **WITH_ARGUMENT, **(VECTOR_ONLY if "vector" in kind else TENSOR_ONLY)}
        for name, operation in methods.items():
            for operand, value in operands().items():
                yield f"{kind}, {name}: {operand}", binary(kind, "fresh", operation, value)


# The operations and operands that every state and every position of the switches is tried with.
FEW_METHODS = {name: BINARY[name] for name in ("add", "sub_", "*", "r-", "dot")} | {"mm": MATRIX["mm"]}
FEW_OPERANDS = [
    "2",
    "three reals",
    "[1, 2]",
    "vector of three",
    "vector of one",
    "product",
    "tensor of two",
    "3 x 2",
]
FEW_OPERANDS += ["tensor product", "lazy vector", "bfv vector of three", "bfv tensor of two", "2 x 2"]
FEWER_OPERANDS = ("2", "three reals", "vector of three", "vector of one", "product", "tensor product")


def of_states() -> Named:
    """Every state, with all that takes no operand and some that does."""
    for kind, states in STATES.items():
        for at in states:
            for name, operation in UNARY.items():
                yield f"{kind} {at}, {name}", unary(kind, at, operation)
            for name, combination in FEW_METHODS.items():
                for operand in FEW_OPERANDS:
                    value = operands()[operand]
                    yield f"{kind} {at}, {name}: {operand}", binary(kind, at, combination, value)


def of_switches() -> Named:
    """Some states with automatic steps turned off."""
    for switches in TURNED:
        for kind in ("vector", "tensor"):
            for at in ("fresh", "row", "product", "product of three", "of one"):
                if at not in STATES[kind]:
                    continue
                place = f"{switches}: {kind} {at}"
                for name, operation in UNARY.items():
                    yield f"{place}, {name}", unary(kind, at, operation, switches)
                for name, combination in FEW_METHODS.items():
                    for operand in FEWER_OPERANDS:
                        value = operands()[operand]
                        yield f"{place}, {name}: {operand}", binary(kind, at, combination, value, switches)


ARGUMENTS: dict[str, Any] = {
    **{
        name: PLAIN_OPERANDS[name]
        for name in (
            "2",
            "0",
            "-0.5",
            "True",
            "1e300",
            "nan",
            "10**400",
            "10**30",
            "None",
            "word",
            "bytes",
            "object",
            "dict",
            "[]",
            "[1, 2]",
            "three reals",
            "ragged",
            "words",
            "2 x 2",
            "cube",
            "array of three",
            "array of ints",
            "float32",
            "int64",
            "0-d array",
        )
    },
    "-1": -1,
    "5": 5,
    "2**32": 2**32,
    "2**64": 2**64,
    "1.5": 1.5,
    "[-1]": [-1],
    "[2, 2]": [2, 2],
    "[4]": [4],
    "[3, 3]": [3, 3],
    "[1.0]": [1.0],
    "[1, 2, 2]": [1, 2, 2],
    "vector": lambda w: w.vector(),
    "context": lambda w: w.whole,
    "secret key": lambda w: w.whole.secret_key(),
    "public key": lambda w: w.whole.public_key(),
    "plain tensor": lambda w: w.ts.plain_tensor(THREE),
}
CONTEXT_METHODS = (
    *(
        "copy",
        "serialize",
        "has_galois_keys",
        "galois_keys",
        "generate_galois_keys",
        "has_relin_keys",
        "relin_keys",
    ),
    *("generate_relin_keys", "has_secret_key", "secret_key", "has_public_key", "public_key", "is_private"),
    *("is_public", "seal_context", "encryptor", "decryptor", "make_context_public"),
)
CONTEXT_PROPERTIES = ("global_scale", "auto_mod_switch", "auto_relin", "auto_rescale", "data")
CONTEXTS = ("whole", "keyless", "public", "symmetric", "unscaled", "bfv")
BIT_SIZES: list[list[Any]] = [
    *([60], [61, 40, 60], [1, 40, 40], [0, 40, 40], [-5, 40, 40], [2, 40, 60], [60, 60, 60, 60], [20] * 6),
    *([20] * 80, [40, 20, 40], [30, 30], [40.5, 20, 40]),
]


def of_contexts() -> Named:
    """Contexts: making, reading, setting."""
    for kind in CONTEXTS:
        for name in CONTEXT_METHODS:
            yield f"context {kind}, {name}", on_copy(kind, partial(lambda name, c: getattr(c, name)(), name))
        for name in CONTEXT_PROPERTIES:
            yield f"context {kind}, {name}", on_copy(kind, partial(lambda name, c: getattr(c, name), name))
    for name in CONTEXT_PROPERTIES:
        for argument, value in ARGUMENTS.items():
            change = setter(name)
            yield (
                f"context, set {name}: {argument}",
                given(partial(lambda o, w, v: o(w.copied("small"), v), change), value),
            )
    for name in ("generate_galois_keys", "generate_relin_keys", "make_context_public", "serialize"):
        for argument, value in ARGUMENTS.items():
            call = method(name)
            yield (
                f"context, {name} of: {argument}",
                given(partial(lambda o, w, v: o(w.copied("small"), v), call), value),
            )
    yield from _of_context_arguments()
    yield "context of nothing", lambda w: w.ts.context()
    yield "BFV context without modulus", lambda w: w.ts.context(w.ts.SCHEME_TYPE.BFV, 8192)
    yield "context of scheme NONE", lambda w: w.ts.context(w.ts.SCHEME_TYPE.NONE, 8192)


def _of_context_arguments() -> Named:
    parts = {"CKKS": ["scheme", "encryption_type", "data"], "BFV": []}
    for scheme, more in parts.items():
        for part in ("poly_modulus_degree", "plain_modulus", "coeff_mod_bit_sizes", *more):
            for argument, value in ARGUMENTS.items():
                make = partial(lambda s, p, w, v: w.made(s, p, v), scheme, part)
                yield f"new {scheme} context, {part}: {argument}", given(make, value)
        for bits in BIT_SIZES:
            yield (
                f"new {scheme} context of {bits[:8]}",
                given(partial(lambda s, w, v: w.made(s, "coeff_mod_bit_sizes", v), scheme), bits),
            )
        for degree in (0, 1, 2, 1000, 1024, 2048, 4096, 65536, 131072, -4096):
            for bits in ([], [40, 20, 40]):
                yield (
                    f"new {scheme} context of degree {degree} and {bits}",
                    given(partial(lambda s, b, w, v: w.of_degree(s, v, b), scheme, bits), degree),
                )
    for modulus in (0, 1, 2, 1024, 65537, 1032193, 2**61, -5):
        yield (
            f"new BFV context of modulus {modulus}",
            given(lambda w, v: w.made("BFV", "plain_modulus", v), modulus),
        )
    for argument, value in ARGUMENTS.items():
        yield f"context_from: {argument}", given(lambda w, v: w.ts.context_from(v), value)
        yield (
            f"context_from, threads: {argument}",
            given(lambda w, v: w.ts.context_from(w.small_bytes, v), value),
        )


PLAIN_METHODS: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: method(name)
        for name in ("at", "batch", "reshape", "reshape_", "broadcast", "broadcast_", "load")
    },
    "set dtype": setter("dtype"),
    "set data": setter("data"),
    "load, dtype": lambda p, y: p.load(b"[1.0]", y),
}


def of_plain_tensors() -> Named:
    for argument, value in ARGUMENTS.items():
        for dtype in ("float", "int", "double", None):
            yield (
                f"plain tensor, {dtype}: {argument}",
                given(partial(lambda d, w, v: w.ts.plain_tensor(v, dtype=d), dtype), value),
            )
        yield f"plain tensor, shape: {argument}", given(lambda w, v: w.ts.plain_tensor(THREE, v), value)
        for name, operation in PLAIN_METHODS.items():
            for shape in (THREE, SQUARE):
                yield (
                    f"plain tensor {np.shape(shape)}, {name}: {argument}",
                    given(partial(lambda o, s, w, v: o(w.ts.plain_tensor(s), v), operation, shape), value),
                )
    for data in (b"", b"abc", b"[", b"[1.0]", b"[1,2]", b'["a"]', b"[[1],[2,3]]", b"{}", b"1"):
        for dtype in ("float", "int", "double"):
            yield (
                f"plain_tensor_from {data!r}, {dtype}",
                given(partial(lambda d, w, v: w.ts.plain_tensor_from(v, d), dtype), data),
            )
    yield "length of a number", lambda w: len(w.ts.plain_tensor(2.0))
    yield "size of a number", lambda w: w.ts.plain_tensor(2.0).size()


MAKERS = ("ckks_vector", "ckks_tensor", "bfv_vector", "bfv_tensor")
BROKEN: dict[str, Callable[[World], bytes]] = {
    "nothing": lambda w: b"",
    "abc": lambda w: b"abc",
    "a context": lambda w: w.small_bytes,
    "a vector": lambda w: w.vector().serialize(),
    "a tensor": lambda w: w.tensor().serialize(),
    "a BFV vector": lambda w: w.ts.bfv_vector(w.bfv, WHOLE).serialize(),
    "half a vector": lambda w: w.vector().serialize()[:1000],
    "a vector of a stranger": lambda w: w.vector(context=w.stranger).serialize(),
}


def of_makers() -> Named:
    """Encryption and reading."""
    for maker in MAKERS:
        for argument, value in {**operands(), **ARGUMENTS}.items():
            make = partial(lambda m, w, v: getattr(w.ts, m)(w.home(m), v), maker)
            yield f"{maker}: {argument}", given(make, value)
            under = partial(lambda m, w, v: getattr(w.ts, m)(v, [1, 2]), maker)
            yield f"{maker}, context: {argument}", given(under, value)
            read = partial(lambda m, w, v: getattr(w.ts, m + "_from")(w.home(m), v), maker)
            yield f"{maker}_from, bytes: {argument}", given(read, value)
            read_under = partial(lambda m, w, v: getattr(w.ts, m + "_from")(v, b""), maker)
            yield f"{maker}_from, context: {argument}", given(read_under, value)
            if maker.startswith("ckks"):
                scaled = partial(lambda m, w, v: getattr(w.ts, m)(w.home(m), [1, 2], v), maker)
                yield f"{maker}, scale: {argument}", given(scaled, value)
            if maker.endswith("tensor"):
                batch = partial(lambda m, w, v: getattr(w.ts, m)(w.home(m), v, batch=True), maker)
                yield f"{maker}, batch: {argument}", given(batch, value)
        for kind in CONTEXTS:
            yield (
                f"{maker} under {kind}",
                given(partial(lambda m, w, v: getattr(w.ts, m)(w.context_of(v), [1, 2]), maker), kind),
            )
        for name, data in BROKEN.items():
            read = partial(lambda m, w, v: getattr(w.ts, m + "_from")(w.home(m), v), maker)
            yield f"{maker}_from {name}", given(read, data)
            lazy = partial(lambda m, w, v: getattr(w.ts, f"lazy_{m}_from")(v).link_context(w.home(m)), maker)
            yield f"lazy_{maker}_from {name}", given(lazy, data)
    for scale in (2.0**20, 2.0**200, 1e-300, 0.0, -1.0, 2.0**100):
        yield f"ckks_vector at scale {scale}", given(lambda w, v: w.vector([1.0], scale=v), scale)
        yield f"ckks_tensor at scale {scale}", given(lambda w, v: w.tensor([1.0], scale=v), scale)
    for name, data in BROKEN.items():
        yield f"context_from {name}", given(lambda w, v: w.ts.context_from(v), data)


def of_encodings() -> Named:
    for argument, value in {**operands(), **ARGUMENTS}.items():
        yield (
            f"im2col_encoding: {argument}",
            given(lambda w, v: w.ts.im2col_encoding(w.whole, v, 2, 2, 1), value),
        )
        yield (
            f"im2col_encoding, context: {argument}",
            given(lambda w, v: w.ts.im2col_encoding(v, SQUARE, 1, 1, 1), value),
        )
        yield (
            f"enc_matmul_encoding: {argument}",
            given(lambda w, v: w.ts.enc_matmul_encoding(w.whole, v), value),
        )
    for argument, value in ARGUMENTS.items():
        for at in range(3):
            encode = partial(
                lambda a, w, v: w.ts.im2col_encoding(
                    w.whole, SQUARE, *(v if i == a else 1 for i in range(3))
                ),
                at,
            )
            yield f"im2col_encoding, size {at}: {argument}", given(encode, value)
        four = [1.0, 2.0, 3.0, 4.0]
        yield (
            f"conv2d_im2col, windows: {argument}",
            given(partial(lambda x, w, v: w.vector(x).conv2d_im2col([[1.0]], v), four), value),
        )
        yield (
            f"enc_matmul_plain, rows: {argument}",
            given(partial(lambda x, w, v: w.vector(x).enc_matmul_plain([1.0], v), four), value),
        )


def calls() -> Named:
    """All calls by name."""
    for family in (
        of_contexts,
        of_plain_tensors,
        of_makers,
        of_encodings,
        of_operands,
        of_states,
        of_switches,
    ):
        yield from family()
