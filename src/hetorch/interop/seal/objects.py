"""SEAL's objects, each with its level and its exact scale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hetorch.engine.rotation_schedule import GiantChain


@dataclass(frozen=True, slots=True, eq=False)
class SealCiphertext:
    """A ciphertext; `core`, a seal.Ciphertext of two parts, is never changed."""

    core: Any
    level: int
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class SealPlaintext:
    """A plaintext; `core` is a seal.Plaintext at `level`, or None for zero, by which SEAL does not multiply."""

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
    """A transform for inputs at `level` and `input_scale`; its results have `scale`.

    `groups` holds, for each output, the terms by their giant step; `chains` rotate the sums of the groups.
    """

    groups: tuple[Mapping[int, tuple[Term, ...]], ...]
    chains: tuple[GiantChain, ...]
    input_count: int
    level: int
    input_scale: float
    scale: float

    @property
    def byte_count(self) -> int:
        """Memory of the encoded diagonals: N words for each diagonal and prime."""
        terms = [term for output in self.groups for group in output.values() for term in group]
        return sum(8 * term.diagonal.core.coeff_count() for term in terms)
