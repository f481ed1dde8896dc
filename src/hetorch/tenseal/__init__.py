"""TenSEAL's Python interface on hetorch's engine: `import hetorch.tenseal as ts`.

The same calls, arguments, defaults and errors as TenSEAL 0.3.18, the same parameters, keys and bytes as SEAL, so that
either side of an exchange may be the real one. CKKS needs nothing besides hetorch; BFV needs seal-python.
It holds secret keys: for the process of who owns the data, or of who computes with a public context.
"""

from __future__ import annotations

from typing import Any

from hetorch.tenseal import enc_context, tensors, version
from hetorch.tenseal.context import Context
from hetorch.tenseal.encodings import enc_matmul_encoding, im2col_encoding
from hetorch.tenseal.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.tensors import BFVTensor, BFVVector, CKKSTensor, CKKSVector, PlainTensor
from hetorch.tenseal.version import __version__


def context(*args: Any, **kwargs: Any) -> Context:
    """A Context; arguments and errors are its constructor's."""
    return Context(*args, **kwargs)


def context_from(data: bytes, n_threads: int | None = None) -> Context:
    """A Context from `Context.serialize`'s bytes or TenSEAL's."""
    return Context.load(data, n_threads)


def plain_tensor(*args: Any, **kwargs: Any) -> PlainTensor:
    """A PlainTensor; arguments and errors are its constructor's."""
    return PlainTensor(*args, **kwargs)


def plain_tensor_from(data: bytes, dtype: str = "float") -> PlainTensor:
    """A PlainTensor from `PlainTensor.serialize`'s bytes."""
    return PlainTensor.load(data, dtype)


def ckks_vector(*args: Any, **kwargs: Any) -> CKKSVector:
    """A CKKSVector; arguments and errors are its constructor's."""
    return CKKSVector(*args, **kwargs)


def ckks_vector_from(context: Context, data: bytes) -> CKKSVector:
    """A CKKSVector from `CKKSVector.serialize`'s bytes, linked to `context`."""
    return CKKSVector.load(context, data)


def lazy_ckks_vector_from(data: bytes) -> CKKSVector:
    """A CKKSVector from bytes that are read when a context is linked."""
    return CKKSVector.lazy_load(data)


def ckks_tensor(*args: Any, **kwargs: Any) -> CKKSTensor:
    """A CKKSTensor; arguments and errors are its constructor's."""
    return CKKSTensor(*args, **kwargs)


def ckks_tensor_from(context: Context, data: bytes) -> CKKSTensor:
    """A CKKSTensor from `CKKSTensor.serialize`'s bytes, linked to `context`."""
    return CKKSTensor.load(context, data)


def lazy_ckks_tensor_from(data: bytes) -> CKKSTensor:
    """A CKKSTensor from bytes that are read when a context is linked."""
    return CKKSTensor.lazy_load(data)


def bfv_vector(*args: Any, **kwargs: Any) -> BFVVector:
    """A BFVVector; arguments and errors are its constructor's."""
    return BFVVector(*args, **kwargs)


def bfv_vector_from(context: Context, data: bytes) -> BFVVector:
    """A BFVVector from `BFVVector.serialize`'s bytes, linked to `context`."""
    return BFVVector.load(context, data)


def lazy_bfv_vector_from(data: bytes) -> BFVVector:
    """A BFVVector from bytes that are read when a context is linked."""
    return BFVVector.lazy_load(data)


def bfv_tensor(*args: Any, **kwargs: Any) -> BFVTensor:
    """A BFVTensor; arguments and errors are its constructor's."""
    return BFVTensor(*args, **kwargs)


def bfv_tensor_from(context: Context, data: bytes) -> BFVTensor:
    """A BFVTensor from `BFVTensor.serialize`'s bytes, linked to `context`."""
    return BFVTensor.load(context, data)


def lazy_bfv_tensor_from(data: bytes) -> BFVTensor:
    """A BFVTensor from bytes that are read when a context is linked."""
    return BFVTensor.lazy_load(data)


__all__ = [
    "ENCRYPTION_TYPE",
    "SCHEME_TYPE",
    "BFVTensor",
    "BFVVector",
    "CKKSTensor",
    "CKKSVector",
    "Context",
    "PlainTensor",
    "__version__",
    "bfv_tensor",
    "bfv_tensor_from",
    "bfv_vector",
    "bfv_vector_from",
    "ckks_tensor",
    "ckks_tensor_from",
    "ckks_vector",
    "ckks_vector_from",
    "context",
    "context_from",
    "enc_context",
    "enc_matmul_encoding",
    "im2col_encoding",
    "lazy_bfv_tensor_from",
    "lazy_bfv_vector_from",
    "lazy_ckks_tensor_from",
    "lazy_ckks_vector_from",
    "plain_tensor",
    "plain_tensor_from",
    "tensors",
    "version",
]
