from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from hetorch.compiler.activations.interval_bounds import Interval, bounds_after
from hetorch.ir.interpreter import trace_tensor_program
from hetorch.ir.tensor_program import Activation, Add, Affine, Chebyshev, Multiply, TensorOp, TensorProgram


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**31))
def test_no_value_leaves_its_interval(seed: int) -> None:
    random = np.random.default_rng(seed)
    operations: list[TensorOp] = []
    for index in range(6):
        a, b = (int(random.integers(0, index + 1)) for _ in range(2))
        kind = int(random.integers(0, 5))
        if kind == 0:
            matrix = sparse.csr_array(random.normal(size=(4, 4)) * (random.random((4, 4)) < 0.6))
            operations.append(Affine(a, matrix, random.normal(size=4), (4,), "w", "linear"))
        elif kind == 1:
            operations.append(Add(a, b, (4,), "add"))
        elif kind == 2:
            operations.append(Multiply(a, b, (4,), "mul"))
        elif kind == 3:
            operations.append(Chebyshev(a, tuple(random.normal(size=5)), (4,), "p", "p"))
        else:
            operations.append(Activation(a, "tanh", (), (4,), "tanh"))
    program = TensorProgram((4,), tuple(operations), 6, (4,))
    low = random.normal(size=4)
    bounds = [Interval(low, low + random.random(4))]
    for op in operations:
        bounds.append(bounds_after(op, bounds))
    share = random.random((300, 4))
    values = trace_tensor_program(program, bounds[0].low + share * (bounds[0].high - bounds[0].low))
    for value, bound in zip(values, bounds, strict=True):
        slack = 1e-9 * (1 + np.abs(value).max())
        assert np.all(value >= bound.low - slack) and np.all(value <= bound.high + slack)


def test_an_affine_map_reaches_its_bounds() -> None:
    matrix = sparse.csr_array(np.array([[1.0, -2.0], [0.5, 0.0]]))
    bound = bounds_after(
        Affine(0, matrix, np.array([1.0, 0.0]), (2,), "w", "linear"), [Interval(-np.ones(2), np.ones(2) * 3)]
    )
    np.testing.assert_allclose(bound.low, [-6.0, -0.5])
    np.testing.assert_allclose(bound.high, [6.0, 1.5])
