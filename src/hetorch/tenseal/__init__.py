"""TenSEAL's Python interface on hetorch's engine: `import hetorch.tenseal as ts`.

The calls, arguments, defaults and errors are those of TenSEAL 0.3.18; parameters, keys and bytes are SEAL's, so that
either side of an exchange may be the real one. CKKS needs nothing besides hetorch; BFV needs seal-python.

The package holds secret keys. It belongs into the process of the data owner, or of whoever computes with a public
context. Rooms, from the top: TenSEAL's own modules (`enc_context`, `tensors`, `version`), `names` (the classes), `ckks`
and `bfv` (the schemes), `scheme` (what both stand on).
"""

from __future__ import annotations

from typing import Any

from hetorch.tenseal import enc_context, tensors, version
from hetorch.tenseal.names.context import Context
from hetorch.tenseal.names.encodings import enc_matmul_encoding, im2col_encoding
from hetorch.tenseal.scheme.enums import ENCRYPTION_TYPE, SCHEME_TYPE
from hetorch.tenseal.tensors import BFVTensor, BFVVector, CKKSTensor, CKKSVector, PlainTensor
from hetorch.tenseal.version import __version__


def context(*args: Any, **kwargs: Any) -> Context:
    """Return a new Context; arguments and errors are the constructor's."""
    return Context(*args, **kwargs)


def context_from(data: bytes, n_threads: int | None = None) -> Context:
    """Return the Context of `Context.serialize`'s bytes, or of TenSEAL's."""
    return Context.load(data, n_threads)


def plain_tensor(*args: Any, **kwargs: Any) -> PlainTensor:
    """Return a new PlainTensor; arguments and errors are the constructor's."""
    return PlainTensor(*args, **kwargs)


def plain_tensor_from(data: bytes, dtype: str = "float") -> PlainTensor:
    """Return the PlainTensor of `PlainTensor.serialize`'s bytes."""
    return PlainTensor.load(data, dtype)


def ckks_vector(*args: Any, **kwargs: Any) -> CKKSVector:
    """Return a new CKKSVector; arguments and errors are the constructor's."""
    return CKKSVector(*args, **kwargs)


def ckks_vector_from(context: Context, data: bytes) -> CKKSVector:
    """Return the CKKSVector of `CKKSVector.serialize`'s bytes, linked to `context`."""
    return CKKSVector.load(context, data)


def lazy_ckks_vector_from(data: bytes) -> CKKSVector:
    """Return a CKKSVector whose bytes are read when a context is linked."""
    return CKKSVector.lazy_load(data)


def ckks_tensor(*args: Any, **kwargs: Any) -> CKKSTensor:
    """Return a new CKKSTensor; arguments and errors are the constructor's."""
    return CKKSTensor(*args, **kwargs)


def ckks_tensor_from(context: Context, data: bytes) -> CKKSTensor:
    """Return the CKKSTensor of `CKKSTensor.serialize`'s bytes, linked to `context`."""
    return CKKSTensor.load(context, data)


def lazy_ckks_tensor_from(data: bytes) -> CKKSTensor:
    """Return a CKKSTensor whose bytes are read when a context is linked."""
    return CKKSTensor.lazy_load(data)


def bfv_vector(*args: Any, **kwargs: Any) -> BFVVector:
    """Return a new BFVVector; arguments and errors are the constructor's."""
    return BFVVector(*args, **kwargs)


def bfv_vector_from(context: Context, data: bytes) -> BFVVector:
    """Return the BFVVector of `BFVVector.serialize`'s bytes, linked to `context`."""
    return BFVVector.load(context, data)


def lazy_bfv_vector_from(data: bytes) -> BFVVector:
    """Return a BFVVector whose bytes are read when a context is linked."""
    return BFVVector.lazy_load(data)


def bfv_tensor(*args: Any, **kwargs: Any) -> BFVTensor:
    """Return a new BFVTensor; arguments and errors are the constructor's."""
    return BFVTensor(*args, **kwargs)


def bfv_tensor_from(context: Context, data: bytes) -> BFVTensor:
    """Return the BFVTensor of `BFVTensor.serialize`'s bytes, linked to `context`."""
    return BFVTensor.load(context, data)


def lazy_bfv_tensor_from(data: bytes) -> BFVTensor:
    """Return a BFVTensor whose bytes are read when a context is linked."""
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
