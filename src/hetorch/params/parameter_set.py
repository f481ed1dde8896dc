"""The parameters of one CKKS instance: checked once, when made, and never changed."""

from __future__ import annotations

import hashlib
import json
import math
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields

from hetorch.errors import InsecureParametersWarning, ParameterError, SecurityError
from hetorch.params.checks import MAX_PRIME_COUNT, check_prime, check_ring_degree, integer, integers
from hetorch.params.key_family import KeyFamily, check_families, parse_families
from hetorch.params.primes import SIMD_PRIME_BITS, chain_primes
from hetorch.params.security import Security, max_log2_qp
from hetorch.quantities import count_text

DEFAULT_SLOT_GENERATOR = 5
"""Default generator of the order of the slots: slot j is at zeta^(5^j). Files and fingerprints omit the default."""


@dataclass(frozen=True, slots=True)
class ParameterSet:
    """The ring, the moduli and the digits of key switching of one CKKS instance; equal sets have equal fingerprints.

    Args:
        ring_degree: N, a power of two from 2^10 to 2^17.
        modulus_chain: q_0..q_L, distinct primes = 1 mod 2N below 2^60.
        special_primes: the factors of P, primes of the same kind, distinct from those of the chain.
        digit_size: number of primes in a digit of key switching. Beginning with q_0, each run of `digit_size` primes of
            the chain is a digit; a lower level has fewer digits.
        security: the row of the security table against which log2(QP) is checked.
        slot_generator: g in the order of the slots, in which slot j is at zeta^(g^j): 5, or 3 for SEAL's order, with
            which SEAL decodes the same ciphertext to the same slots.
        key_families: shapes of switching keys beside the main one, which has all special primes and `digit_size`.

    Raises:
        ParameterError: a value is malformed, or P is smaller than half the product of some digit (the noise of key
            switching grows with digit / P), in the main family; a key of another one may serve only low levels.
        SecurityError: log2(QP) is too large for `security`; the message names the row of the table. `Security.NONE`
            raises nothing, but warns each time with InsecureParametersWarning, except in the block of insecure_trials.
    """

    ring_degree: int
    modulus_chain: tuple[int, ...]
    special_primes: tuple[int, ...]
    digit_size: int
    security: Security = Security.CLASSICAL_128
    slot_generator: int = DEFAULT_SLOT_GENERATOR
    key_families: tuple[KeyFamily, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "ring_degree", integer("ring_degree", self.ring_degree))
        object.__setattr__(self, "modulus_chain", integers("modulus_chain", self.modulus_chain))
        object.__setattr__(self, "special_primes", integers("special_primes", self.special_primes))
        object.__setattr__(self, "digit_size", integer("digit_size", self.digit_size))
        object.__setattr__(self, "security", Security.parse(self.security))
        object.__setattr__(self, "slot_generator", integer("slot_generator", self.slot_generator))
        object.__setattr__(self, "key_families", tuple(self.key_families))
        self._check_structure()
        check_families(self.key_families, len(self.special_primes), len(self.modulus_chain))
        self._check_special_primes()
        self._check_security()

    @classmethod
    def from_bits(
        cls,
        ring_degree: int,
        modulus_bits: Sequence[int],
        special_bits: Sequence[int],
        *,
        digit_size: int = 1,
        security: Security = Security.CLASSICAL_128,
        slot_generator: int = DEFAULT_SLOT_GENERATOR,
        key_families: Sequence[KeyFamily] = (),
    ) -> ParameterSet:
        """Return a set of the primes nearest to 2^bits for each size in `modulus_bits` and `special_bits`.

        The errors are those of the constructor and of chain_primes.
        """
        check_ring_degree(ring_degree)
        primes = chain_primes([*modulus_bits, *special_bits], ring_degree)
        count = len(modulus_bits)
        return cls(
            ring_degree,
            primes[:count],
            primes[count:],
            digit_size,
            security,
            slot_generator,
            tuple(key_families),
        )

    @property
    def slot_count(self) -> int:
        """The number of slots in one ciphertext: N / 2."""
        return self.ring_degree // 2

    @property
    def max_level(self) -> int:
        """L, the level of a fresh ciphertext: the number of rescalings that it allows."""
        return len(self.modulus_chain) - 1

    @property
    def log2_q(self) -> float:
        """The size of the modulus chain in bits, log2(q_0 * ... * q_L)."""
        return math.log2(math.prod(self.modulus_chain))

    @property
    def log2_p(self) -> float:
        """The size in bits of P, the product of the special primes."""
        return math.log2(math.prod(self.special_primes))

    @property
    def log2_qp(self) -> float:
        """The size in bits of QP, the product of all primes, which the security table bounds."""
        return math.log2(math.prod(self.modulus_chain) * math.prod(self.special_primes))

    @property
    def is_simd(self) -> bool:
        """True if every prime is below 2^50, so that the vector kernels run."""
        return all(prime >> SIMD_PRIME_BITS == 0 for prime in (*self.modulus_chain, *self.special_primes))

    def digit_count(self, level: int) -> int:
        """Return the number of digits of a key switch at `level` (0..max_level): ceil((level + 1) / digit_size)."""
        if not 0 <= level <= self.max_level:
            raise ParameterError(f"level {level} does not exist; levels are 0..{self.max_level}")
        return -(-(level + 1) // self.digit_size)

    def to_json(self) -> dict[str, object]:
        """Return the set as plain data, which from_json reads. A slot generator of 5 and no families are omitted."""
        data: dict[str, object] = {
            "ring_degree": self.ring_degree,
            "modulus_chain": list(self.modulus_chain),
            "special_primes": list(self.special_primes),
            "digit_size": self.digit_size,
            "security": self.security.value,
        }
        if self.slot_generator != DEFAULT_SLOT_GENERATOR:
            data["slot_generator"] = self.slot_generator
        if self.key_families:
            data["key_families"] = [family.to_json() for family in self.key_families]
        return data

    @classmethod
    def from_json(cls, data: object) -> ParameterSet:
        """Parse and check the data of to_json, which need not be trusted.

        Raises:
            ParameterError: a field is missing, unknown or of the wrong type, or the constructor refuses it.
            SecurityError: log2(QP) is too large for the security in the data.
        """
        if not isinstance(data, Mapping):
            raise ParameterError(f"parameters must be a JSON object, got {type(data).__name__}")
        names = {field.name for field in fields(cls)}
        missing_or_unknown = (data.keys() ^ names) - (names & {"slot_generator", "key_families"})
        if missing_or_unknown:
            wrong = sorted(str(name)[:40] for name in missing_or_unknown)[:8]
            raise ParameterError(f"parameters: fields missing or unknown: {', '.join(wrong)}")
        if not isinstance(data["security"], str):
            raise ParameterError(
                f"parameters: security must be a string, got {type(data['security']).__name__}"
            )
        return cls(
            data["ring_degree"],
            data["modulus_chain"],
            data["special_primes"],
            data["digit_size"],
            Security.parse(data["security"][:40]),
            data.get("slot_generator", DEFAULT_SLOT_GENERATOR),
            parse_families(data.get("key_families", [])),
        )

    def fingerprint(self) -> bytes:
        """Return 32 bytes that identify the set: SHA-256 of to_json as ASCII JSON with sorted keys and no spaces."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode("ascii")).digest()

    def warn_if_insecure(self) -> None:
        """Warn with InsecureParametersWarning if the security is `none`, at the line of the user that led here.

        Since there is no registry, Python shows the warning each time, not once.
        """
        if self.security is not Security.NONE:
            return
        frame = sys._getframe()
        while frame.f_back is not None and _is_ours(str(frame.f_globals.get("__name__", ""))):
            frame = frame.f_back
        warnings.warn_explicit(
            f"parameters with security 'none' (N = {self.ring_degree}, log2(QP) = {self.log2_qp:.0f}) "
            "protect nothing; use them in tests only",
            InsecureParametersWarning,
            frame.f_code.co_filename,
            frame.f_lineno,
        )

    def _check_structure(self) -> None:
        check_ring_degree(self.ring_degree)
        if not self.modulus_chain:
            raise ParameterError("modulus_chain is empty; it needs at least q_0")
        if not self.special_primes:
            raise ParameterError("special_primes is empty; key switching needs at least one")
        if self.slot_generator not in (3, 5):
            raise ParameterError(
                f"slot_generator must be 5, or 3 for SEAL's order, got {self.slot_generator}"
            )
        primes = (*self.modulus_chain, *self.special_primes)
        if len(primes) > MAX_PRIME_COUNT:
            raise ParameterError(
                f"{count_text(len(primes), 'prime')} in all; at most {MAX_PRIME_COUNT} are supported"
            )
        if not 1 <= self.digit_size <= len(self.modulus_chain):
            raise ParameterError(
                f"digit_size must be 1..{len(self.modulus_chain)} (the length of modulus_chain), got {self.digit_size}"
            )
        for name, group in (("modulus_chain", self.modulus_chain), ("special_primes", self.special_primes)):
            for index, prime in enumerate(group):
                check_prime(f"{name}[{index}]", prime, self.ring_degree)
        repeated = sorted({prime for prime in primes if primes.count(prime) > 1})
        if repeated:
            raise ParameterError(
                f"primes must be distinct, but {repeated[0]} occurs {primes.count(repeated[0])} times"
            )

    def _check_special_primes(self) -> None:
        # Key switching multiplies digits by noise and divides by P. P may be as small as half a digit, so that one
        # special prime of about the size of the others is enough. SEAL does not check this, and its users have smaller
        # P: with SEAL's order of the slots it is allowed, and hetorch.tenseal warns of it.
        if self.slot_generator == 3:
            return
        chain, size = self.modulus_chain, self.digit_size
        digits = [math.prod(chain[first : first + size]) for first in range(0, len(chain), size)]
        if 2 * math.prod(self.special_primes) < max(digits):
            worst = digits.index(max(digits))
            raise ParameterError(
                f"special_primes make log2(P) = {self.log2_p:.1f} bits, but digit {worst} of modulus_chain has "
                f"{math.log2(max(digits)):.1f}: key switching would drown the message in noise; "
                "add a special prime or make digit_size smaller"
            )

    def _check_security(self) -> None:
        if self.security is Security.NONE:
            self.warn_if_insecure()
            return
        bound = int(max_log2_qp(self.ring_degree, self.security))
        exponent = self.ring_degree.bit_length() - 1
        row = f"row N = 2^{exponent}, security {self.security.value} of {self.security.source}"
        if bound == 0:
            raise SecurityError(f"there is no {row}; choose another ring_degree or security")
        # Integers are compared: in floating point, a product just above 2^bound could be rounded down to it.
        qp_bits = (math.prod(self.modulus_chain) * math.prod(self.special_primes)).bit_length()
        if qp_bits > bound:
            raise SecurityError(
                f"QP has {qp_bits} bits (log2 {self.log2_qp:.2f}), more than the {bound} of {row}; "
                "use a larger ring_degree or fewer or smaller primes"
            )


def _is_ours(module: str) -> bool:
    return module == "hetorch" or module.startswith("hetorch.")


@contextmanager
def insecure_trials() -> Iterator[None]:
    """Silence InsecureParametersWarning for sets that are only tried in the block; the set that is chosen warns after
    it, by warn_if_insecure."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", InsecureParametersWarning)
        yield
