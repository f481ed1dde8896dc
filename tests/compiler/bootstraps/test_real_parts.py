from __future__ import annotations

import numpy as np
from scipy import sparse

from hetorch.compiler.bootstraps.real_parts import values_with_free_imaginary_parts
from hetorch.ir.tensor_program import Add, Affine, Chebyshev, TensorProgram

SIZE = 4


def affine(source: int) -> Affine:
    return Affine(source, sparse.csr_array(np.eye(SIZE)), np.zeros(SIZE), (SIZE,), f"map{source}", "Linear")


def function(source: int) -> Chebyshev:
    return Chebyshev(source, (0.0, 1.0, 0.0, 0.1), (SIZE,), "f", "f")


def test_sums_and_bootstraps_leave_imaginary_parts_free() -> None:
    """A residual block: the map's result goes into a sum, which a polynomial reads after its bootstrap."""
    operations = (function(0), affine(1), Add(2, 1, (SIZE,), "sum"), function(3), affine(4))
    program = TensorProgram((SIZE,), operations, 5, (SIZE,))
    # The sum is made at level 1 and read at 1 + 2, which takes a bootstrap. A map reads value 1, a sum too.
    assert values_with_free_imaginary_parts(program, (6, 4, 1, 1, 1, 0)) == {2, 3}
    # At level 3 the polynomial reads the sum as it is.
    assert values_with_free_imaginary_parts(program, (8, 6, 5, 3, 1, 0)) == frozenset()


def test_a_value_that_is_also_read_as_it_is_stays_real() -> None:
    """After a bootstrap by one polynomial, as it is by a map at a low level."""
    operations = (affine(0), function(1), affine(1), Add(2, 3, (SIZE,), "sum"))
    program = TensorProgram((SIZE,), operations, 4, (SIZE,))
    assert 1 not in values_with_free_imaginary_parts(program, (4, 3, 3, 2, 2))
    # The sum is the output, so what it reads is real too.
    assert values_with_free_imaginary_parts(program, (4, 3, 3, 2, 2)) == frozenset()
