"""Bytes from one library are read by the others: contexts, keys, vectors and tensors, evaluated on either side.

First TenSEAL and hetorch.tenseal with the objects of their interfaces; then four parties (parties.py): who encrypts,
who evaluates with the uploaded keys, who owns the keys and decrypts, in every combination.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import pytest
import tenseal
from tenseal import sealapi

import hetorch.tenseal as ts
from hetorch.interop.seal_format import dump_ciphertext, load_ciphertext
from hetorch.interop.seal_format.secret_key import (
    dump_seeded_galois_keys,
    dump_seeded_relin_keys,
    encrypt_seeded,
    load_secret_key,
)
from tests.interop.seal_format.peers import loaded, saved
from tests.tenseal.parties import COUNT, ELEMENTS, PARTIES, SCALE, Keys, Party, forget, parameter_set
from tests.tenseal.twins import contexts, decrypted

PACKAGES = {"hetorch": ts, "tenseal": tenseal}
VALUES = np.linspace(-1, 1, 9)
MATRIX = np.linspace(-1, 1, 27).reshape(9, 3)


def fresh_context(package: Any, **options: Any) -> Any:
    # N = 4096 and small primes: Galois keys of 3 MB.
    context = package.context(
        package.SCHEME_TYPE.CKKS, 4096, coeff_mod_bit_sizes=[39, 28, 39], n_threads=1, **options
    )
    context.global_scale = 2.0**28
    context.generate_galois_keys()
    return context


@pytest.fixture(scope="module")
def owners() -> dict[str, Any]:
    return {name: fresh_context(package) for name, package in PACKAGES.items()}


@pytest.mark.parametrize("evaluator", PACKAGES)
@pytest.mark.parametrize("client", PACKAGES)
def test_client_encrypts_the_other_computes_and_the_client_decrypts(
    client: str, evaluator: str, owners: dict[str, Any]
) -> None:
    owner, there = PACKAGES[client], PACKAGES[evaluator]
    private = owners[client]
    public = there.context_from(private.serialize())
    assert public.is_public() and public.has_galois_keys() and public.has_relin_keys()
    assert public.global_scale == 2.0**28
    tolerance = (
        2e-3  # N = 4096 at 28 bits: slots of 8 * 64 * 60 / 2^28 = 1e-4, for ten terms and one rotation each
    )
    x = there.ckks_vector_from(public, owner.ckks_vector(private, VALUES).serialize())

    def back(result: Any) -> Any:
        return decrypted(owner.ckks_vector_from(private, result.serialize()))

    assert np.abs(back(x + 1.5) - (VALUES + 1.5)).max() < tolerance
    assert np.abs(back(x * x) - VALUES**2).max() < tolerance
    assert np.abs(back(x * VALUES) - VALUES**2).max() < tolerance
    assert np.abs(back(x.dot(VALUES)) - VALUES @ VALUES).max() < 10 * tolerance
    assert np.abs(back(x.mm(MATRIX)) - VALUES @ MATRIX).max() < 10 * tolerance
    # A ciphertext made by who has only the public key.
    sealed = there.ckks_vector(public, VALUES)
    assert np.abs(back(sealed) - VALUES).max() < tolerance
    tensor = owner.ckks_tensor(private, MATRIX[:2], batch=True)
    moved = there.ckks_tensor_from(public, tensor.serialize())
    assert moved.shape == [3]
    result = owner.ckks_tensor_from(private, (moved * moved).serialize())
    assert np.abs(decrypted(result) - MATRIX[:2] ** 2).max() < tolerance
    assert np.abs(back(x - x * 1.0)).max() < tolerance


def test_who_continues_after_a_product_finds_the_scale_expected(owners: dict[str, Any]) -> None:
    pair = contexts()
    private = pair.theirs
    public = ts.context_from(private.serialize())
    x = ts.ckks_vector_from(public, tenseal.ckks_vector(private, VALUES).serialize())
    back = tenseal.ckks_vector_from(private, (x * x).serialize())
    assert np.abs(np.array((back + 1).decrypt()) - (VALUES**2 + 1)).max() < 1e-5
    assert np.abs(np.array((back * VALUES).decrypt()) - VALUES**3).max() < 1e-5


@pytest.mark.parametrize("reader", PACKAGES)
@pytest.mark.parametrize("writer", PACKAGES)
def test_private_contexts(writer: str, reader: str, owners: dict[str, Any]) -> None:
    private = owners[writer]
    copy = PACKAGES[reader].context_from(private.serialize(save_secret_key=True))
    assert copy.is_private() and copy.has_galois_keys() and copy.has_relin_keys() and copy.has_public_key()
    sealed = PACKAGES[writer].ckks_vector(private, VALUES)
    x = PACKAGES[reader].ckks_vector_from(copy, sealed.serialize())
    assert np.abs(decrypted(x.dot(x)) - VALUES @ VALUES).max() < 2e-2


@pytest.mark.parametrize("reader", PACKAGES)
@pytest.mark.parametrize("writer", PACKAGES)
def test_symmetric_contexts(writer: str, reader: str) -> None:
    there, here = PACKAGES[reader], PACKAGES[writer]
    context = fresh_context(here, encryption_type=here.ENCRYPTION_TYPE.SYMMETRIC)
    public = there.context_from(context.serialize())
    assert public.is_public()
    x = there.ckks_vector_from(public, here.ckks_vector(context, VALUES).serialize())
    back = here.ckks_vector_from(context, (x * x).serialize())
    assert np.abs(decrypted(back) - VALUES**2).max() < 2e-3


@pytest.mark.parametrize("reader", PACKAGES)
@pytest.mark.parametrize("writer", PACKAGES)
def test_what_is_not_asked_for_is_not_written(writer: str, reader: str, owners: dict[str, Any]) -> None:
    private = owners[writer]
    data = private.serialize(
        save_public_key=False, save_secret_key=False, save_galois_keys=False, save_relin_keys=False
    )
    copy = PACKAGES[reader].context_from(data)
    assert not copy.has_galois_keys() and not copy.has_relin_keys()
    assert not copy.has_secret_key() and not copy.has_public_key()
    with pytest.raises(ValueError):
        PACKAGES[reader].ckks_vector(copy, [1.0])


def test_switches_survive(owners: dict[str, Any]) -> None:
    for package, other in ((ts, tenseal), (tenseal, ts)):
        name = "hetorch" if package is ts else "tenseal"
        context = owners[name].copy()
        context.auto_rescale = False
        copy = other.context_from(context.serialize(save_galois_keys=False, save_relin_keys=False))
        assert (copy.auto_relin, copy.auto_rescale, copy.auto_mod_switch) == (True, False, True)


def test_a_public_context_holds_no_secret_key(owners: dict[str, Any]) -> None:
    context = owners["hetorch"].copy()
    secret = context.secret_key().data.native
    context.make_context_public()
    assert context.is_public()
    held = [context.data, *vars(context.data).values()]
    assert not any(thing is secret for thing in held)
    from hetorch.engine.secret import SecretKey

    assert not any(isinstance(thing, SecretKey) for thing in held)
    # And the bytes of a private one hold it only when asked.
    coefficients = secret.coefficients()
    again = ts.context_from(owners["hetorch"].serialize(save_secret_key=True)).secret_key().data.native
    assert np.array_equal(again.coefficients(), coefficients)
    assert ts.context_from(owners["hetorch"].serialize()).is_public()


def test_lazy_loading(owners: dict[str, Any]) -> None:
    private = owners["hetorch"]
    sealed = ts.ckks_vector(private, VALUES).serialize()
    lazy = ts.lazy_ckks_vector_from(sealed)
    assert lazy.size() == 0 and lazy.serialize() == sealed
    copy = lazy.copy()
    for vector in (lazy, copy):
        vector.link_context(private)
        assert np.abs(decrypted(vector) - VALUES).max() < 1e-3
    tensor = ts.lazy_ckks_tensor_from(ts.ckks_tensor(private, MATRIX).serialize())
    tensor.link_context(private)
    assert tensor.shape == [9, 3]


def test_bytes_under_other_parameters_are_refused(owners: dict[str, Any]) -> None:
    other = contexts().ours
    sealed = ts.ckks_vector(owners["hetorch"], VALUES).serialize()
    with pytest.raises(RuntimeError, match="ciphertext data is invalid"):  # as SEAL says under TenSEAL
        ts.ckks_vector_from(other, sealed)
    for cut in (1, 40, len(sealed) // 2, len(sealed) - 1):
        with pytest.raises(ValueError):
            ts.ckks_vector_from(owners["hetorch"], sealed[:cut])


def test_plain_tensors() -> None:
    for dtype, values in (("float", MATRIX), ("int", np.arange(6).reshape(2, 3))):
        data = ts.plain_tensor(values, dtype=dtype).serialize()
        assert ts.plain_tensor_from(data, dtype).tolist() == values.tolist()
    assert tenseal.plain_tensor_from(ts.plain_tensor(MATRIX).serialize()).tolist() == MATRIX.tolist()
    assert ts.plain_tensor_from(tenseal.plain_tensor(MATRIX).serialize()).tolist() == MATRIX.tolist()


# Four parties

EIGHT = np.linspace(-1, 1, COUNT)
SQUARES = float(np.sum(EIGHT**2))
# Public-key encryption at N = 2^13 and scale 2^40, in SEAL's manner (divided by P), leaves errors below 2^-20;
# TenSEAL calls the scale 2^40 after a division by a prime that is 2^-20 off. A wrong key, order, level or scale is
# off by 2^-4 or more.
PARTIES_ERROR = 2.0**-12

NAMES = [party.name for party in PARTIES]


@pytest.fixture(scope="module", autouse=True)
def _forgotten() -> Iterator[None]:
    yield
    forget()


@lru_cache(maxsize=4)
def keys_of(owner: Party) -> Keys:
    return owner.make_keys()


@pytest.mark.parametrize("owner", PARTIES, ids=NAMES)
@pytest.mark.parametrize("evaluator", PARTIES, ids=NAMES)
@pytest.mark.parametrize("encryptor", PARTIES, ids=NAMES)
def test_all_combinations(owner: Party, evaluator: Party, encryptor: Party) -> None:
    keys = keys_of(owner)
    upload = keys.upload()
    result = evaluator.evaluate(upload, encryptor.encrypt(upload, EIGHT))
    assert abs(owner.decrypt(keys, result) - SQUARES) < PARTIES_ERROR


@pytest.mark.parametrize("reader", PARTIES, ids=NAMES)
@pytest.mark.parametrize("owner", PARTIES, ids=NAMES)
def test_every_party_decrypts_with_the_key_of_every_owner(owner: Party, reader: Party) -> None:
    """A secret key that moves to another library, as its owner may."""
    keys = keys_of(owner)
    assert abs(reader.decrypt(keys, PARTIES[0].encrypt(keys.upload(), EIGHT)) - EIGHT[0]) < PARTIES_ERROR


@pytest.mark.parametrize("compression", ["none", "zlib", "zstd"])
@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("evaluator", PARTIES, ids=NAMES)
def test_seeds_and_compressions(evaluator: Party, seeded: bool, compression: str) -> None:
    """What hetorch encrypts with the secret key, in each form; seal-python gets the compressed ones through the
    relay."""
    keys = keys_of(PARTIES[0])
    own = parameter_set(keys.parameters)
    key = load_secret_key(own, keys.secret)
    slots = np.pad(EIGHT, (0, own.slot_count - COUNT))
    if seeded:
        data = encrypt_seeded(key, slots, scale=SCALE, compression=compression)
    else:
        data = dump_ciphertext(own, key.encrypt(slots, scale=SCALE), compression=compression)
    assert data[5] == ["none", "zlib", "zstd"].index(compression)
    result = evaluator.evaluate(keys.upload(), data)
    assert abs(key.decrypt(load_ciphertext(own, result))[0] - SQUARES) < PARTIES_ERROR


@pytest.mark.parametrize("evaluator", PARTIES, ids=NAMES)
def test_seeded_keys(evaluator: Party) -> None:
    """Evaluation keys uploaded in half the size."""
    whole = keys_of(PARTIES[0])
    key = load_secret_key(parameter_set(whole.parameters), whole.secret)
    half = Keys(
        whole.parameters,
        whole.public,
        dump_seeded_relin_keys(key),
        dump_seeded_galois_keys(key, ELEMENTS),
        whole.secret,
    )
    assert len(half.galois) < 0.6 * len(whole.galois)
    result = evaluator.evaluate(half.upload(), PARTIES[0].encrypt(half.upload(), EIGHT))
    assert abs(PARTIES[0].decrypt(half, result) - SQUARES) < PARTIES_ERROR


@pytest.mark.parametrize("evaluator", PARTIES, ids=NAMES)
def test_a_seeded_ciphertext_of_seal(evaluator: Party) -> None:
    """Encrypted with the secret key by the SEAL inside TenSEAL, which sends the seed."""
    keys = keys_of(PARTIES[0])
    settings = loaded(sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS), None, keys.parameters)
    context = sealapi.SEALContext(settings, True, sealapi.SEC_LEVEL_TYPE.TC128)
    secret = loaded(sealapi.SecretKey(), context, keys.secret)
    plaintext = sealapi.Plaintext()
    sealapi.CKKSEncoder(context).encode(EIGHT.tolist(), SCALE, plaintext)
    data = saved(sealapi.Encryptor(context, secret).encrypt_symmetric(plaintext))
    whole = dump_ciphertext(
        parameter_set(keys.parameters), load_ciphertext(parameter_set(keys.parameters), data)
    )
    assert len(data) < 0.6 * len(whole)
    result = evaluator.evaluate(keys.upload(), data)
    assert abs(PARTIES[0].decrypt(keys, result) - SQUARES) < PARTIES_ERROR
