"""SEAL's serialised relinearisation and Galois keys.

32 bytes parms_id, u64 places; at each place u64 digits (0: no key here) and for each digit a framed public key. The
relinearisation key has one place; the key of the Galois element g is at place (g - 1) / 2 of N.

SEAL's key of g switches from g(s) to s, ours from s to g^-1(s). The automorphism g^-1 of both halves turns SEAL's into
ours, X -> X^g ours into SEAL's. Digits are one prime each, and both multiply the digit's key by the special prime.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator

import numpy as np

from hetorch.engine import _native
from hetorch.engine.context import core_context
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.errors import InputError, KeyMissingError, WireError
from hetorch.interop.seal_format.compression import DEFAULT_COMPRESSION, compression_number
from hetorch.interop.seal_format.members import (
    frame_pieces,
    framed_prefix,
    members_bytes,
    read_members,
    uniform_limit,
)
from hetorch.interop.seal_format.orders import to_ours, to_seal
from hetorch.interop.seal_format.parameters import key_parms_id, seal_parameters
from hetorch.interop.seal_format.stream import HEADER_BYTES, Bytes, Reader, Words
from hetorch.interop.seal_format.zstd_frames import Piece, Residues
from hetorch.params import ParameterSet
from hetorch.quantities import count_text


def load_relin_keys(parameters: ParameterSet, data: Bytes) -> _native.SwitchingKey:
    """Read the relinearisation key of products of two ciphertexts, for all levels.

    Arguments and errors are those of load_ciphertext.
    """
    what = "SEAL's relinearisation keys"
    keys = _load(parameters, data, 1, None, what)
    if 0 not in keys:
        raise WireError(f"{what} hold no key")
    return keys[0]


def load_galois_keys(
    parameters: ParameterSet, data: Bytes, *, elements: Collection[int] | None = None
) -> dict[int, _native.SwitchingKey]:
    """Read the keys by Galois element, for all levels; of `elements`, if that is not None, those that are there.

    Other arguments and errors are those of load_ciphertext. A key takes 16 N (max_level + 1) (max_level + 2) bytes.
    """
    wanted = None if elements is None else {(element - 1) // 2 for element in elements}
    keys = _load(parameters, data, parameters.ring_degree, wanted, "SEAL's Galois keys")
    return {2 * place + 1: key for place, key in keys.items()}


def load_evaluation_keys(
    parameters: ParameterSet, spec: EvaluationKeySpec, *, relin: Bytes = b"", galois: Bytes = b""
) -> _native.EvaluationKeys:
    """Read the keys of `spec` that a client's SEAL saved, for an engine; further Galois keys are ignored.

    KeyMissingError if a key of `spec` is missing; other arguments and errors are those of load_ciphertext.
    """
    relinearisation = None
    if spec.relinearisation_level is not None:
        if not len(relin):
            raise KeyMissingError("the plan multiplies ciphertexts, but no relinearisation keys were given")
        relinearisation = load_relin_keys(parameters, relin)
    elements = [element for element, _ in spec.galois]
    keys = load_galois_keys(parameters, galois, elements=elements) if elements and len(galois) else {}
    missing = [element for element in elements if element not in keys]
    if missing:
        raise KeyMissingError(
            f"{len(missing)} of {len(elements)} Galois keys are missing, the first for the element {missing[0]}"
        )
    return _native.EvaluationKeys(relinearisation, list(keys.items()))


def dump_relin_keys(
    parameters: ParameterSet, key: _native.SwitchingKey, *, compression: str = DEFAULT_COMPRESSION
) -> bytes:
    """Write a relinearisation key as SEAL saves it."""
    return _dump(parameters, {1: key}, 1, compression)


def dump_galois_keys(
    parameters: ParameterSet,
    keys: dict[int, _native.SwitchingKey],
    *,
    compression: str = DEFAULT_COMPRESSION,
) -> bytes:
    """Write Galois keys as SEAL saves them.

    A key for a lower level than the highest is filled up with zeros, since SEAL knows whole keys only; above its level
    SEAL computes wrong results with it, without an error.
    """
    n = parameters.ring_degree
    wrong = [element for element in keys if element % 2 == 0 or not 1 < element < 2 * n]
    if wrong:
        raise InputError(f"Galois elements are odd, above 1 and below {2 * n}, got {wrong[0]}")
    return _dump(parameters, keys, n, compression)


def _dump(
    parameters: ParameterSet, keys: dict[int, _native.SwitchingKey], places: int, compression: str
) -> bytes:
    """Write keys by Galois element, 1 for the relinearisation key's."""
    return frame_pieces(_pieces(parameters, keys, places), compression_number(compression))


def _pieces(parameters: ParameterSet, keys: dict[int, _native.SwitchingKey], places: int) -> Iterator[Piece]:
    """Yield the content: at each place the number of digits and, for each digit, a framed public key."""
    primes = seal_parameters(parameters).coeff_modulus
    parms_id = key_parms_id(parameters)
    shape = (2, len(primes), parameters.ring_degree)
    prefix = framed_prefix(parms_id, shape, 1.0)
    yield parms_id + struct.pack("<Q", places)
    place = 0
    for element in sorted(keys):
        yield bytes(8 * ((element - 1) // 2 - place))  # no digits at the places between
        place = (element - 1) // 2 + 1
        # Our key turns into SEAL's by X -> X^element.
        rows = np.asarray(_native.switching_key_rows(keys[element]))
        rows = _filled(parameters, rows, keys[element].level)
        yield struct.pack("<Q", len(rows))
        for digit in rows:
            yield prefix
            yield Residues(to_seal(digit, primes, element), primes)
    yield bytes(8 * (places - place))


def _load(
    parameters: ParameterSet, data: Bytes, places: int, wanted: Collection[int] | None, what: str
) -> dict[int, _native.SwitchingKey]:
    primes = seal_parameters(parameters).coeff_modulus
    n = parameters.ring_degree
    reader = Reader.of_frame(data, what, keys_limit(primes, n, memoryview(data).nbytes, places))
    if bytes(reader.take(32)) != key_parms_id(parameters):
        raise WireError(f"{what} were made under other parameters: their parms_id is not that of these")
    reader.expect(places, "the number of places")
    digit_bytes = members_bytes(2, len(primes), n)
    primes_of = {key_parms_id(parameters): primes}
    keys: dict[int, _native.SwitchingKey] = {}
    # One buffer for all keys, of which the core has its own copies: new memory costs as much time as the copy.
    rows = np.empty((len(primes) - 1, 2, len(primes), n), dtype=np.uint64)
    for place in range(places):
        digits = reader.number()
        if digits == 0:
            continue
        if digits != len(primes) - 1:
            raise WireError(f"{what}: a key has {count_text(digits, 'digit')}, expected {len(primes) - 1}")
        inners = [reader.nested(digit_bytes, "a digit") for _ in range(digits)]
        if wanted is not None and place not in wanted:
            continue
        inverse = pow(2 * place + 1, -1, 2 * n) if places > 1 else 1
        for digit, inner in enumerate(inners):
            members = read_members(inner, primes_of, n, 2, what)
            to_ours(members.rows, primes, inverse, out=rows[digit])
        keys[place] = _native.switching_key_of_rows(core_context(parameters), digits - 1, rows)
    reader.finish()
    return keys


def keys_limit(primes: tuple[int, ...], ring_degree: int, size: int, places: int) -> int:
    """Return the most bytes that `size` compressed bytes may decompress to.

    They may hold a key at every place, as far as uniform residues allow, and the lengths and headers between them.
    """
    key = (len(primes) - 1) * (HEADER_BYTES + members_bytes(2, len(primes), ring_degree))
    between = 40 + places * 8
    return between + min(places * key, uniform_limit(size, primes))


def _filled(parameters: ParameterSet, rows: Words, level: int) -> Words:
    """Return a key's rows (digits, 2, primes, N) for `level`, filled up with zeros to the highest level."""
    top = parameters.max_level
    if level == top:
        return rows
    result = np.zeros((top + 1, 2, top + 2, rows.shape[-1]), dtype=np.uint64)
    result[: level + 1, :, : level + 1] = rows[:, :, :-1]
    result[: level + 1, :, -1] = rows[:, :, -1]
    return result
