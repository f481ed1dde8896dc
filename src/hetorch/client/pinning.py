"""The plan that a client's owner pinned: what the server says of the model must be what its compiler said."""

from __future__ import annotations

import os
import re

from hetorch.errors import InputError, PlanUseError
from hetorch.plan.plan import Plan
from hetorch.plan.public import PublicPlan

PinnedPlan = PublicPlan | Plan | str | os.PathLike[str]
"""A plan, its folder, or the SHA-256 of its public part in hexadecimal (PublicPlan.sha256, `hetorch inspect`)."""
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def check_pinned(public: PublicPlan, pinned: PinnedPlan) -> None:
    """Raise PlanUseError unless a server's public plan is the pinned one, byte by byte.

    The plan's own fingerprint would not do: it is the server's word. StorageError or PlanFormatError if a folder cannot
    be read, InputError if `pinned` is nothing of PinnedPlan.
    """
    digest = _digest(pinned)
    if public.sha256 != digest:
        raise PlanUseError(
            f"the server's plan {public.name!r} is not the pinned one: the SHA-256 of its public part is "
            f"{public.sha256}, pinned is {digest}; ask whoever compiled the model which one is right"
        )


def _digest(pinned: PinnedPlan) -> str:
    if isinstance(pinned, PublicPlan):
        return pinned.sha256
    if isinstance(pinned, str) and _SHA256.fullmatch(pinned):
        return pinned.lower()
    if isinstance(pinned, str | os.PathLike):
        pinned = Plan.load(pinned)
    if not isinstance(pinned, Plan):
        raise InputError(
            f"pinned must be a plan, its folder or a SHA-256 in 64 hexadecimal digits, got a {type(pinned).__name__}"
        )
    return pinned.public().sha256
