"""TenSEAL's module of this name."""

from __future__ import annotations

from hetorch.tenseal.vector import CKKSVector

__all__ = ["CKKSVector"]
