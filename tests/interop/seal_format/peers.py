"""SEAL itself, twice: seal-python (SEAL 4.4, without compression) and the SEAL 4.3 inside TenSEAL (zstd, seeded
objects)."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import seal
from numpy.typing import NDArray
from tenseal import sealapi

from hetorch.interop.seal_format import SealParameters
from hetorch.params import ParameterSet, Security

SCALE = 2.0**30


def parameters(ring_degree: int = 1 << 10, bits: tuple[int, ...] = (45, 35, 35, 45)) -> ParameterSet:
    return ParameterSet.from_bits(
        ring_degree, list(bits[:-1]), [bits[-1]], security=Security.NONE, slot_generator=3
    )


def saved(thing: Any) -> bytes:
    """What an object of either module writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "object")
        thing.save(str(path))
        return path.read_bytes()


def loaded(thing: Any, context: Any, data: bytes) -> Any:
    """`thing`, after it read the bytes; both modules check them against the context."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "object")
        path.write_bytes(data)
        if context is None:
            thing.load(str(path))
        else:
            thing.load(context, str(path))
    return thing


class SealPython:
    """A key owner with seal-python; the parameters come in as our bytes."""

    def __init__(self, own: ParameterSet) -> None:
        self.parameters = own
        settings = loaded(
            seal.EncryptionParameters(seal.scheme_type.ckks), None, SealParameters.of(own).dump()
        )
        self.settings = settings
        self.context = seal.SEALContext(settings, True, seal.sec_level_type.none)
        assert self.context.parameters_set() and self.context.using_keyswitching()
        self.generator = seal.KeyGenerator(self.context)
        self.secret = self.generator.secret_key()
        self.encoder = seal.CKKSEncoder(self.context)
        self.evaluator = seal.Evaluator(self.context)
        self.decryptor = seal.Decryptor(self.context, self.secret)

    def encrypt(self, values: NDArray[Any]) -> seal.Ciphertext:
        encryptor = seal.Encryptor(self.context, self.secret)
        return encryptor.encrypt_symmetric(self.encoded(values))

    def encoded(self, values: NDArray[Any]) -> seal.Plaintext:
        return self.encoder.encode(values, SCALE)

    def decrypt(self, ciphertext: seal.Ciphertext) -> NDArray[np.float64]:
        return np.array(self.encoder.decode(self.decryptor.decrypt(ciphertext)))

    def galois_keys(self, steps: list[int]) -> seal.GaloisKeys:
        """Keys of the rotations; step 0 is the conjugation."""
        keys = seal.GaloisKeys()
        self.generator.create_galois_keys(steps, keys)
        return keys


class TensealSeal:
    """The same with the SEAL that TenSEAL carries."""

    def __init__(self, own: ParameterSet) -> None:
        self.parameters = own
        self.settings = loaded(
            sealapi.EncryptionParameters(sealapi.SCHEME_TYPE.CKKS), None, SealParameters.of(own).dump()
        )
        self.context = sealapi.SEALContext(self.settings, True, sealapi.SEC_LEVEL_TYPE.NONE)
        self.generator = sealapi.KeyGenerator(self.context)
        self.secret = self.generator.secret_key()
        self.public = sealapi.PublicKey()
        self.generator.create_public_key(self.public)
        self.encoder = sealapi.CKKSEncoder(self.context)
        self.encryptor = sealapi.Encryptor(self.context, self.public, self.secret)
        self.decryptor = sealapi.Decryptor(self.context, self.secret)

    def encoded(self, values: NDArray[Any]) -> sealapi.Plaintext:
        plaintext = sealapi.Plaintext()
        self.encoder.encode(values.tolist(), SCALE, plaintext)
        return plaintext

    def encrypt(self, values: NDArray[Any]) -> sealapi.Ciphertext:
        ciphertext = sealapi.Ciphertext()
        self.encryptor.encrypt_symmetric(self.encoded(values), ciphertext)
        return ciphertext

    def encrypt_seeded(self, values: NDArray[Any]) -> bytes:
        return saved(self.encryptor.encrypt_symmetric(self.encoded(values)))

    def decrypt(self, ciphertext: sealapi.Ciphertext) -> NDArray[np.float64]:
        plaintext = sealapi.Plaintext()
        self.decryptor.decrypt(ciphertext, plaintext)
        return np.array(self.encoder.decode_double(plaintext))

    def galois_keys(self, elements: list[int]) -> sealapi.GaloisKeys:
        keys = sealapi.GaloisKeys()
        self.generator.create_galois_keys(elements, keys)
        return keys
