"""Sizes on the wire of ciphertexts and keys, computed from the parameters alone: the packed residues and seeds.

Frames and object headers are not included: `hetorch.engine.codec`, which needs the core, has the sizes of whole blobs.
The sizes in memory are in `hetorch.plan.memory`.
"""

from __future__ import annotations

from collections.abc import Iterable

from hetorch.engine.keys import EvaluationKeySpec, KeyLink, all_links, key_primes
from hetorch.engine.random import SEED_BYTES
from hetorch.params import ParameterSet


def polynomial_bytes(ring_degree: int, primes: Iterable[int]) -> int:
    """Return the size in bytes of one ring element, residues bit-packed: N * ceil(log2 q) bits for each prime q."""
    return sum(-(-ring_degree * prime.bit_length() // 8) for prime in primes)


def ciphertext_bytes(parameters: ParameterSet, level: int, *, seeded: bool) -> int:
    """Return the size in bytes of a ciphertext at `level`.

    It is two ring elements or, if it is fresh from the secret key (`seeded`), one element and a seed.
    """
    body = polynomial_bytes(parameters.ring_degree, parameters.modulus_chain[: level + 1])
    return body + SEED_BYTES if seeded else 2 * body


def evaluation_key_bytes(parameters: ParameterSet, spec: EvaluationKeySpec) -> int:
    """Return the size in bytes of all keys of `spec`."""
    return sum(key_bytes(parameters, link) for link in all_links(parameters, spec))


def key_bytes(parameters: ParameterSet, link: KeyLink) -> int:
    """Return the size in bytes of a key: a seed, and for each digit one ring element modulo Q_level and the special
    primes of its family."""
    element = polynomial_bytes(parameters.ring_degree, key_primes(parameters, link))
    return SEED_BYTES + link.family.digit_count(link.level) * element
