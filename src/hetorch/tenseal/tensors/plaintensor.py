"""TenSEAL's module of this name."""

from __future__ import annotations

from hetorch.tenseal.plain import PlainTensor

__all__ = ["PlainTensor"]
