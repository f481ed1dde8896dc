"""Served models, and one client's keys for each, as for the tests of the server."""

from __future__ import annotations

from tests.server.conftest import owner, served, slow, slow_owner

__all__ = ["owner", "served", "slow", "slow_owner"]
