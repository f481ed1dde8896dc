"""TenSEAL's module of this name."""

from __future__ import annotations

from hetorch.tenseal.bfv import BFVVector

__all__ = ["BFVVector"]
