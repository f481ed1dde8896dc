"""BFV contexts, vectors and tensors as TenSEAL's bytes, which the real TenSEAL reads and writes too."""

from __future__ import annotations

from typing import Any

import numpy as np

from hetorch.errors import WireError
from hetorch.interop.seal_format import SealParameters
from hetorch.interop.seal_format.members import ciphertext_limit, members_bytes
from hetorch.interop.seal_format.stream import Bytes
from hetorch.interop.seal_format.switching_keys import keys_limit
from hetorch.interop.tenseal_format import BfvTensorMessage, BfvVectorMessage, ContextMessage, PrivateMessage
from hetorch.tenseal.bfv.context import BfvContext
from hetorch.tenseal.bfv.seal_python import library, loaded, saved
from hetorch.tenseal.bfv.vector import BfvData
from hetorch.tenseal.scheme.context_state import encryption_type_of
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE
from hetorch.tenseal.scheme.errors import CiphertextError
from hetorch.tenseal.scheme.tensor_data import TensorData

_MOST_PARTS = 16
"""Polynomials of a ciphertext that was multiplied without relinearisation: SEAL's bound (SEAL_CIPHERTEXT_SIZE_MAX)."""


def load_context(message: ContextMessage, seal: SealParameters, n_threads: int) -> BfvContext:
    """Read a context from TenSEAL's message, whose parameters are `seal`.

    As in TenSEAL, a context that comes with its secret key has its other keys made anew. WireError for keys that do
    not fit the parameters.
    """
    parameters = library().EncryptionParameters(library().scheme_type.bfv)
    try:
        parameters.load_bytes(seal.dump())
    except (RuntimeError, ValueError) as error:
        raise WireError(f"SEAL's parameters of degree {seal.ring_degree}: {error}") from None
    context = BfvContext(parameters, encryption_type_of(message), n_threads)
    context.auto_flags = message.auto_flags
    if message.global_scale > 0:
        context.global_scale = message.global_scale

    degree, primes = context.ring_degree, context.primes

    def read(loader: str, data: Bytes, what: str, limit: int) -> Any:
        return loaded(context.parameters, loader, bytes(data), what, limit) if len(data) else None

    def read_keys(loader: str, data: Bytes, what: str, places: int) -> Any:
        return read(loader, data, what, keys_limit(primes, degree, len(data), places))

    one, pair = (members_bytes(parts, len(primes), degree) for parts in (1, 2))
    context.set_public_key(read("from_public_str", message.public_key, "the public key", pair))
    private = message.private
    if private is None:
        context.set_relin_keys(read_keys("from_relin_str", message.relin_keys, "the relinearisation key", 1))
        context.set_galois_keys(read_keys("from_galois_str", message.galois_keys, "the Galois keys", degree))
        return context
    context.set_secret_key(read("from_secret_str", private.secret_key, "the secret key", one))
    if context.has_secret_key() and private.relin_keys_generated:
        context.generate_relin_keys()
    if context.has_secret_key() and private.galois_keys_generated:
        context.generate_galois_keys()
    return context


def dump_context(
    context: BfvContext,
    save_public_key: bool,
    save_secret_key: bool,
    save_galois_keys: bool,
    save_relin_keys: bool,
) -> bytes:
    """Write a context with those of the keys asked for that it has."""
    asymmetric = context.encryption_type is ENCRYPTION_TYPE.ASYMMETRIC
    public = b""
    if save_public_key and asymmetric and context.has_public_key():
        public = saved(context.public_key())
    relin = galois = b""
    private = None
    if save_secret_key and context.has_secret_key():
        private = PrivateMessage(
            saved(context.secret_key()),
            save_relin_keys and context.has_relin_keys(),
            save_galois_keys and context.has_galois_keys(),
        )
    else:
        if save_relin_keys and context.has_relin_keys():
            relin = saved(context.relin_keys())
        if save_galois_keys and context.has_galois_keys():
            galois = saved(context.galois_keys())
    return ContextMessage(
        context.seal.dump(),
        public,
        context.auto_flags,
        context.global_scale if context.has_global_scale() else -1.0,
        relin,
        galois,
        private,
        context.encryption_type.value,
    ).dump()


def _load_ciphertext(context: BfvContext, data: Bytes) -> Any:
    limit = ciphertext_limit(len(data), _MOST_PARTS, context.primes, context.ring_degree)
    try:
        return loaded(context.parameters, "from_cipher_str", bytes(data), "a ciphertext", limit)
    except WireError as error:
        raise CiphertextError(str(error)) from None


def load_vector(context: BfvContext, data: bytes) -> BfvData:
    """Read a vector under its context; WireError for bytes that are malformed or of other parameters."""
    message = BfvVectorMessage.load(data)
    sizes = tuple(int(size) for size in message.sizes)
    if not sizes or any(not 1 <= size <= context.slot_count for size in sizes):
        raise WireError(f"a ciphertext holds 1 to {context.slot_count} values, the sizes are {sizes[:8]}")
    return BfvData(tuple(_load_ciphertext(context, ciphertext) for ciphertext in message.ciphertexts), sizes)


def dump_vector(data: BfvData) -> bytes:
    """Write a vector."""
    return BfvVectorMessage(data.sizes, tuple(map(saved, data.ciphertexts))).dump()


def load_tensor(context: BfvContext, data: bytes) -> TensorData:
    """Read a tensor under its context; WireError for bytes that are malformed or of other parameters."""
    message = BfvTensorMessage.load(data)
    shape = tuple(int(size) for size in message.shape)
    if int(np.prod(shape, dtype=object)) != len(message.ciphertexts):
        raise WireError(f"{len(message.ciphertexts)} ciphertexts for shape {list(shape)}")
    batch = message.batch_size
    if batch is not None and not 1 <= batch <= context.slot_count:
        raise WireError(f"a batch of {batch}, but {context.slot_count} slots")
    elements = [_load_ciphertext(context, ciphertext) for ciphertext in message.ciphertexts]
    return TensorData.of(None, elements, shape, batch)


def dump_tensor(data: TensorData) -> bytes:
    """Write a tensor."""
    return BfvTensorMessage(data.shape, tuple(map(saved, data.elements.ravel())), data.batch).dump()
