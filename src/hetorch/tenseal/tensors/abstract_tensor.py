"""TenSEAL's module of this name, which holds `AbstractTensor`."""

from __future__ import annotations

from hetorch.tenseal.names.abstract_tensor import AbstractTensor

__all__ = ["AbstractTensor"]
