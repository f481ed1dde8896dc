"""TenSEAL's package of this name: the classes of plain and encrypted tensors, each also in a module of its own."""

from __future__ import annotations

from hetorch.tenseal.bfv import BFVTensor, BFVVector
from hetorch.tenseal.plain import PlainTensor
from hetorch.tenseal.tensor import CKKSTensor
from hetorch.tenseal.vector import CKKSVector

__all__ = ["BFVTensor", "BFVVector", "CKKSTensor", "CKKSVector", "PlainTensor"]
