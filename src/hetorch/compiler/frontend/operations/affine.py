"""Affine operations other than convolutions and movements: each becomes one sparse matrix and a bias."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
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

    def results(units: torch.Tensor) -> torch.Tensor:
        moved = [call.target(**{**call.arguments, name: unit.reshape(source.shape)}) for unit in units]
        return torch.stack(moved)

    return builder.affine(source, _probed(results, source.size, math.prod(call.shape)), None, call)


def channel_by_probing(builder: Builder, call: Call) -> Symbol:
    """Return the result of a linear operation that treats each channel alike and by itself, such as a resizing: the
    unit vectors of one channel tell the matrix of all."""
    name, source = next((n, v) for n, v in call.arguments.items() if isinstance(v, Symbol))
    channels, size = source.shape[:2], source.shape[2:]

    def results(units: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(call.target(**{**call.arguments, name: units.reshape(-1, 1, *size)}))

    plane = _probed(results, math.prod(size), math.prod(call.shape[2:]))
    return builder.affine(source, matrices.repeated(plane, math.prod(channels)), None, call)


def _probed(results: Callable[[torch.Tensor], torch.Tensor], columns: int, rows: int) -> sparse.csr_array:
    """Return the matrix of a linear function, (rows, columns).

    `results`: its results, (n, ...), on float64 vectors, (n, columns).
    """
    step = max(1, PROBE_ELEMENTS // max(rows, columns))
    parts = []
    for begin in range(0, columns, step):
        places = torch.arange(begin, min(begin + step, columns))
        units = torch.zeros(len(places), columns, dtype=torch.float64)
        units[torch.arange(len(places)), places] = 1.0
        parts.append(sparse.csr_array(results(units).reshape(len(places), -1).numpy()))
    matrix = sparse.csr_array(sparse.vstack(parts).T.tocsr())
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


LINEAR = frozenset({"cumsum", "col2im", "trace", "diff"})
"""Linear operations whose matrices are found by probing."""

RESIZING = frozenset(
    {
        "upsample_linear1d", "upsample_bilinear2d", "upsample_trilinear3d", "upsample_bicubic2d",
        "_upsample_bilinear2d_aa", "_upsample_bicubic2d_aa",
    }
)  # fmt: skip
"""Those that treat each channel alike and by itself; they take (batch, channels, ...)."""

AFFINE: Mapping[str, Handler] = MappingProxyType(
    {
        "linear": _linear,
        "addmm": _addmm,
        "batch_norm": batch_norm,
        "mean": _reduce,
        "sum": _reduce,
    }
    | dict.fromkeys(LINEAR, linear_by_probing)
    | dict.fromkeys(RESIZING, channel_by_probing)
)
