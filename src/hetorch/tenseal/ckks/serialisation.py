"""CKKS contexts, vectors and tensors as TenSEAL's bytes, which the real TenSEAL reads and writes too."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np

from hetorch.engine import _native
from hetorch.engine.native import Ciphertext
from hetorch.errors import WireError
from hetorch.interop.seal_format import (
    SealParameters,
    SealPublicKey,
    dump_ciphertext,
    dump_galois_keys,
    dump_public_key,
    dump_relin_keys,
    load_ciphertext,
    load_galois_keys,
    load_public_key,
    load_relin_keys,
)
from hetorch.interop.seal_format.secret_key import dump_secret_key, load_secret_key
from hetorch.interop.seal_format.stream import Bytes
from hetorch.interop.tenseal_format import (
    CkksTensorMessage,
    CkksVectorMessage,
    ContextMessage,
    PrivateMessage,
)
from hetorch.params.scales import SCALE_TOLERANCE
from hetorch.tenseal.ckks.context import CkksContext
from hetorch.tenseal.ckks.element import Element
from hetorch.tenseal.ckks.layout import Chunk, Layout
from hetorch.tenseal.ckks.parameters import chain_parameters
from hetorch.tenseal.ckks.vector import VectorData
from hetorch.tenseal.scheme.context_state import encryption_type_of
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE
from hetorch.tenseal.scheme.errors import CiphertextError
from hetorch.tenseal.scheme.tensor_data import TensorData


def compression() -> str:
    """Return TenSEAL's own compression, Zstandard, if it is installed here; else zlib, which every SEAL reads too."""
    return "zstd" if find_spec("zstandard") is not None else "zlib"


def load_context(message: ContextMessage, seal: SealParameters, n_threads: int) -> CkksContext:
    """Read a context from TenSEAL's message, whose parameters are `seal`.

    As in TenSEAL, a context that comes with its secret key has its other keys made anew. WireError for keys that do
    not fit the parameters.
    """
    parameters = chain_parameters(seal.ring_degree, seal.coeff_modulus)
    context = CkksContext(parameters, encryption_type_of(message), n_threads)
    context.auto_flags = message.auto_flags
    if message.global_scale >= 0:
        context.global_scale = message.global_scale
    if len(message.public_key):
        context.set_public_key(load_public_key(parameters, message.public_key).native())
    private = message.private
    if private is None:
        if len(message.relin_keys):
            context.set_relin_keys(load_relin_keys(parameters, message.relin_keys))
        if len(message.galois_keys):
            context.set_galois_keys(load_galois_keys(parameters, message.galois_keys))
        return context
    if len(private.secret_key):
        context.set_secret_key(load_secret_key(parameters, bytes(private.secret_key)))
        if private.relin_keys_generated:
            context.generate_relin_keys()
        if private.galois_keys_generated:
            context.generate_galois_keys()
    return context


def dump_context(
    context: CkksContext,
    save_public_key: bool,
    save_secret_key: bool,
    save_galois_keys: bool,
    save_relin_keys: bool,
) -> bytes:
    """Write a context with those of the keys asked for that it has."""
    parameters = context.parameters
    asymmetric = context.encryption_type is ENCRYPTION_TYPE.ASYMMETRIC
    public = b""
    if save_public_key and asymmetric and context.has_public_key():
        public = dump_public_key(
            SealPublicKey.of(parameters, context.public_key()), compression=compression()
        )
    relin = galois = b""
    private = None
    if save_secret_key and context.has_secret_key():
        private = PrivateMessage(
            dump_secret_key(context.secret_key(), compression=compression()),
            save_relin_keys and context.has_relin_keys(),
            save_galois_keys and context.has_galois_keys(),
        )
    else:
        if save_relin_keys and context.has_relin_keys():
            relin = dump_relin_keys(parameters, context.relin_keys(), compression=compression())
        if save_galois_keys and context.has_galois_keys():
            galois = dump_galois_keys(parameters, context.galois_keys(), compression=compression())
    return ContextMessage(
        SealParameters.of(parameters).dump(compression=compression()),
        public,
        context.auto_flags,
        context.global_scale if context.has_global_scale() else -1.0,
        relin,
        galois,
        private,
        context.encryption_type.value,
    ).dump()


def _load_element(context: CkksContext, data: Bytes, scale: float) -> Element:
    try:
        core = load_ciphertext(context.parameters, data)
    except WireError as error:
        raise CiphertextError(str(error)) from None
    expected = context.ladder(scale)[core.level]
    known = any(abs(core.scale - each) <= SCALE_TOLERANCE * each for each in (scale, expected))
    return Element(core, scale if known else core.scale)


def _dump_element(context: CkksContext, element: Element, scale: float) -> bytes:
    """Write one ciphertext for a tensor of `scale`.

    The exact scale of a rescaled ciphertext differs from the one that TenSEAL compares by as much as its primes differ
    from the scale. Where that is within the tolerance of sums, TenSEAL's own is written, so that it can compute on.
    """
    core: Ciphertext = element.core
    if core.scale != scale and abs(core.scale - scale) <= SCALE_TOLERANCE * scale:
        core = _native.ciphertext_of_rows(
            context.core, core.level, core.size, scale, _native.ciphertext_rows(core)
        )
    return dump_ciphertext(context.parameters, core, compression=compression())


def _check_scale(scale: float) -> float:
    if not scale > 0 or not np.isfinite(scale):
        raise WireError(f"the scale is {scale}, expected above 0 and finite")
    return scale


def load_vector(context: CkksContext, data: bytes) -> VectorData:
    """Read a vector under its context; of its slots only those with its values are taken to be known.

    WireError for bytes that are malformed or of other parameters.
    """
    message = CkksVectorMessage.load(data)
    scale = _check_scale(message.scale)
    slot_count = context.parameters.slot_count
    sizes = [int(size) for size in message.sizes]
    if not sizes or len(sizes) != len(message.ciphertexts):
        raise WireError(f"{len(sizes)} sizes for {len(message.ciphertexts)} ciphertexts")
    if any(not 1 <= size <= slot_count for size in sizes):
        raise WireError(f"a ciphertext holds 1 to {slot_count} values, the sizes are {sizes[:8]}")
    chunks = [
        Chunk(_load_element(context, ciphertext, scale), Layout.first_slots(size))
        for size, ciphertext in zip(sizes, message.ciphertexts, strict=True)
    ]
    return VectorData(scale, tuple(chunks))


def dump_vector(context: CkksContext, data: VectorData) -> bytes:
    """Write a vector."""
    return CkksVectorMessage(
        tuple(chunk.layout.size for chunk in data.chunks),
        tuple(_dump_element(context, chunk.element, data.scale) for chunk in data.chunks),
        data.scale,
    ).dump()


def load_tensor(context: CkksContext, data: bytes) -> TensorData:
    """Read a tensor under its context; WireError for bytes that are malformed or of other parameters."""
    message = CkksTensorMessage.load(data)
    scale = _check_scale(message.scale)
    shape = tuple(int(size) for size in message.shape)
    if int(np.prod(shape, dtype=object)) != len(message.ciphertexts):
        raise WireError(f"{len(message.ciphertexts)} ciphertexts for shape {list(shape)}")
    batch = message.batch_size
    if batch is not None and not 1 <= batch <= context.parameters.slot_count:
        raise WireError(f"a batch of {batch}, but {context.parameters.slot_count} slots")
    elements = [_load_element(context, ciphertext, scale) for ciphertext in message.ciphertexts]
    return TensorData.of(scale, elements, shape, batch)


def dump_tensor(context: CkksContext, data: TensorData) -> bytes:
    """Write a tensor."""
    assert data.scale is not None
    scale = data.scale
    return CkksTensorMessage(
        data.shape,
        tuple(_dump_element(context, element, scale) for element in data.elements.ravel()),
        scale,
        data.batch,
    ).dump()
