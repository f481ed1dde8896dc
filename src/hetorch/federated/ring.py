"""The parameters of a round: one ring for all rounds, and the room of a fixed-point number in it.

A block of an update is an element of R_q = Z_q[X] / (X^N + 1) with N = 2^11 and the prime q of 45 bits. Party i sends

    c_i,k = a_k s_i + e_i,k + D m_i,k        k = 0, 1, …, with a_k public and uniform

with one secret s_i for all blocks of a round, s_i and e_i,k from the discrete Gaussian of standard deviation
SIGMA = 4.53, and integers m in the coefficients.

**Security.** At the end the sums of the s_i and of the e_i,k over at least two honest parties are known (the first is
opened, the second follows from it and the ciphertexts). Given s_1 + s_2 = S, s_1 is a discrete Gaussian with centre S/2
and standard deviation SIGMA / sqrt(2), exactly: exp(-(x^2 + (S - x)^2) / (2 SIGMA^2)) is exp(-(x - S/2)^2 / SIGMA^2)
times a constant. More honest parties leave more (SIGMA sqrt((h - 1) / h)). So an update is as well hidden as by RLWE
with deviations of SIGMA / sqrt(2) = 3.203 for secret and errors (Hint-RLWE: Kim, Lee, Seo and Song, eprint 2023/623).
The row N = 2^11 of the table (`hetorch.params.security`, eprint 2024/463, table 5.2) allows 53 bits at 128-bit security
for ternary secrets, which are easier to find than Gaussian ones, and errors of 3.19; q has 45.

**Room.** Gaussian numbers are at most ERROR_BOUND in size, so the errors of n parties add up to at most
n ERROR_BOUND. D is the smallest power of two above three times that: rounding removes the errors, and the sum is exact;
a uniform number passes for one with such an error with a probability below 2/3. The integers of one party are at most L
with n (D L + ERROR_BOUND) < q / 2. For 100 parties D = 2^14 and L > 2^23; for 4 D = 2^9 and L > 2^32.
"""

from __future__ import annotations

RING_DEGREE = 1 << 11
"""N, the coefficients of a block. A larger one needs a longer secret, and shares of that length."""
PRIME_BITS = 45
"""Bits of a residue on the wire: 5.6 bytes for each weight. More bits leave more room for parties and digits."""
PRIME = (1 << PRIME_BITS) - 28671
"""q, the largest prime below 2^45 that is 1 modulo 2N."""
SIGMA = 4.53
"""The standard deviation of secrets and errors: at least sqrt(2) times the 3.19 of the security table."""
ERROR_BOUND = 42
"""The largest secret or error in size, 9.2 SIGMA: a larger one has a probability below 2^-63."""
BLOCK_BYTES = RING_DEGREE * PRIME_BITS // 8
"""Bytes of a block on the wire, without any padding."""
UNIFORM_BYTES = BLOCK_BYTES + 64 * PRIME_BITS // 8
"""Random bytes from which a uniform block is made: a block, and 64 numbers that replace those above q in it."""
GAUSSIAN_BYTES = 8 * RING_DEGREE
"""Random bytes from which a block of Gaussian integers is made."""
MOST_PARTIES = 1000
"""Most parties of a round. Each one more makes all numbers coarser, and n^2 shares are relayed."""


def error_shift(party_count: int) -> int:
    """Return log2 of D, the factor of an integer above the errors of `party_count` ciphertexts."""
    return (3 * party_count * ERROR_BOUND).bit_length()


def largest_integer(party_count: int) -> int:
    """Return L, the largest integer in size that each of `party_count` parties may encrypt."""
    return ((PRIME - 1) // 2 // party_count - ERROR_BOUND) >> error_shift(party_count)
