"""TenSEAL's module of this name, which holds `BFVTensor`."""

from __future__ import annotations

from hetorch.tenseal.names.bfv_tensor import BFVTensor

__all__ = ["BFVTensor"]
