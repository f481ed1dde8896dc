"""Affine operations other than convolutions and movements: each becomes one sparse matrix and a bias."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import torch
from scipy import sparse

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import Builder, Handler
from hetorch.compiler.frontend.operations.call import Array, Call, Symbol

PROBE_ELEMENTS = 1 << 22
"""Elements that one batch of unit vectors may hold while an operation is probed; a higher limit takes more memory."""


def _linear(builder: Builder, call: Call) -> Symbol:
    weight = call.constant("weight")
    assert weight is not None
    return rows_times(builder, call, call.symbol("input"), weight, call.constant("bias"))


def _addmm(builder: Builder, call: Call) -> Symbol:
    weight, bias = call.constant("mat2"), call.constant("self")
    assert weight is not None and bias is not None
    offset = np.broadcast_to(bias * float(call["beta"]), call.shape).reshape(-1)
    return rows_times(builder, call, call.symbol("mat1"), weight.T * float(call["alpha"]), None, offset)


def rows_times(
    builder: Builder,
    call: Call,
    source: Symbol,
    weight: Array,
    bias: Array | None,
    offset: Array | None = None,
    shape: tuple[int, ...] | None = None,
) -> Symbol:
    """Return x @ weight.T + bias along the last axis of `source`, for every index of the axes before it.

    `offset`, of the size of the result, stands in place of `bias` where it differs from row to row.
    """
    lead = math.prod(source.shape[:-1])
    call.check_memory(lead * int(np.count_nonzero(weight)))
    matrix = matrices.repeated(matrices.dense(weight.reshape(-1, weight.shape[-1])), lead)
    whole = offset if bias is None else np.tile(bias.reshape(-1), lead)
    return builder.affine(source, matrix, whole, call, shape)


def batch_norm(builder: Builder, call: Call) -> Symbol:
    """Normalise by the running statistics; a Refusal if there are none."""
    source = call.symbol("input")
    mean, variance = call.constant("running_mean"), call.constant("running_var")
    if call.arguments.get("training") or mean is None or variance is None:
        raise call.unsupported("it has no running statistics", "use track_running_stats=True")
    factor = 1.0 / np.sqrt(variance + float(call["eps"]))
    weight, bias = call.constant("weight"), call.constant("bias")
    if weight is not None:
        factor = factor * weight
    offset = -mean * factor if bias is None else bias - mean * factor
    repeat, samples = math.prod(source.shape[2:]), source.shape[0]
    matrix = matrices.diagonal(np.tile(np.repeat(factor, repeat), samples))
    return builder.affine(source, matrix, np.tile(np.repeat(offset, repeat), samples), call, source.shape)


def _reduce(builder: Builder, call: Call) -> Symbol:
    source = call.symbol("self")
    axes = call.reduced_axes("dim", source.shape)
    matrix = matrices.reduction(source.shape, axes, mean=call.op == "mean")
    return builder.affine(source, matrix, None, call)


def linear_by_probing(builder: Builder, call: Call) -> Symbol:
    """Return the result of any linear operation. The columns of its matrix are its results on the unit vectors."""
    name, source = next((n, v) for n, v in call.arguments.items() if isinstance(v, Symbol))
    step = max(1, PROBE_ELEMENTS // max(source.size, math.prod(call.shape)))
    columns = []
    for begin in range(0, source.size, step):
        for unit in torch.eye(source.size, dtype=torch.float64)[begin : begin + step]:
            moved = call.target(**{**call.arguments, name: unit.reshape(source.shape)})
            columns.append(sparse.csr_array(moved.numpy().reshape(1, -1)))
    matrix = sparse.csr_array(sparse.vstack(columns).T.tocsr())
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return builder.affine(source, matrix, None, call)


LINEAR = frozenset(
    {
        "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d", "cumsum", "col2im",
        "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa", "trace", "diff",
    }
)  # fmt: skip
"""Linear operations whose matrices are found by probing."""

AFFINE: Mapping[str, Handler] = MappingProxyType(
    {
        "linear": _linear,
        "addmm": _addmm,
        "batch_norm": batch_norm,
        "mean": _reduce,
        "sum": _reduce,
    }
    | dict.fromkeys(LINEAR, linear_by_probing)
)
