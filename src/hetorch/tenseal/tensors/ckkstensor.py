"""TenSEAL's module of this name, which holds `CKKSTensor`."""

from __future__ import annotations

from hetorch.tenseal.names.ckks_tensor import CKKSTensor

__all__ = ["CKKSTensor"]
