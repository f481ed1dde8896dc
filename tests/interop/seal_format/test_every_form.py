"""Each kind of object in each compression: what we write SEAL reads, and what SEAL then writes we read, the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import seal
from numpy.typing import NDArray
from tenseal import sealapi

from hetorch.engine import _native
from hetorch.engine.keys import EvaluationKeySpec
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey
from hetorch.interop.seal_format import (
    SealParameters,
    dump_ciphertext,
    dump_galois_keys,
    dump_plaintext,
    dump_public_key,
    dump_relin_keys,
    load_ciphertext,
    load_galois_keys,
    load_plaintext,
    load_public_key,
    load_relin_keys,
)
from hetorch.interop.seal_format.secret_key import (
    dump_secret_key,
    dump_seeded_galois_keys,
    dump_seeded_relin_keys,
    encrypt_seeded,
    load_secret_key,
    make_public_key,
)
from tests.interop.seal_format.peers import SCALE, SealPython, TensealSeal, loaded, parameters, saved

PARAMETERS = parameters()
ELEMENTS = (3, 27, 2 * PARAMETERS.ring_degree - 1)
COMPRESSIONS = ("none", "zlib", "zstd")


@lru_cache(maxsize=1)
def key() -> SecretKey:
    return SecretKey.generate(PARAMETERS)


@lru_cache(maxsize=1)
def values() -> NDArray[np.float64]:
    return np.random.default_rng(3).uniform(-1, 1, PARAMETERS.slot_count)


@dataclass(frozen=True, slots=True)
class Kind:
    """`dump` in a compression; `content` as arrays that compare; the name of SEAL's class."""

    seal_class: str
    dump: Callable[[str], bytes]
    content: Callable[[bytes], list[Any]]


def keys_of_the_evaluator() -> Any:
    top = PARAMETERS.max_level
    return key().evaluation_keys(EvaluationKeySpec(top, tuple((e, top) for e in sorted(ELEMENTS))))


def in_ciphertext(data: bytes) -> list[Any]:
    read = load_ciphertext(PARAMETERS, data)
    return [read.level, read.scale, _native.ciphertext_rows(read)]


def in_plaintext(data: bytes) -> list[Any]:
    read = load_plaintext(PARAMETERS, data)
    return [read.level, read.scale, dump_plaintext(PARAMETERS, read)]


def in_galois(data: bytes) -> list[Any]:
    read = load_galois_keys(PARAMETERS, data)
    return [sorted(read), *(_native.switching_key_rows(read[element]) for element in sorted(read))]


def plaintext(compression: str) -> bytes:
    encoded = NativeEngine(PARAMETERS).encode(values(), level=1, scale=SCALE)
    return dump_plaintext(PARAMETERS, encoded, compression=compression)


def galois(compression: str) -> bytes:
    keys = keys_of_the_evaluator()
    return dump_galois_keys(PARAMETERS, {e: keys.galois(e) for e in ELEMENTS}, compression=compression)


def relin(compression: str) -> bytes:
    return dump_relin_keys(PARAMETERS, keys_of_the_evaluator().relinearisation, compression=compression)


def public(seeded: bool) -> Callable[[str], bytes]:
    return lambda compression: dump_public_key(make_public_key(key()), seeded=seeded, compression=compression)


KINDS: dict[str, Kind] = {
    "parameters": Kind(
        "EncryptionParameters", SealParameters.of(PARAMETERS).dump, lambda data: [SealParameters.load(data)]
    ),
    "plaintext": Kind("Plaintext", plaintext, in_plaintext),
    "ciphertext": Kind(
        "Ciphertext",
        lambda c: dump_ciphertext(PARAMETERS, key().encrypt(values(), scale=SCALE), compression=c),
        in_ciphertext,
    ),
    "seeded ciphertext": Kind(
        "Ciphertext", lambda c: encrypt_seeded(key(), values(), scale=SCALE, compression=c), in_ciphertext
    ),
    "public key": Kind("PublicKey", public(False), lambda data: [load_public_key(PARAMETERS, data).rows]),
    "seeded public key": Kind(
        "PublicKey", public(True), lambda data: [load_public_key(PARAMETERS, data).rows]
    ),
    "secret key": Kind(
        "SecretKey",
        lambda c: dump_secret_key(key(), compression=c),
        lambda data: [load_secret_key(PARAMETERS, data).coefficients()],
    ),
    "relin keys": Kind(
        "RelinKeys", relin, lambda data: [_native.switching_key_rows(load_relin_keys(PARAMETERS, data))]
    ),
    "seeded relin keys": Kind(
        "RelinKeys",
        lambda c: dump_seeded_relin_keys(key(), compression=c),
        lambda data: [_native.switching_key_rows(load_relin_keys(PARAMETERS, data))],
    ),
    "galois keys": Kind("GaloisKeys", galois, in_galois),
    "seeded galois keys": Kind(
        "GaloisKeys",
        lambda c: dump_seeded_galois_keys(key(), list(ELEMENTS), compression=c),
        in_galois,
    ),
}


@pytest.fixture(scope="module")
def sides() -> dict[str, Any]:
    return {"tenseal": TensealSeal(PARAMETERS), "seal-python": SealPython(PARAMETERS)}


def read_by(name: str, side: Any, kind: Kind, data: bytes) -> Any:
    """SEAL's object of these bytes, which it checks against its context."""
    module = sealapi if name == "tenseal" else seal
    if kind.seal_class == "EncryptionParameters":
        scheme = sealapi.SCHEME_TYPE.CKKS if name == "tenseal" else seal.scheme_type.ckks
        return loaded(module.EncryptionParameters(scheme), None, data)
    return loaded(getattr(module, kind.seal_class)(), side.context, data)


def assert_same(seen: list[Any], expected: list[Any]) -> None:
    assert len(seen) == len(expected)
    for one, other in zip(seen, expected, strict=True):
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other


@pytest.mark.parametrize("compression", COMPRESSIONS)
@pytest.mark.parametrize("name", KINDS)
def test_written_read_by_seal_written_by_seal_and_read(
    name: str, compression: str, sides: dict[str, Any]
) -> None:
    kind = KINDS[name]
    data = kind.dump(compression)
    assert data[5] == COMPRESSIONS.index(compression)
    expected = kind.content(data)
    # The SEAL inside TenSEAL reads all of them, and writes zstd.
    written = saved(read_by("tenseal", sides["tenseal"], kind, data))
    assert written[5] == COMPRESSIONS.index("zstd")
    assert_same(kind.content(written), expected)
    # seal-python's is built without compression: it says so, and has the rest.
    if compression != "none":
        with pytest.raises(Exception, match="loaded SEALHeader is invalid"):
            read_by("seal-python", sides["seal-python"], kind, data)
        return
    written = saved(read_by("seal-python", sides["seal-python"], kind, data))
    assert written[5] == COMPRESSIONS.index("none")
    assert_same(kind.content(written), expected)


def test_seeds_halve_what_is_written() -> None:
    for name, whole in (
        ("seeded ciphertext", "ciphertext"),
        ("seeded public key", "public key"),
        ("seeded relin keys", "relin keys"),
        ("seeded galois keys", "galois keys"),
    ):
        assert len(KINDS[name].dump("none")) < 0.55 * len(KINDS[whole].dump("none"))
