"""TenSEAL's module of this name."""

from __future__ import annotations

from hetorch.tenseal.bfv import BFVTensor

__all__ = ["BFVTensor"]
