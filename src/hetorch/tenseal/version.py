"""The release of TenSEAL whose interface this is."""

from __future__ import annotations

__version__ = "0.3.18"
