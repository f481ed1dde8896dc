"""TenSEAL's module of this name, which holds `CKKSVector`."""

from __future__ import annotations

from hetorch.tenseal.names.ckks_vector import CKKSVector

__all__ = ["CKKSVector"]
