"""TenSEAL's package of this name: the classes of plain and encrypted tensors, each also in a module of its own."""

from __future__ import annotations

from hetorch.tenseal.names.bfv_tensor import BFVTensor
from hetorch.tenseal.names.bfv_vector import BFVVector
from hetorch.tenseal.names.ckks_tensor import CKKSTensor
from hetorch.tenseal.names.ckks_vector import CKKSVector
from hetorch.tenseal.names.plain_tensor import PlainTensor

__all__ = ["BFVTensor", "BFVVector", "CKKSTensor", "CKKSVector", "PlainTensor"]
