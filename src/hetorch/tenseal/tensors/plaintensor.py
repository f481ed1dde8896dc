"""TenSEAL's module of this name, which holds `PlainTensor`."""

from __future__ import annotations

from hetorch.tenseal.names.plain_tensor import PlainTensor

__all__ = ["PlainTensor"]
