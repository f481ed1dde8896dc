"""SEAL's objects with the level and the exact scale beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetorch.engine.rotation_schedule import GiantChain


@dataclass(frozen=True, slots=True, eq=False)
class SealCiphertext:
    """A ciphertext of two parts. `core`, a seal.Ciphertext, is never changed afterwards."""

    core: Any
    level: int
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class SealPlaintext:
    """A plaintext. `core` is a seal.Plaintext at `level`, or None for zero, by which SEAL does not multiply."""

    core: Any
    level: int
    scale: float


@dataclass(frozen=True, slots=True)
class Term:
    """One diagonal, which multiplies an input rotated by its baby step."""

    input: int
    baby: int
    diagonal: SealPlaintext


@dataclass(frozen=True, slots=True, eq=False)
class SealTransform:
    """A transform for inputs at `level` and `input_scale`. `groups`: for each output, the terms of each giant step,
    which `chains` rotate."""

    groups: tuple[Mapping[int, tuple[Term, ...]], ...]
    chains: tuple[GiantChain, ...]
    input_count: int
    level: int
    input_scale: float
    scale: float

    @property
    def byte_count(self) -> int:
        """The bytes of the encoded diagonals: N words for each prime."""
        terms = [term for output in self.groups for group in output.values() for term in group]
        return sum(8 * term.diagonal.core.coeff_count() for term in terms)
