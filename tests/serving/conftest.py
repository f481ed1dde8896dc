"""A served model, and one client's keys for it, as for the tests of the server."""

from __future__ import annotations

from tests.server.conftest import owner, served

__all__ = ["owner", "served"]
