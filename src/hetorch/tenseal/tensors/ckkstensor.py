"""TenSEAL's module of this name."""

from __future__ import annotations

from hetorch.tenseal.tensor import CKKSTensor

__all__ = ["CKKSTensor"]
