"""The keys of the engine's tests, for the tests that hold them against SEAL."""

from __future__ import annotations

from tests.engine.conftest import owner

__all__ = ["owner"]
