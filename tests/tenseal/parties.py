"""Four parties that speak SEAL's and TenSEAL's bytes: hetorch's own API, hetorch.tenseal, TenSEAL and seal-python.

Each can own the keys, encrypt, evaluate and decrypt, with nothing but bytes in between. TenSEAL's SEAL 4.3 refuses
files of the newer SEAL 4.4 in seal-python, and seal-python's build has no zstd, which TenSEAL writes: between these
two hetorch reads and writes the bytes anew (`relayed`). The function is the sum of the squares of COUNT values.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from types import ModuleType
from typing import Any, Protocol

import numpy as np
import seal
import tenseal
from numpy.typing import NDArray

import hetorch.tenseal
from hetorch.engine import _native
from hetorch.engine.keys import EvaluationKeySpec, galois_element
from hetorch.engine.native import NativeEngine
from hetorch.engine.secret import SecretKey, encrypt_with_public_key
from hetorch.interop.seal_format import (
    SealParameters,
    dump_ciphertext,
    dump_galois_keys,
    dump_public_key,
    dump_relin_keys,
    load_ciphertext,
    load_galois_keys,
    load_public_key,
    load_relin_keys,
)
from hetorch.interop.seal_format.secret_key import (
    dump_secret_key,
    load_secret_key,
    make_public_key,
)
from hetorch.interop.tenseal_format import CkksVectorMessage, ContextMessage, PrivateMessage
from hetorch.params import ParameterSet, Security

N = 8192
BITS = [60, 40, 40, 60]
SCALE = 2.0**40
COUNT = 8
STEPS = (4, 2, 1)
ELEMENTS = [galois_element(steps, N, 3) for steps in STEPS]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Keys:
    """One owner's keys as SEAL's bytes; `secret` stays with the owner, empty elsewhere. `parameters` too are bytes."""

    parameters: bytes
    public: bytes
    relin: bytes
    galois: bytes
    secret: bytes = b""

    def upload(self) -> Keys:
        return replace(self, secret=b"")


class Party(Protocol):
    @property
    def name(self) -> str: ...
    def __hash__(self) -> int: ...
    def make_keys(self) -> Keys: ...
    def encrypt(self, keys: Keys, values: Values) -> bytes: ...
    def evaluate(self, keys: Keys, ciphertext: bytes) -> bytes: ...
    def decrypt(self, keys: Keys, ciphertext: bytes) -> float:
        """The first slot."""


@lru_cache(maxsize=8)
def parameter_set(data: bytes) -> ParameterSet:
    return SealParameters.load(data).to_parameter_set(Security.HE_STANDARD_2018)


@dataclass(frozen=True, slots=True)
class Hetorch:
    """hetorch's own API."""

    name: str = "hetorch"

    def make_keys(self) -> Keys:
        own = ParameterSet.from_bits(
            N, BITS[:-1], BITS[-1:], security=Security.HE_STANDARD_2018, slot_generator=3
        )
        key = SecretKey.generate(own)
        top = own.max_level
        made = key.evaluation_keys(EvaluationKeySpec(top, tuple((e, top) for e in sorted(ELEMENTS))))
        assert made.relinearisation is not None
        return Keys(
            SealParameters.of(own).dump(),
            dump_public_key(make_public_key(key)),
            dump_relin_keys(own, made.relinearisation),
            dump_galois_keys(own, {element: made.galois(element) for element in ELEMENTS}),
            dump_secret_key(key),
        )

    def encrypt(self, keys: Keys, values: Values) -> bytes:
        own = parameter_set(keys.parameters)
        slots = np.pad(values, (0, own.slot_count - len(values)))
        public = load_public_key(own, keys.public).native()
        return dump_ciphertext(own, encrypt_with_public_key(own, public, slots, scale=SCALE))

    def evaluate(self, keys: Keys, ciphertext: bytes) -> bytes:
        own = parameter_set(keys.parameters)
        engine = _hetorch_engine(keys)
        a = load_ciphertext(own, ciphertext)
        total = engine.rescale(engine.multiply(a, a))
        for steps in STEPS:
            total = engine.add(total, engine.rotate(total, steps))
        return dump_ciphertext(own, total)

    def decrypt(self, keys: Keys, ciphertext: bytes) -> float:
        own = parameter_set(keys.parameters)
        key = load_secret_key(own, keys.secret)
        return float(key.decrypt(load_ciphertext(own, ciphertext))[0])


@lru_cache(maxsize=8)
def _hetorch_engine(keys: Keys) -> NativeEngine:
    own = parameter_set(keys.parameters)
    galois = load_galois_keys(own, keys.galois, elements=ELEMENTS)
    relin = load_relin_keys(own, keys.relin)
    return NativeEngine(own, evaluation_keys=_native.EvaluationKeys(relin, list(galois.items())))


@dataclass(frozen=True, slots=True)
class TensealApi:
    """A package with TenSEAL's API."""

    name: str
    module: ModuleType

    def make_keys(self) -> Keys:
        context = self.module.context(self.module.SCHEME_TYPE.CKKS, N, -1, BITS)
        context.global_scale = SCALE
        context.generate_galois_keys()
        public = ContextMessage.load(context.serialize())
        private = ContextMessage.load(context.serialize(save_secret_key=True)).private
        assert private is not None
        return Keys(
            bytes(public.encryption_parameters),
            bytes(public.public_key),
            bytes(public.relin_keys),
            bytes(public.galois_keys),
            bytes(private.secret_key),
        )

    def encrypt(self, keys: Keys, values: Values) -> bytes:
        vector = self.module.ckks_vector(_tenseal_context(self, keys), values.tolist())
        return bytes(CkksVectorMessage.load(vector.serialize()).ciphertexts[0])

    def evaluate(self, keys: Keys, ciphertext: bytes) -> bytes:
        result = self._vector(keys, ciphertext, COUNT).square().sum()
        return bytes(CkksVectorMessage.load(result.serialize()).ciphertexts[0])

    def decrypt(self, keys: Keys, ciphertext: bytes) -> float:
        return float(self._vector(keys, ciphertext, 1).decrypt()[0])

    def _vector(self, keys: Keys, ciphertext: bytes, size: int) -> Any:
        message = CkksVectorMessage((size,), (relayed(self, keys, ciphertext, "ciphertext"),), SCALE)
        return self.module.ckks_vector_from(_tenseal_context(self, keys), message.dump())


@lru_cache(maxsize=16)
def _tenseal_context(party: TensealApi, keys: Keys) -> Any:
    secret = relayed(party, keys, keys.secret, "secret") if keys.secret else b""
    message = ContextMessage(
        relayed(party, keys, keys.parameters, "parameters"),
        relayed(party, keys, keys.public, "public"),
        global_scale=SCALE,
        relin_keys=b"" if secret else relayed(party, keys, keys.relin, "relin"),
        galois_keys=b"" if secret else relayed(party, keys, keys.galois, "galois"),
        private=PrivateMessage(secret) if secret else None,
    )
    return party.module.context_from(message.dump())


@dataclass(frozen=True, slots=True)
class SealPython:
    """seal-python, without any part of hetorch but the relay."""

    name: str = "seal-python"

    def make_keys(self) -> Keys:
        settings = seal.EncryptionParameters(seal.scheme_type.ckks)
        settings.set_poly_modulus_degree(N)
        settings.set_coeff_modulus(seal.CoeffModulus.Create(N, BITS))
        generator = seal.KeyGenerator(seal.SEALContext(settings))
        galois = seal.GaloisKeys()
        generator.create_galois_keys(list(STEPS), galois)
        return Keys(
            settings.to_bytes(),
            generator.create_public_key().to_string(),
            generator.create_relin_keys().to_string(),
            galois.to_string(),
            generator.secret_key().to_string(),
        )

    def encrypt(self, keys: Keys, values: Values) -> bytes:
        context, _, _ = _seal_objects(self, keys)
        public = context.from_public_str(relayed(self, keys, keys.public, "public"))
        slots = np.pad(values, (0, N // 2 - len(values)))
        plaintext = seal.CKKSEncoder(context).encode(slots, SCALE)
        return bytes(seal.Encryptor(context, public).encrypt(plaintext).to_string())

    def evaluate(self, keys: Keys, ciphertext: bytes) -> bytes:
        context, relin, galois = _seal_objects(self, keys)
        evaluator = seal.Evaluator(context)
        a = context.from_cipher_str(relayed(self, keys, ciphertext, "ciphertext"))
        total = evaluator.rescale_to_next(evaluator.relinearize(evaluator.square(a), relin))
        for steps in STEPS:
            total = evaluator.add(total, evaluator.rotate_vector(total, steps, galois))
        return bytes(total.to_string())

    def decrypt(self, keys: Keys, ciphertext: bytes) -> float:
        context, _, _ = _seal_objects(self, keys)
        secret = context.from_secret_str(relayed(self, keys, keys.secret, "secret"))
        encrypted = context.from_cipher_str(relayed(self, keys, ciphertext, "ciphertext"))
        return float(seal.CKKSEncoder(context).decode(seal.Decryptor(context, secret).decrypt(encrypted))[0])


@lru_cache(maxsize=16)
def _seal_objects(party: SealPython, keys: Keys) -> tuple[Any, Any, Any]:
    settings = seal.EncryptionParameters(seal.scheme_type.ckks)
    settings.load_bytes(relayed(party, keys, keys.parameters, "parameters"))
    context = seal.SEALContext(settings)
    relin = context.from_relin_str(relayed(party, keys, keys.relin, "relin"))
    galois = context.from_galois_str(relayed(party, keys, keys.galois, "galois"))
    return context, relin, galois


def relayed(party: Party, keys: Keys, data: bytes, kind: str) -> bytes:
    """What `party` can read: hetorch's parties read all, TenSEAL SEAL 4.3, seal-python what is not compressed."""
    minor_version, compression = data[4], data[5]
    if party.name == "tenseal" and minor_version <= 3:
        return data
    if party.name == "seal-python" and compression == 0:
        return data
    if party.name.startswith("hetorch"):
        return data
    own = parameter_set(keys.parameters)
    if kind == "parameters":
        return SealParameters.load(data).dump()
    if kind == "public":
        return dump_public_key(load_public_key(own, data))
    if kind == "secret":
        return dump_secret_key(load_secret_key(own, data))
    if kind == "relin":
        return dump_relin_keys(own, load_relin_keys(own, data))
    if kind == "galois":
        return dump_galois_keys(own, load_galois_keys(own, data))
    return dump_ciphertext(own, load_ciphertext(own, data))


PARTIES: tuple[Party, ...] = (
    Hetorch(),
    TensealApi("hetorch.tenseal", hetorch.tenseal),
    TensealApi("tenseal", tenseal),
    SealPython(),
)


def forget() -> None:
    """Let go of all contexts and keys that were kept between tests."""
    for kept in (_hetorch_engine, _tenseal_context, _seal_objects):
        kept.cache_clear()
