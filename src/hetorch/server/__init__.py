"""Layer 5: the server's side: an ASGI service that computes on ciphertexts and never holds a secret key.

`create_app` makes the service. It is loaded when it is first used, so that a process can be isolated before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hetorch.server.app import create_app

__all__ = ["create_app"]


if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        """Load create_app."""
        if name != "create_app":
            raise AttributeError(f"module 'hetorch.server' has no attribute {name!r}")
        from hetorch.optional_packages import explain_missing

        with explain_missing("hetorch.server.create_app"):
            from hetorch.server.app import create_app

        return create_app
