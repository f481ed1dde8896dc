"""The state of an encrypted vector of integers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.tenseal.bfv.context import BfvContext


@dataclass(frozen=True, slots=True)
class BfvData:
    """The ciphertexts of a vector, and the number of values that each holds in its first slots."""

    ciphertexts: tuple[Any, ...]
    sizes: tuple[int, ...]

    @property
    def size(self) -> int:
        """The number of values in all ciphertexts."""
        return sum(self.sizes)


def encrypt_vector(context: BfvContext, values: NDArray[np.int64]) -> BfvData:
    """Encrypt each run of slot_count values in one ciphertext."""
    count = context.slot_count
    parts = [values[at : at + count] for at in range(0, len(values), count)]
    return BfvData(tuple(context.encrypt(part) for part in parts), tuple(len(part) for part in parts))
