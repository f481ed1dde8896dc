"""The description of the evaluation keys that a plan asks a client for; nothing here is secret."""

from __future__ import annotations

from dataclasses import dataclass

from hetorch.errors import ParameterError
from hetorch.params.parameter_set import DEFAULT_SLOT_GENERATOR


def galois_element(steps: int, ring_degree: int, slot_generator: int = DEFAULT_SLOT_GENERATOR) -> int:
    """Return g^steps mod 2N: the automorphism X -> X^element rotates the slots left by `steps` (any integer)."""
    return pow(slot_generator, steps % (ring_degree // 2), 2 * ring_degree)


@dataclass(frozen=True, slots=True)
class EvaluationKeySpec:
    """The keys that a plan uses, each at the highest level at which it is used.

    `relinearisation_level` is None if no two ciphertexts are multiplied. `galois` holds pairs (galois_element, level),
    sorted by element, with no element twice.
    """

    relinearisation_level: int | None
    galois: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        elements = [element for element, _ in self.galois]
        if elements != sorted(set(elements)):
            raise ParameterError(f"galois elements must be sorted and distinct, got {elements}")
        if any(element < 3 or element % 2 == 0 for element in elements):
            raise ParameterError(f"galois elements are odd and above 1, got {elements}")
        if any(level < 0 for level in self.levels):
            raise ParameterError(f"levels of keys are 0 or above, got {min(self.levels)}")

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels of all keys: that of the relinearisation key, if there is one, then those in `galois`."""
        first = () if self.relinearisation_level is None else (self.relinearisation_level,)
        return (*first, *(level for _, level in self.galois))

    @classmethod
    def from_rotations(
        cls,
        rotations: dict[int, int],
        ring_degree: int,
        relinearisation_level: int | None = None,
        slot_generator: int = DEFAULT_SLOT_GENERATOR,
    ) -> EvaluationKeySpec:
        """Return the keys for rotations; a rotation by 0 needs none.

        Args:
            rotations: for each rotation step, the highest level at which it occurs.
            ring_degree: N.
            relinearisation_level: the highest level of a relinearisation, or None.
            slot_generator: the generator of the parameters.
        """
        levels: dict[int, int] = {}
        for steps, level in rotations.items():
            if steps % (ring_degree // 2):
                element = galois_element(steps, ring_degree, slot_generator)
                levels[element] = max(level, levels.get(element, 0))
        return cls(relinearisation_level, tuple(sorted(levels.items())))
