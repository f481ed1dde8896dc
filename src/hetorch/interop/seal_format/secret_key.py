"""Secret keys in SEAL's format, and the objects that only their owner can make: SEAL's public keys, seeded objects.

No server may import this module. SEAL keeps a secret key as a plaintext over all primes, the special one included. A
seeded object holds its first half and SEAL's seed of the second, which SEAL and hetorch expand to the same residues.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection

import numpy as np

from hetorch.engine import _native
from hetorch.engine.context import flat_context
from hetorch.engine.native import Slots
from hetorch.engine.random import keystream, random_seed
from hetorch.engine.secret import SecretKey
from hetorch.errors import InputError, WireError
from hetorch.interop.seal_format.compression import DEFAULT_COMPRESSION, compression_number
from hetorch.interop.seal_format.members import Members, frame_pieces
from hetorch.interop.seal_format.orders import to_ours, to_seal
from hetorch.interop.seal_format.parameters import key_parms_id, seal_parameters
from hetorch.interop.seal_format.plaintext import plaintext_content, read_plaintext
from hetorch.interop.seal_format.public_key import SealPublicKey
from hetorch.interop.seal_format.seeds import BLAKE2XB, SEED_BYTES, UniformSeed
from hetorch.interop.seal_format.stream import Bytes, frame
from hetorch.params import ParameterSet


def load_secret_key(parameters: ParameterSet, data: Bytes) -> SecretKey:
    """Read a secret key that SEAL saved. The key has no seed of hetorch's.

    Raises:
        ParameterError: `parameters` have several special primes, or a digit_size other than 1.
        WireError: the bytes are not a secret key of these parameters, with coefficients -1, 0 and 1.
    """
    what = "a secret key of SEAL"
    primes = seal_parameters(parameters).coeff_modulus
    rows, _, _ = read_plaintext(data, {key_parms_id(parameters): primes}, parameters.ring_degree, what)
    try:
        return SecretKey.from_rows(parameters, to_ours(rows, primes))
    except InputError as error:
        raise WireError(f"{what}: {error}") from None


def dump_secret_key(key: SecretKey, *, compression: str = DEFAULT_COMPRESSION) -> bytes:
    """Write a secret key as SEAL saves it: these bytes are the key, in clear."""
    parameters = key.parameters
    primes = seal_parameters(parameters).coeff_modulus
    coefficients = key.coefficients().astype(np.float64)
    lifted = _native.lift(flat_context(parameters), coefficients, len(primes) - 1, 1.0)
    rows = to_seal(np.asarray(_native.plaintext_rows(lifted)), primes)
    return frame(plaintext_content(key_parms_id(parameters), rows, 1.0), compression_number(compression))


def make_public_key(key: SecretKey) -> SealPublicKey:
    """Make a fresh public key over all primes; its `native()` encrypts here, dump_public_key writes it for SEAL."""
    parameters = key.parameters
    primes = seal_parameters(parameters).coeff_modulus
    seed = _fresh_seed()
    public = key.extended_public_key(_uniform(seed, primes, parameters.ring_degree))
    rows = to_seal(np.asarray(_native.public_key_rows(public)), primes)
    return SealPublicKey(parameters, rows, seed)


def encrypt_seeded(
    key: SecretKey,
    values: Slots,
    *,
    scale: float,
    level: int | None = None,
    compression: str = DEFAULT_COMPRESSION,
) -> bytes:
    """Encrypt `values` as SecretKey.encrypt does; return SEAL's seeded form, which has half the size."""
    parameters = key.parameters
    at = parameters.max_level if level is None else level
    primes = parameters.modulus_chain[: at + 1]
    seed = _fresh_seed()
    uniform = _uniform(seed, primes, parameters.ring_degree)
    ciphertext = key.encrypt(values, scale=scale, level=level, uniform=uniform)
    rows = to_seal(np.asarray(_native.ciphertext_rows(ciphertext)), primes)
    members = Members(seal_parameters(parameters).parms_id(len(primes)), rows, ciphertext.scale)
    return frame_pieces(members.pieces(primes, seed), compression_number(compression))


def dump_seeded_relin_keys(key: SecretKey, *, compression: str = DEFAULT_COMPRESSION) -> bytes:
    """Make fresh relinearisation keys; return SEAL's seeded form."""
    content = key_parms_id(key.parameters) + struct.pack("<Q", 1) + _seeded_key(key, None)
    return frame(content, compression_number(compression))


def dump_seeded_galois_keys(
    key: SecretKey, elements: Collection[int], *, compression: str = DEFAULT_COMPRESSION
) -> bytes:
    """Make fresh keys of the Galois elements (odd, 3 to 2N - 1; else InputError); return SEAL's seeded form."""
    n = key.parameters.ring_degree
    wrong = [element for element in elements if element % 2 == 0 or not 1 < element < 2 * n]
    if wrong:
        raise InputError(f"Galois elements are odd, above 1 and below {2 * n}, got {wrong[0]}")
    content = [key_parms_id(key.parameters) + struct.pack("<Q", n)]
    content += [
        _seeded_key(key, element) if element in elements else bytes(8) for element in range(1, 2 * n, 2)
    ]
    return frame(b"".join(content), compression_number(compression))


def _seeded_key(key: SecretKey, element: int | None) -> bytes:
    """Return the digits of a new switching key; for `element` None, of the relinearisation key.

    The uniform halves of our key of g are those of SEAL's under g^-1.
    """
    parameters = key.parameters
    primes = seal_parameters(parameters).coeff_modulus
    n = parameters.ring_degree
    seeds = [_fresh_seed() for _ in range(len(primes) - 1)]
    inverse = 1 if element is None else pow(element, -1, 2 * n)

    def uniform(index: int, length: int) -> bytes:
        return _uniform(seeds[index], primes, n, inverse)(0, length)

    switching = key.switching_key(element, parameters.max_level, uniform)
    rows = to_seal(np.asarray(_native.switching_key_rows(switching)), primes, element or 1)
    parms_id = key_parms_id(parameters)
    digits = [
        frame_pieces(Members(parms_id, digit, 1.0).pieces(primes, seed))
        for digit, seed in zip(rows, seeds, strict=True)
    ]
    return struct.pack("<Q", len(digits)) + b"".join(digits)


def _fresh_seed() -> UniformSeed:
    return UniformSeed(BLAKE2XB, keystream(random_seed(), SEED_BYTES, domain=b"SEAL seed"))


def _uniform(
    seed: UniformSeed, primes: tuple[int, ...], ring_degree: int, automorphism: int = 1
) -> Callable[[int, int], bytes]:
    """Return a source of the bytes, 16 a residue, that the core reduces to the residues of a seed's expansion."""

    def source(_index: int, length: int) -> bytes:
        rows = to_ours(seed.expand(primes, ring_degree), primes, automorphism)
        wide = np.zeros((rows.size, 2), dtype="<u8")
        wide[:, 0] = rows.reshape(-1)
        assert wide.nbytes == length
        return wide.tobytes()

    return source
