from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.ir.tensor_program import Add, Affine, Chebyshev, Multiply, TensorProgram
from hetorch.ir.value_groups import value_groups


def affine(source: int) -> Affine:
    return Affine(source, sparse.csr_array(np.eye(4)), np.zeros(4), (4,), "map", "Linear")


def test_element_wise_operations_join_values_and_maps_part_them() -> None:
    program = TensorProgram(
        (4,),
        (affine(0), Multiply(1, 1, (4,), "square"), affine(0), Add(2, 3, (4,), "sum"), affine(4)),
        5,
        (4,),
    )
    assert value_groups(program) == [0, 1, 1, 1, 1, 5]


def test_a_group_is_named_by_its_lowest_value() -> None:
    program = TensorProgram(
        (4,), (affine(0), Chebyshev(0, (0.0, 1.0), (4,), "f", "f"), Add(1, 2, (4,), "sum")), 3, (4,)
    )
    assert value_groups(program) == [0, 0, 0, 0]
