"""The description of the evaluation keys that a plan asks a client for; nothing here is secret."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from hetorch.errors import ParameterError, SecurityError
from hetorch.params import ParameterSet
from hetorch.params.key_family import KeyFamily
from hetorch.params.parameter_set import DEFAULT_SLOT_GENERATOR
from hetorch.params.security import Security, max_log2_sparse
from hetorch.quantities import count_text


def galois_element(steps: int, ring_degree: int, slot_generator: int = DEFAULT_SLOT_GENERATOR) -> int:
    """Return g^steps mod 2N: the automorphism X -> X^element rotates the slots left by `steps` (any integer)."""
    return pow(slot_generator, steps % (ring_degree // 2), 2 * ring_degree)


class KeyEnd(StrEnum):
    """The secrets that switching keys connect: that of the data owner, which is dense; its square; the sparse one of
    bootstrapping; and that one over the last special prime. The core's names are the same in capitals."""

    DENSE = "dense"
    DENSE_SQUARED = "dense_squared"
    SPARSE = "sparse"
    SPARSE_SCALED = "sparse_scaled"


@dataclass(frozen=True, slots=True, order=True)
class KeyLink:
    """One switching key: from one secret to the inverse automorphism `element` of another, of a family, for `level` and
    all lower ones."""

    from_end: KeyEnd
    to_end: KeyEnd
    element: int
    family: KeyFamily
    level: int

    def plain(self) -> tuple[str, str, int, int, int, int]:
        """Return the link as plain data: both ends, element, special primes and digit size of the family, level."""
        ends = self.from_end.value, self.to_end.value
        return (*ends, self.element, self.family.special_count, self.family.digit_size, self.level)

    def text(self) -> str:
        """Return the link in words for messages: "rotation of Galois element 5, level 4"."""
        if self.from_end is KeyEnd.DENSE_SQUARED:
            use = "relinearisation"
        elif self.from_end is self.to_end:
            use = f"rotation of Galois element {self.element}"
        else:
            use = f"{self.from_end.value} to {self.to_end.value} secret, Galois element {self.element}"
        return f"{use}, level {self.level}"


@dataclass(frozen=True, slots=True)
class SparseSecret:
    """The shape of the sparse secret of bootstrapping: `weight` nonzero coefficients, at multiples of `spacing`."""

    weight: int
    spacing: int


@dataclass(frozen=True, slots=True)
class EvaluationKeySpec:
    """The keys that a plan uses, each at the highest level at which it is used.

    `relinearisation_level` is None if no two ciphertexts are multiplied. `galois` holds pairs (galois_element, level),
    sorted by element, with no element twice. Both are of the main family, under the data owner's secret. `links` are
    the further keys, sorted: those of other families, for bootstrapping and for maps at low levels, and those that
    connect the `sparse` secret, which is None if no key does.
    """

    relinearisation_level: int | None
    galois: tuple[tuple[int, int], ...]
    links: tuple[KeyLink, ...] = ()
    sparse: SparseSecret | None = None

    def __post_init__(self) -> None:
        elements = [element for element, _ in self.galois]
        if elements != sorted(set(elements)):
            raise ParameterError(f"galois elements must be sorted and distinct, got {elements}")
        if any(element < 3 or element % 2 == 0 for element in elements):
            raise ParameterError(f"galois elements are odd and above 1, got {elements}")
        if any(level < 0 for level in self.levels):
            raise ParameterError(f"levels of keys are 0 or above, got {min(self.levels)}")
        self._check_links()

    def _check_links(self) -> None:
        names = [(link.from_end, link.to_end, link.element, link.family) for link in self.links]
        if names != sorted(set(names)):
            raise ParameterError("the links of a key spec must be sorted, and no key may occur twice")
        for link in self.links:
            if link.level < 0 or link.element < 1 or link.element % 2 == 0:
                raise ParameterError(
                    f"a key has an odd Galois element and a level of 0 or above, got {link.element} and {link.level}"
                )
            # Galois keys, the key to the sparse secret, and those back from it; the relinearisation key is no link.
            if not (
                (link.from_end is link.to_end is KeyEnd.DENSE and link.element > 1)
                or ((link.from_end, link.to_end) == (KeyEnd.DENSE, KeyEnd.SPARSE) and link.element == 1)
                or (link.from_end, link.to_end) == (KeyEnd.SPARSE_SCALED, KeyEnd.DENSE)
            ):
                raise ParameterError(
                    f"no key links {link.from_end.value} to {link.to_end.value} with the element {link.element}"
                )
        uses_sparse = any(link.from_end is not link.to_end for link in self.links)
        if uses_sparse != (self.sparse is not None):
            raise ParameterError("a key spec tells the sparse secret if a key connects it, and only then")
        if self.sparse is not None and (self.sparse.weight < 1 or self.sparse.spacing < 1):
            raise ParameterError(f"a sparse secret has a weight and a spacing above 0, got {self.sparse}")

    @property
    def levels(self) -> tuple[int, ...]:
        """The levels of all keys: relinearisation key, if there is one, `galois`, `links`."""
        first = () if self.relinearisation_level is None else (self.relinearisation_level,)
        return (*first, *(level for _, level in self.galois), *(link.level for link in self.links))

    @property
    def count(self) -> int:
        """The number of all keys."""
        return len(self.levels)

    def summary(self) -> str:
        """Return the numbers of keys as text: "12 rotations", and those to and from the sparse secret."""
        further = sum(link.from_end is not link.to_end for link in self.links)
        rotations = count_text(len(self.galois) + len(self.links) - further, "rotation")
        return f"{rotations}, {further} for bootstrapping" if further else rotations

    def canonical(self) -> tuple[object, ...]:
        """Return plain data that names the spec; that of a spec without links has two items."""
        if not self.links:
            return self.relinearisation_level, self.galois
        links = tuple(link.plain() for link in self.links)
        sparse = () if self.sparse is None else (self.sparse.weight, self.sparse.spacing)
        return self.relinearisation_level, self.galois, links, sparse

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

    @classmethod
    def collected(
        cls, parameters: ParameterSet, links: list[KeyLink], sparse: SparseSecret | None = None
    ) -> EvaluationKeySpec:
        """Return the spec of all `links`, of which several may be of one key: it gets the highest of their levels."""
        main = main_family(parameters)
        highest: dict[tuple[KeyEnd, KeyEnd, int, KeyFamily], int] = {}
        for link in links:
            name = (link.from_end, link.to_end, link.element, link.family)
            highest[name] = max(link.level, highest.get(name, 0))
        relinearisation = highest.pop((KeyEnd.DENSE_SQUARED, KeyEnd.DENSE, 1, main), None)
        galois = {
            name[2]: level
            for name, level in highest.items()
            if name == (KeyEnd.DENSE, KeyEnd.DENSE, name[2], main)
        }
        others = [
            KeyLink(*name, level)
            for name, level in highest.items()
            if name[3] != main or name[0] is not name[1]
        ]
        return cls(relinearisation, tuple(sorted(galois.items())), tuple(sorted(others)), sparse)

    def merged(self, parameters: ParameterSet, other: EvaluationKeySpec) -> EvaluationKeySpec:
        """Return the spec of the keys of both; ParameterError if they have sparse secrets of two shapes."""
        if self.sparse is not None and other.sparse is not None and self.sparse != other.sparse:
            raise ParameterError(
                f"all bootstraps of a plan need a sparse secret of one shape, got {self.sparse} and {other.sparse}"
            )
        links = [*all_links(parameters, self), *all_links(parameters, other)]
        return self.collected(parameters, links, self.sparse or other.sparse)


def rotation_link(parameters: ParameterSet, steps: int, family: KeyFamily, level: int) -> KeyLink:
    """Return the name of the key for a rotation by `steps`."""
    element = galois_element(steps, parameters.ring_degree, parameters.slot_generator)
    return KeyLink(KeyEnd.DENSE, KeyEnd.DENSE, element, family, level)


def main_family(parameters: ParameterSet) -> KeyFamily:
    """Return the family of the keys that are not `links`: all special primes, and the digits of the parameters."""
    return KeyFamily(len(parameters.special_primes), parameters.digit_size)


def all_links(parameters: ParameterSet, spec: EvaluationKeySpec) -> tuple[KeyLink, ...]:
    """Return every key of `spec` by its full name, in the order in which they are made, sent and stored.

    Raises:
        ParameterError: a key does not exist under these parameters: its element, level or family, or the sparse secret.
        SecurityError: a key is over a larger modulus than the security tables allow at the dimension of its secret.
    """
    main = main_family(parameters)
    links = [KeyLink(KeyEnd.DENSE, KeyEnd.DENSE, element, main, level) for element, level in spec.galois]
    if spec.relinearisation_level is not None:
        links.insert(0, KeyLink(KeyEnd.DENSE_SQUARED, KeyEnd.DENSE, 1, main, spec.relinearisation_level))
    links += spec.links
    for link in links:
        _check_link(parameters, link)
    check_sparse_keys(parameters, spec, parameters.security)
    return tuple(links)


def key_primes(parameters: ParameterSet, link: KeyLink) -> tuple[int, ...]:
    """Return the primes over which a key is: those of the chain up to its level, and the special ones of its family."""
    special = parameters.special_primes[: link.family.special_count]
    return (*parameters.modulus_chain[: link.level + 1], *special)


def _check_link(parameters: ParameterSet, link: KeyLink) -> None:
    top, main, family = parameters.max_level, main_family(parameters), link.family
    if link.level > top:
        raise ParameterError(f"a key is asked for level {link.level}; levels are 0..{top}")
    if link.element >= 2 * parameters.ring_degree:
        raise ParameterError(
            f"a key is asked for the Galois element {link.element}; those of ring degree {parameters.ring_degree} are "
            f"below {2 * parameters.ring_degree}"
        )
    if family != main and family not in parameters.key_families:
        raise ParameterError(f"a key is asked for the family {family}, which is none of the parameters'")
    if link.from_end is KeyEnd.SPARSE_SCALED and not (
        link.level == top
        and family.digit_size > top
        and family.special_count == len(parameters.special_primes)
    ):
        raise ParameterError("a key back from the sparse secret is of one digit, over all primes")


def check_sparse_keys(parameters: ParameterSet, spec: EvaluationKeySpec, security: Security) -> None:
    """Check the sparse secret, and each key under it by itself; ParameterSet checks QP, which bounds the others.

    Raises:
        ParameterError: the ring has no such secret.
        SecurityError: a key is over a larger modulus than the table of `security` allows.
    """
    if spec.sparse is None:
        return
    weight, spacing = spec.sparse.weight, spec.sparse.spacing
    dimension = parameters.ring_degree // spacing
    if parameters.ring_degree % spacing or spacing & (spacing - 1) or weight > dimension:
        raise ParameterError(
            f"a ring of degree {parameters.ring_degree} has no sparse secret of weight {weight} and spacing {spacing}"
        )
    bound = max_log2_sparse(dimension, weight, security)
    for link in spec.links:
        if link.to_end is not KeyEnd.SPARSE or math.isinf(bound):
            continue
        modulus = math.prod(key_primes(parameters, link))
        if modulus.bit_length() > bound:
            raise SecurityError(
                f"a key is asked for under a sparse secret of weight {weight} and dimension {dimension}, over a "
                f"modulus of {modulus.bit_length()} bits; security {security.value} allows {bound:.0f}"
            )
