"""Contexts, vectors and tensors as TenSEAL's bytes, which the real TenSEAL reads and writes too."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hetorch.engine import _native
from hetorch.engine.native import Ciphertext
from hetorch.errors import InputError, WireError
from hetorch.interop import tenseal_format
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
from hetorch.interop.tenseal_format import ContextMessage, PrivateMessage
from hetorch.tenseal.ckks_context import CkksContext
from hetorch.tenseal.element import TOLERANCE, Element
from hetorch.tenseal.element_tensor import TensorData
from hetorch.tenseal.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.errors import BytesError, OperandTypeError
from hetorch.tenseal.layout import Chunk, Layout
from hetorch.tenseal.parameters import chain_parameters
from hetorch.tenseal.polynomial import whole_number
from hetorch.tenseal.vector import VectorData


def compression() -> str:
    """TenSEAL's own, Zstandard, where it can be made here; zlib, which every SEAL reads too, elsewhere."""
    return "zstd" if find_spec("zstandard") is not None else "zlib"


def load_plain_tensor(data: bytes, dtype: str) -> NDArray[Any]:
    """The values of a serialised plain tensor; BytesError (a ValueError, a RuntimeError) if the bytes are not one."""
    try:
        return tenseal_format.load_plain_tensor(data, integers=dtype == "int")
    except WireError as error:
        raise BytesError(str(error)) from None


def dump_plain_tensor(array: NDArray[Any]) -> bytes:
    """TenSEAL's bytes of a plain tensor."""
    return tenseal_format.dump_plain_tensor(array)


# Contexts


def load_context(data: object, n_threads: int | None) -> Any:
    """The state of a serialised context. Of one with its secret key the other keys are made anew, as TenSEAL does.

    TypeError unless `data` is bytes, BytesError (a ValueError and a RuntimeError) if they are not a context.
    """
    import os

    if isinstance(data, str):
        raise BytesError("data must be bytes, got a str: failed to parse stream")
    if not isinstance(data, bytes | bytearray):
        raise OperandTypeError(f"data must be bytes, got {type(data).__name__}")
    threads = whole_number(n_threads) if n_threads else os.cpu_count() or 1
    try:
        return _read_context(bytes(data), threads)
    except WireError as error:
        raise BytesError(str(error)) from None


def _read_context(data: bytes, threads: int) -> Any:
    message = ContextMessage.load(data)
    seal = SealParameters.load(bytes(message.encryption_parameters))
    if seal.scheme == SCHEME_TYPE.BFV.value:
        from hetorch.tenseal.bfv_context import BfvContext

        return BfvContext.load(message, seal, threads)
    if seal.scheme != SCHEME_TYPE.CKKS.value:
        raise WireError(f"the context is of scheme {seal.scheme}, expected CKKS (2) or BFV (1)")
    return _load_ckks(message, seal, threads)


def _load_ckks(message: ContextMessage, seal: SealParameters, threads: int) -> CkksContext:
    parameters = chain_parameters(seal.ring_degree, seal.coeff_modulus)
    context = CkksContext(parameters, encryption_type_of(message), threads)
    set_switches(context, message)
    if message.global_scale >= 0:
        context.global_scale = message.global_scale
    if len(message.public_key):
        context.set_public_key(load_public_key(parameters, bytes(message.public_key)).native())
    private = message.private
    if private is None:
        if len(message.relin_keys):
            context.set_relin_keys(load_relin_keys(parameters, bytes(message.relin_keys)))
        if len(message.galois_keys):
            context.set_galois_keys(load_galois_keys(parameters, bytes(message.galois_keys)))
        return context
    if len(private.secret_key):
        context.set_secret_key(load_secret_key(parameters, bytes(private.secret_key)))
        if private.relin_keys_generated:
            context.generate_relin_keys()
        if private.galois_keys_generated:
            context.generate_galois_keys()
    return context


def dump_context(
    context: Any, save_public_key: bool, save_secret_key: bool, save_galois_keys: bool, save_relin_keys: bool
) -> bytes:
    """A context with the keys asked for, those of them that it has."""
    if not isinstance(context, CkksContext):
        written: bytes = context.dump(save_public_key, save_secret_key, save_galois_keys, save_relin_keys)
        return written
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
        switches_of(context),
        context.global_scale if context.has_global_scale() else -1.0,
        relin,
        galois,
        private,
        context.encryption_type.value,
    ).dump()


def encryption_type_of(message: ContextMessage) -> ENCRYPTION_TYPE:
    """The encryption type that a context's bytes name; WireError for an unknown one."""
    try:
        return ENCRYPTION_TYPE(message.encryption_type)
    except ValueError:
        raise WireError(
            f"the context has encryption type {message.encryption_type}, expected 0 or 1"
        ) from None


def set_switches(context: Any, message: ContextMessage) -> None:
    """The automatic steps as a context's bytes have them."""
    context.auto_relin = bool(message.auto_flags & tenseal_format.AUTO_RELIN)
    context.auto_rescale = bool(message.auto_flags & tenseal_format.AUTO_RESCALE)
    context.auto_mod_switch = bool(message.auto_flags & tenseal_format.AUTO_MOD_SWITCH)


def switches_of(context: Any) -> int:
    """The automatic steps as TenSEAL's flags."""
    return int(
        tenseal_format.AUTO_RELIN * context.auto_relin
        | tenseal_format.AUTO_RESCALE * context.auto_rescale
        | tenseal_format.AUTO_MOD_SWITCH * context.auto_mod_switch
    )


# Vectors and tensors


def _load_element(context: CkksContext, data: bytes, scale: float) -> Element:
    core = load_ciphertext(context.parameters, data)
    expected = context.ladder(scale)[core.level]
    known = any(abs(core.scale - each) <= TOLERANCE * each for each in (scale, expected))
    return Element(core, scale if known else core.scale)


def _dump_element(context: CkksContext, element: Element, scale: float) -> bytes:
    """A rescaled ciphertext's exact scale differs from the one that TenSEAL compares by as much as its primes from the
    scale: where that is within the tolerance of sums it is written as TenSEAL's own, so that it can compute on."""
    core: Ciphertext = element.core
    if core.scale != scale and abs(core.scale - scale) <= TOLERANCE * scale:
        core = _native.ciphertext_of_rows(
            context.core, core.level, core.size, scale, _native.ciphertext_rows(core)
        )
    return dump_ciphertext(context.parameters, core, compression=compression())


def _check_context(context: Any) -> CkksContext:
    if not isinstance(context, CkksContext):
        raise InputError("a CKKS vector or tensor needs a context of SCHEME_TYPE.CKKS")
    return context


def _check_scale(scale: float) -> float:
    if not scale > 0 or not np.isfinite(scale):
        raise WireError(f"the scale is {scale}, expected above 0 and finite")
    return scale


def load_vector(context: Any, data: bytes) -> VectorData:
    """A serialised vector under its context; nothing is taken for granted of the slots beyond its values."""
    context = _check_context(context)
    message = tenseal_format.CkksVectorMessage.load(data)
    scale = _check_scale(message.scale)
    slot_count = context.parameters.slot_count
    sizes = [int(size) for size in message.sizes]
    if not sizes or len(sizes) != len(message.ciphertexts):
        raise WireError(f"{len(sizes)} sizes for {len(message.ciphertexts)} ciphertexts")
    if any(not 1 <= size <= slot_count for size in sizes):
        raise WireError(f"a ciphertext holds 1 to {slot_count} values, the sizes are {sizes[:8]}")
    chunks = [
        Chunk(_load_element(context, bytes(ciphertext), scale), Layout.first_slots(size))
        for size, ciphertext in zip(sizes, message.ciphertexts, strict=True)
    ]
    return VectorData(scale, tuple(chunks))


def dump_vector(context: CkksContext, data: VectorData) -> bytes:
    """TenSEAL's bytes of a vector."""
    return tenseal_format.CkksVectorMessage(
        tuple(chunk.layout.size for chunk in data.chunks),
        tuple(_dump_element(context, chunk.element, data.scale) for chunk in data.chunks),
        data.scale,
    ).dump()


def load_tensor(context: Any, data: bytes) -> TensorData:
    """A serialised tensor under its context."""
    context = _check_context(context)
    message = tenseal_format.CkksTensorMessage.load(data)
    scale = _check_scale(message.scale)
    shape = tuple(int(size) for size in message.shape)
    if int(np.prod(shape, dtype=object)) != len(message.ciphertexts):
        raise WireError(f"{len(message.ciphertexts)} ciphertexts for shape {list(shape)}")
    batch = message.batch_size
    if batch is not None and not 1 <= batch <= context.parameters.slot_count:
        raise WireError(f"a batch of {batch}, but {context.parameters.slot_count} slots")
    elements = [_load_element(context, bytes(ciphertext), scale) for ciphertext in message.ciphertexts]
    return TensorData.of(scale, elements, shape, batch)


def dump_tensor(context: CkksContext, data: TensorData) -> bytes:
    """TenSEAL's bytes of a tensor."""
    assert data.scale is not None
    scale = data.scale
    return tenseal_format.CkksTensorMessage(
        data.shape,
        tuple(_dump_element(context, element, scale) for element in data.elements.ravel()),
        scale,
        data.batch,
    ).dump()
