"""Recurrent cells, and recurrent layers unrolled over their steps."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from hetorch.compiler.frontend.operations import matrices
from hetorch.compiler.frontend.operations.builder import Builder, Handler, plus_constant
from hetorch.compiler.frontend.operations.call import Call, Shape, Symbol, as_array

State = Any
"""A hidden state: a Symbol if it is encrypted, else a constant tensor."""


def _project(builder: Builder, call: Call, part: State, weight: Any, bias: Any, lead: int) -> Any:
    """Return part @ weight.T + bias of shape (lead, rows): a Symbol, or an array if `part` is fixed."""
    matrix = as_array(weight)
    offset = np.zeros(matrix.shape[0]) if bias is None else as_array(bias)
    if not isinstance(part, Symbol):
        return np.asarray(as_array(part).reshape(lead, -1) @ matrix.T + offset)
    whole = matrices.repeated(matrices.dense(matrix), lead)
    return builder.affine(part, whole, np.tile(offset, lead), call, (lead, matrix.shape[0]))


def _piece(builder: Builder, call: Call, gates: Any, number: int, count: int) -> Any:
    size = gates.shape[1] // count
    if not isinstance(gates, Symbol):
        return gates[:, number * size : (number + 1) * size]
    index = np.arange(gates.size, dtype=np.int64).reshape(gates.shape)
    return builder.move(gates, np.ascontiguousarray(index[:, number * size : (number + 1) * size]), call)


def _plus(builder: Builder, call: Call, a: Any, b: Any) -> Any:
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        return builder.add(a, b, call)
    if isinstance(a, Symbol):
        return plus_constant(builder, call, a, np.asarray(b, dtype=np.float64).reshape(-1))
    return _plus(builder, call, b, a) if isinstance(b, Symbol) else a + b


def _times(builder: Builder, call: Call, a: Any, b: Any) -> Any:
    if isinstance(a, Symbol) and isinstance(b, Symbol):
        return builder.multiply(a, b, call)
    if isinstance(a, Symbol):
        index = np.arange(a.size, dtype=np.int64).reshape(a.shape)
        return builder.move(a, index, call, np.asarray(b, dtype=np.float64).reshape(-1))
    return _times(builder, call, b, a) if isinstance(b, Symbol) else a * b


def _negative(builder: Builder, call: Call, a: Any) -> Any:
    return builder.scale(a, -1.0, call) if isinstance(a, Symbol) else -a


def _gru_step(builder: Builder, call: Call, x: Symbol, h: State, weights: Sequence[Any]) -> Symbol:
    w_ih, w_hh, b_ih, b_hh = weights
    lead = x.size // as_array(w_ih).shape[1]
    inner, outer = _project(builder, call, x, w_ih, b_ih, lead), _project(builder, call, h, w_hh, b_hh, lead)

    def joined(number: int) -> Symbol:
        parts = [_piece(builder, call, gates, number, 3) for gates in (inner, outer)]
        total: Symbol = _plus(builder, call, *parts)
        return total

    reset, update = (builder.activation(joined(number), "sigmoid", (), call) for number in (0, 1))
    memory = _times(builder, call, reset, _piece(builder, call, outer, 2, 3))
    new = builder.activation(
        _plus(builder, call, _piece(builder, call, inner, 2, 3), memory), "tanh", (), call
    )
    state = h if isinstance(h, Symbol) else as_array(h).reshape(new.shape)
    if isinstance(state, Symbol):
        state = Symbol(state.value, new.shape)
    # (1 - z) n + z h = n + z (h - n)
    difference = _plus(builder, call, _negative(builder, call, new), state)
    result: Symbol = _plus(builder, call, new, _times(builder, call, update, difference))
    return result


def _lstm_step(
    builder: Builder, call: Call, x: Symbol, h: State, c: State, weights: Sequence[Any]
) -> tuple[Symbol, Symbol]:
    w_ih, w_hh, b_ih, b_hh = weights
    lead = x.size // as_array(w_ih).shape[1]
    gates = _plus(
        builder,
        call,
        _project(builder, call, x, w_ih, b_ih, lead),
        _project(builder, call, h, w_hh, b_hh, lead),
    )
    names = ("sigmoid", "sigmoid", "tanh", "sigmoid")
    let_in, forget, new, out = (
        builder.activation(_piece(builder, call, gates, number, 4), name, (), call)
        for number, name in enumerate(names)
    )
    state = Symbol(c.value, new.shape) if isinstance(c, Symbol) else as_array(c).reshape(new.shape)
    cell = _plus(builder, call, _times(builder, call, let_in, new), _times(builder, call, forget, state))
    return builder.multiply(out, builder.activation(cell, "tanh", (), call), call), cell


def _gru_cell(builder: Builder, call: Call) -> Symbol:
    weights = [call[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    return Symbol(_gru_step(builder, call, _encrypted(call), call["hx"], weights).value, call.shape)


def _lstm_cell(builder: Builder, call: Call) -> tuple[Symbol, Symbol]:
    weights = [call[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    hidden, cell = call["hx"]
    h, c = _lstm_step(builder, call, _encrypted(call), hidden, cell, weights)
    return Symbol(h.value, call.shapes[0]), Symbol(c.value, call.shapes[1])


def _rnn_cell(builder: Builder, call: Call) -> Symbol:
    weights = [call[name] for name in ("w_ih", "w_hh", "b_ih", "b_hh")]
    function = call.op.split("_")[1]
    state = _rnn_step(builder, call, _encrypted(call), call["hx"], weights, function)
    return Symbol(state.value, call.shape)


def _rnn_step(
    builder: Builder, call: Call, x: Symbol, h: State, weights: Sequence[Any], function: str
) -> Symbol:
    w_ih, w_hh, b_ih, b_hh = weights
    lead = x.size // as_array(w_ih).shape[1]
    total = _plus(
        builder,
        call,
        _project(builder, call, x, w_ih, b_ih, lead),
        _project(builder, call, h, w_hh, b_hh, lead),
    )
    return builder.activation(total, function, (), call)


def _encrypted(call: Call) -> Symbol:
    return call.symbol("input")


def _layer(builder: Builder, call: Call) -> tuple[Symbol, ...]:
    """Return the outputs of all steps, and the last states, of nn.RNN, nn.GRU or nn.LSTM in one direction or both."""
    source = call.symbol("input")
    lstm = call.op == "lstm"
    parameters, layers, both = list(call["params"]), int(call["num_layers"]), bool(call["bidirectional"])
    biases, batch_first = bool(call["has_biases"]), bool(call["batch_first"])
    start = call["hx"]
    hidden, cells = (start[0], start[1]) if lstm else (start, None)
    if any(isinstance(state, Symbol) for state in (hidden, cells)):
        raise call.unsupported("the first hidden state depends on the input", "begin with zeros")
    axis = 1 if batch_first else 0
    features = source.shape[2]
    numbers = np.moveaxis(np.arange(source.size, dtype=np.int64).reshape(source.shape), axis, 0)
    steps = [builder.move(source, np.ascontiguousarray(at.reshape(-1, features)), call) for at in numbers]
    weights_per_cell, directions = 4 if biases else 2, 2 if both else 1
    last: list[tuple[Symbol, Symbol | None]] = []
    for layer in range(layers):
        sequences: list[list[Symbol]] = []
        for direction in range(directions):
            number = layer * directions + direction
            weights = parameters[number * weights_per_cell : (number + 1) * weights_per_cell]
            weights = weights if biases else [*weights, None, None]
            h: State = as_array(hidden)[number]
            c: State = None if cells is None else as_array(cells)[number]
            outputs: list[Symbol] = []
            for x in steps if direction == 0 else steps[::-1]:
                if lstm:
                    h, c = _lstm_step(builder, call, x, h, c, weights)
                elif call.op == "gru":
                    h = _gru_step(builder, call, x, h, weights)
                else:
                    h = _rnn_step(builder, call, x, h, weights, call.op.split("_")[1])
                outputs.append(h)
            sequences.append(outputs if direction == 0 else outputs[::-1])
            last.append((h, c))
        steps = [_beside(builder, call, parts) for parts in zip(*sequences, strict=True)]
    whole = _gathered(builder, call, steps, lambda parts: np.stack(parts, axis=axis), call.shapes[0])
    states = [_gathered(builder, call, [h for h, _ in last], np.stack, call.shapes[1])]
    if lstm:
        states.append(
            _gathered(builder, call, [c for _, c in last if c is not None], np.stack, call.shapes[2])
        )
    return (whole, *states)


def _beside(builder: Builder, call: Call, parts: Sequence[Symbol]) -> Symbol:
    if len(parts) == 1:
        return parts[0]
    shape = (parts[0].shape[0], sum(part.shape[1] for part in parts))
    return _gathered(builder, call, parts, lambda items: np.concatenate(items, axis=1), shape)


def _gathered(
    builder: Builder, call: Call, parts: Sequence[Symbol], place: Callable[[Any], Any], shape: Shape
) -> Symbol:
    """Join several values into one of `shape`; `place` joins arrays of their shapes in the same way."""
    total: Symbol | None = None
    for part in parts:
        items = [np.full(other.shape, -1, dtype=np.int64) for other in parts]
        position = next(i for i, other in enumerate(parts) if other is part)
        items[position] = np.arange(part.size, dtype=np.int64).reshape(part.shape)
        index = np.ascontiguousarray(place(items)).reshape(shape)
        moved = builder.move(part, index, call)
        total = moved if total is None else builder.add(total, moved, call)
    assert total is not None and total.size == math.prod(shape)
    return Symbol(total.value, shape)


RECURRENT: Mapping[str, Handler] = MappingProxyType(
    {
        "gru_cell": _gru_cell,
        "lstm_cell": _lstm_cell,
        "rnn_tanh_cell": _rnn_cell,
        "rnn_relu_cell": _rnn_cell,
        **dict.fromkeys(("gru", "lstm", "rnn_tanh", "rnn_relu"), _layer),
    }
)
