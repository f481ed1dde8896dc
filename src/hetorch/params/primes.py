"""NTT primes: primes p = 1 mod 2N, modulo which X^N + 1 splits into linear factors."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from hetorch.errors import ParameterError
from hetorch.quantities import count_text

MAX_PRIME_BITS = 60
"""Size of the largest prime, in bits: four residues of it still add up in 64 bits without a reduction."""

SIMD_PRIME_BITS = 50
"""Size of the largest prime, in bits, for which the vector kernels run (53-bit double or 52-bit integer products)."""

# The first twelve primes prove or refute every n < 318665857834031151167461 > 2^64
# (Sorenson and Webster, "Strong pseudoprimes to twelve prime bases", Math. Comp. 86, 2017).
_BASES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37)


def is_prime(n: int) -> bool:
    """Return True if and only if n is prime, for 0 <= n < 2^64 (Miller-Rabin with fixed bases).

    Raises:
        ParameterError: n is outside this range.
    """
    if n < 0 or n >> 64:
        raise ParameterError(f"primality is decided for 0 <= n < 2^64, got {n}")
    if n < 2:
        return False
    for base in _BASES:
        if n % base == 0:
            return n == base
    odd = n - 1
    twos = (odd & -odd).bit_length() - 1
    odd >>= twos
    return all(_passes(n, base, odd, twos) for base in _BASES)


def _passes(n: int, base: int, odd: int, twos: int) -> bool:
    """Return True if n passes the strong probable prime test to one base, where n - 1 = odd * 2^twos."""
    x = pow(base, odd, n)
    if x in (1, n - 1):
        return True
    for _ in range(twos - 1):
        x = x * x % n
        if x == n - 1:
            return True
    return False


def ntt_primes(bits: int, count: int, ring_degree: int, exclude: Collection[int] = ()) -> tuple[int, ...]:
    """Return `count` distinct primes = 1 mod 2 * ring_degree, the nearest to 2^bits: below, above, below, above...

    The alternation keeps their product near 2^(bits * count), and so the scale near 2^bits. For `bits` of 50 and 60 all
    are below, because the vector kernels end at 2^50 and every kernel at 2^60. All lie strictly between 2^(bits-1) and
    2^(bits+1), and the same arguments always return the same primes. Primes in `exclude` are left out.

    Raises:
        ParameterError: an argument is out of range, or there are not enough primes.
    """
    if ring_degree < 2 or ring_degree & (ring_degree - 1):
        raise ParameterError(f"ring_degree must be a power of two, got {ring_degree}")
    if not 2 <= bits <= MAX_PRIME_BITS:
        raise ParameterError(f"a prime has 2 to {MAX_PRIME_BITS} bits, got bits={bits}")
    if count < 0:
        raise ParameterError(f"cannot choose {count_text(count, 'prime')}")
    skip = frozenset(exclude)
    sides = [_primes(bits, ring_degree, -1)]
    if bits not in (SIMD_PRIME_BITS, MAX_PRIME_BITS):
        sides.append(_primes(bits, ring_degree, +1))
    chosen: list[int] = []
    turn = 0
    while len(chosen) < count:
        if not sides:
            raise ParameterError(
                f"only {len(chosen)} of {count_text(count, 'prime')} of about {bits} bits are 1 mod {2 * ring_degree}; "
                "use more bits, fewer primes or a smaller ring_degree"
            )
        side = sides[turn % len(sides)]
        prime = next((p for p in side if p not in skip), None)
        if prime is None:
            sides.remove(side)
            turn = 0
            continue
        chosen.append(prime)
        turn += 1
    return tuple(chosen)


def chain_primes(bits: Sequence[int], ring_degree: int) -> tuple[int, ...]:
    """Return one prime of ntt_primes for each size in `bits`, all distinct, in the order of `bits`."""
    chosen: dict[int, Iterator[int]] = {}
    taken: list[int] = []
    for size in sorted(set(bits)):
        primes = ntt_primes(size, list(bits).count(size), ring_degree, taken)
        taken.extend(primes)
        chosen[size] = iter(primes)
    return tuple(next(chosen[size]) for size in bits)


def _primes(bits: int, ring_degree: int, direction: int) -> Iterator[int]:
    """Yield NTT primes from 2^bits downward (-1, to 2^(bits-1)) or upward (+1, to 2^(bits+1)), nearest first."""
    step = 2 * ring_degree
    centre = 1 << bits
    # The largest number = 1 mod step that is not above the centre; the upward direction begins one step later.
    start = (centre - 1) // step * step + 1
    end = centre >> 1 if direction < 0 else centre << 1
    first = start if direction < 0 else start + step
    return (n for n in range(first, end, direction * step) if is_prime(n))
