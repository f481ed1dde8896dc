"""Contractions: matmul, bmm, einsum and attention.

With one fixed factor a contraction is affine. With two encrypted factors it is a replication (affine), a product of
elements, and a sum (affine).
"""

from __future__ import annotations

import math
import string
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.affine import rows_times
from hetorch.compiler.frontend.operations.builder import Builder, Handler, expanded, plus_constant
from hetorch.compiler.frontend.operations.call import Array, Call, Shape, Symbol, as_array
from hetorch.compiler.frontend.operations.normalisation import softmax_of

Labels = tuple[str, ...]


def contract(
    builder: Builder,
    call: Call,
    operands: Sequence[Any],
    labels: Sequence[Labels],
    output: Labels,
    shape: Shape,
) -> Symbol:
    """Return the product of one or two operands, summed over the labels that are not in `output` (einsum's notation).

    `labels` has the label of each axis of each operand; an axis of length 1 is broadcast. `shape` is that of the result
    as torch sees it.
    """
    sizes: dict[str, int] = {}
    for operand, names in zip(operands, labels, strict=True):
        for name, length in zip(names, operand.shape, strict=True):
            sizes[name] = max(sizes.get(name, 1), int(length))
    inner = tuple(sorted(set(sizes) - set(output)))
    space = [sizes[name] for name in (*output, *inner)]
    coordinates = dict(zip((*output, *inner), np.indices(space, sparse=True), strict=True))

    def index(operand: Any, names: Labels) -> NDArray[np.int64]:
        flat: Any = np.zeros((1,) * len(space), dtype=np.int64)
        for name, length in zip(names, operand.shape, strict=True):
            flat = flat * int(length) + (coordinates[name] if length > 1 else 0)
        return np.broadcast_to(flat, space)

    def summed(source: Symbol, at: NDArray[np.int64], values: Array) -> Symbol:
        matrix = matrices.contraction(space, len(output), at, values, source.size)
        return builder.affine(source, matrix, None, call, shape)

    places = [index(operand, names) for operand, names in zip(operands, labels, strict=True)]
    fixed = np.ones(space)
    encrypted: list[tuple[Symbol, NDArray[np.int64]]] = []
    for operand, at in zip(operands, places, strict=True):
        if isinstance(operand, Symbol):
            encrypted.append((operand, at))
        else:
            fixed = fixed * as_array(operand).reshape(-1)[at]
    if len(encrypted) == 1:
        return summed(*encrypted[0], fixed)
    a, b = (builder.move(source, np.ascontiguousarray(at), call) for source, at in encrypted)
    product = builder.multiply(a, b, call)
    if not inner:
        return Symbol(product.value, shape)
    return summed(product, np.arange(product.size, dtype=np.int64).reshape(space), fixed)


def matrix_product(builder: Builder, call: Call, a: Any, b: Any, shape: Shape) -> Symbol:
    """Return torch.matmul(a, b), where at least one operand is encrypted."""
    left, right = len(a.shape), len(b.shape)
    if isinstance(a, Symbol) and not isinstance(b, Symbol) and right == 2:
        return rows_times(builder, call, a, as_array(b).T, None, shape=shape)
    batch = tuple(string.ascii_uppercase[: max(left, right, 2) - 2])
    first: Labels = (*batch[len(batch) - (left - 2) :], "i", "k") if left > 1 else ("k",)
    second: Labels = (*batch[len(batch) - (right - 2) :], "k", "j") if right > 1 else ("k",)
    output = (*batch, *(("i",) if left > 1 else ()), *(("j",) if right > 1 else ()))
    return contract(builder, call, (a, b), (first, second), output, shape)


def _matmul(builder: Builder, call: Call) -> Symbol:
    second = next(name for name in ("other", "mat2", "tensor", "vec") if name in call.arguments)
    return matrix_product(builder, call, call["self"], call[second], call.shape)


def _baddbmm(builder: Builder, call: Call) -> Symbol:
    factors = call["batch1"], call["batch2"]
    if isinstance(call["self"], Symbol):
        first = builder.scale(expanded(builder, call["self"], call.shape, call), float(call["beta"]), call)
        if not any(isinstance(factor, Symbol) for factor in factors):
            offset: Array = float(call["alpha"]) * (as_array(factors[0]) @ as_array(factors[1]))
            return plus_constant(builder, call, first, offset.reshape(-1))
        second = matrix_product(builder, call, *factors, call.shape)
        return builder.add(first, builder.scale(second, float(call["alpha"]), call), call)
    product = matrix_product(builder, call, *factors, call.shape)
    bias = np.broadcast_to(as_array(call["self"]) * float(call["beta"]), call.shape)
    index = np.arange(product.size, dtype=np.int64).reshape(call.shape)
    return builder.move(product, index, call, float(call["alpha"]), bias.reshape(-1))


def _einsum(builder: Builder, call: Call) -> Symbol:
    terms, result = _equation(call)
    operands = list(call["tensors"])
    # Several operands are joined from left to right; a label stays while the result or a later operand needs it.
    while len(operands) > 2:
        later = set(result).union(*terms[2:])
        both = tuple(dict.fromkeys((*terms[0], *terms[1])))
        kept = tuple(label for label in both if label in later)
        if any(isinstance(operand, Symbol) for operand in operands[:2]):
            sizes = {
                label: int(length)
                for operand, names in zip(operands[:2], terms[:2], strict=True)
                for label, length in zip(names, operand.shape, strict=True)
            }
            shape = tuple(sizes[label] for label in kept)
            joined: Any = contract(builder, call, operands[:2], terms[:2], kept, shape)
        else:
            equation = ",".join("".join(term) for term in terms[:2]) + "->" + "".join(kept)
            joined = np.einsum(equation, *(as_array(operand) for operand in operands[:2]))
        operands, terms = [joined, *operands[2:]], [kept, *terms[2:]]
    return contract(builder, call, operands, terms, result, call.shape)


def _equation(call: Call) -> tuple[list[Labels], Labels]:
    """Return the labels of each operand and of the result. An ellipsis becomes capital letters that are not in use."""
    text = str(call["equation"]).replace(" ", "")
    left, arrow, right = text.partition("->")
    parts = left.split(",")
    free = [letter for letter in string.ascii_uppercase if letter not in text]
    ranks = [
        len(operand.shape) - len(part.replace("...", ""))
        for part, operand in zip(parts, call["tensors"], strict=True)
        if "..." in part
    ]
    longest = max(ranks, default=0)
    hidden = "".join(free[:longest])
    terms = []
    for part, operand in zip(parts, call["tensors"], strict=True):
        rank = len(operand.shape) - len(part.replace("...", ""))
        terms.append(tuple(part.replace("...", hidden[longest - rank :] if rank else "")))
    if arrow:
        return terms, tuple(right.replace("...", hidden))
    once = sorted(letter for letter in set(left) - {",", "."} if left.count(letter) == 1)
    return terms, (*hidden, *once)


def _bilinear(builder: Builder, call: Call) -> Symbol:
    """Return sum_ij a_i W_oij b_j + c_o along the last axis."""
    first, second, weight = call["input1"], call["input2"], call.constant("weight")
    assert weight is not None
    lead = tuple(string.ascii_uppercase[: len(call.shape) - 1])
    half_shape = (*call.shape, weight.shape[2])
    labels = [(*lead, "i"), ("o", "i", "j")]
    weights = torch.from_numpy(weight)
    if isinstance(first, Symbol):
        half: Any = contract(builder, call, (first, weights), labels, (*lead, "o", "j"), half_shape)
    else:
        half = torch.einsum("...i,oij->...oj", torch.from_numpy(as_array(first)), weights)
    out = contract(builder, call, (half, second), [(*lead, "o", "j"), (*lead, "j")], (*lead, "o"), call.shape)
    bias = call.constant("bias")
    return (
        out if bias is None else plus_constant(builder, call, out, np.tile(bias, math.prod(call.shape[:-1])))
    )


def _product_of(builder: Builder, call: Call) -> Symbol:
    """Return the product along an axis, in a tree of ceil(log2(length)) levels."""
    source = call.symbol("self")
    axes = call.reduced_axes("dim", source.shape)
    numbers = np.moveaxis(np.arange(source.size, dtype=np.int64).reshape(source.shape), axes[0], -1)
    while numbers.shape[-1] > 1:
        half = numbers.shape[-1] // 2
        a, b = (
            builder.move(source, np.ascontiguousarray(part), call)
            for part in (numbers[..., :half], numbers[..., half : 2 * half])
        )
        product, left = builder.multiply(a, b, call), numbers[..., 2 * half :]
        if left.size:
            places = np.full((*left.shape[:-1], half + 1), -1, dtype=np.int64)
            products, kept = places.copy(), places.copy()
            products[..., :half] = np.arange(product.size).reshape(product.shape)
            kept[..., half:] = left
            product = builder.add(
                builder.move(product, products, call), builder.move(source, kept, call), call
            )
        source = product
        numbers = np.arange(source.size, dtype=np.int64).reshape(source.shape)
    return builder.move(source, numbers.reshape(call.shape), call)


def _attention(builder: Builder, call: Call) -> Symbol:
    query, key, value = call["query"], call["key"], call["value"]
    if call.arguments.get("enable_gqa"):
        raise call.unsupported("grouped queries", "repeat the keys and values first")
    lead = np.broadcast_shapes(query.shape[:-2], key.shape[:-2])
    length, source = query.shape[-2], key.shape[-2]
    letters = tuple(string.ascii_uppercase[: len(lead)])
    scores = contract(
        builder,
        call,
        (query, key),
        (
            (*letters[len(lead) - len(query.shape) + 2 :], "i", "k"),
            (*letters[len(lead) - len(key.shape) + 2 :], "j", "k"),
        ),
        (*letters, "i", "j"),
        (*lead, length, source),
    )
    scale = call.arguments.get("scale")
    scores = builder.scale(scores, 1 / math.sqrt(query.shape[-1]) if scale is None else float(scale), call)
    mask: Array | None = None
    given_mask = call.arguments.get("attn_mask")
    if call.arguments.get("is_causal"):
        mask = np.where(np.tril(np.ones((length, source))) > 0, 0.0, -np.inf)
    elif isinstance(given_mask, Symbol):
        raise call.unsupported("the mask depends on the input", "only fixed masks work")
    elif given_mask is not None:
        numbers = as_array(given_mask)
        mask = np.where(numbers > 0, 0.0, -np.inf) if str(given_mask.dtype) == "torch.bool" else numbers
    weights = softmax_of(builder, call, scores, len(scores.shape) - 1, mask=mask)
    return matrix_product(builder, call, weights, value, call.shape)


PRODUCT: Mapping[str, Handler] = MappingProxyType(
    {
        **dict.fromkeys(("matmul", "mm", "bmm", "mv", "dot"), _matmul),
        "baddbmm": _baddbmm,
        "bilinear": _bilinear,
        "prod": _product_of,
        "einsum": _einsum,
        "scaled_dot_product_attention": _attention,
    }
)
