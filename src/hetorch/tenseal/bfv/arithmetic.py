"""The operations on one BFV ciphertext, under the names that the tensors of both schemes use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.bfv.context import BfvContext


class BfvArithmetic:
    """Exact integers modulo the plain modulus. A result that holds no key material (x - x) is encrypted anew.

    Methods raise SEAL's own ValueError or RuntimeError where it refuses the operation.
    """

    def __init__(self, context: BfvContext) -> None:
        self.context = context

    def encrypt_constant(self, value: int) -> Any:
        """Encrypt `value` in all slots."""
        return self.context.encrypt_plain(self.context.encode_constant(value))

    def _checked(self, operation: Callable[[], Any]) -> Any:
        try:
            return operation()
        except RuntimeError as error:
            if "transparent" not in str(error):
                raise
            return self.encrypt_constant(0)

    def negate(self, a: Any) -> Any:
        return self._checked(lambda: self.context.evaluator.negate(a))

    def add(self, a: Any, b: Any) -> Any:
        return self._checked(lambda: self.context.evaluator.add(a, b))

    def subtract(self, a: Any, b: Any) -> Any:
        return self._checked(lambda: self.context.evaluator.sub(a, b))

    def add_values(self, a: Any, values: NDArray[np.int64]) -> Any:
        return self._checked(lambda: self.context.evaluator.add_plain(a, self.context.encode(values)))

    def add_constant(self, a: Any, value: int) -> Any:
        return self._checked(lambda: self.context.evaluator.add_plain(a, self.context.encode_constant(value)))

    def multiply_values(self, a: Any, values: NDArray[np.int64]) -> Any:
        return self._checked(lambda: self.context.evaluator.multiply_plain(a, self.context.encode(values)))

    def multiply_constant(self, a: Any, value: int) -> Any:
        return self._checked(
            lambda: self.context.evaluator.multiply_plain(a, self.context.encode_constant(value))
        )

    def multiply(self, a: Any, b: Any) -> Any:
        return self._relinearised(self._raw_product(a, b))

    def _raw_product(self, a: Any, b: Any) -> Any:
        return self._checked(lambda: self.context.evaluator.multiply(a, b))

    def square(self, a: Any) -> Any:
        return self._relinearised(self._checked(lambda: self.context.evaluator.square(a)))

    def _relinearised(self, product: Any) -> Any:
        if not self.context.auto_relin or product.size() == 2:
            return product
        keys = self.context.relin_keys()
        return self._checked(lambda: self.context.evaluator.relinearize(product, keys))

    def sum_of_products(self, a: Sequence[Any], b: Sequence[Any]) -> Any:
        """Return sum_i a_i b_i, relinearised once for the whole sum."""
        products = [self._raw_product(x, y) for x, y in zip(a, b, strict=True)]
        return self._relinearised(self._total(products))

    def sum_of_constants(self, a: Sequence[Any], weights: Sequence[Any]) -> Any:
        """Return sum_i a_i weights_i."""
        return self._total(
            [self.multiply_constant(x, int(weight)) for x, weight in zip(a, weights, strict=True)]
        )

    def _total(self, terms: Sequence[Any]) -> Any:
        total = terms[0]
        for term in terms[1:]:
            total = self.add(total, term)
        return total

    def rotate_rows(self, a: Any, steps: int) -> Any:
        """Rotate the slots to the left within both rows of N/2."""
        keys = self.context.galois_keys()
        return self._checked(lambda: self.context.evaluator.rotate_rows(a, steps, keys))

    def window_sum(self, a: Any, count: int) -> Any:
        """Replace slot 0 by the sum of the first `count` slots."""
        half = self.context.slot_count // 2
        if count <= half:
            return self._row_sum(a, count)
        keys = self.context.galois_keys()
        second = self._row_sum(a, count - half)
        swapped = self._checked(lambda: self.context.evaluator.rotate_columns(second, keys))
        return self.add(self._row_sum(a, half), swapped)

    def _row_sum(self, a: Any, count: int) -> Any:
        window, total, power = a, None, 1
        while True:
            if count & power:
                total = window if total is None else self.add(window, self.rotate_rows(total, power))
            if 2 * power > count:
                return total
            window = self.add(window, self.rotate_rows(window, power))
            power *= 2
