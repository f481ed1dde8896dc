"""TenSEAL's module of this name, which holds `BFVVector`."""

from __future__ import annotations

from hetorch.tenseal.names.bfv_vector import BFVVector

__all__ = ["BFVVector"]
