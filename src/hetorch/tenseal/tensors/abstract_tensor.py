"""TenSEAL's module of this name."""

from __future__ import annotations

from hetorch.tenseal.abstract import AbstractTensor

__all__ = ["AbstractTensor"]
