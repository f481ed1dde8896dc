"""The target of `inspect`, `keygen` and `public-key`: a plan folder or the address of a server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hetorch.errors import InputError

if TYPE_CHECKING:
    from hetorch.client.credentials import Credentials
    from hetorch.plan.public import PublicPlan


def is_address(target: str) -> bool:
    """True if `target` is the address of a server rather than a folder."""
    return target.startswith(("http://", "https://"))


def plan_folder(target: str) -> Path:
    """Return the folder; InputError unless it exists."""
    folder = Path(target)
    if not folder.is_dir():
        from hetorch.user_information import without_user_information

        shown = without_user_information(target)
        raise InputError(f"{shown!r} is neither a plan folder nor an address such as http://host:port")
    return folder


def public_plan(
    target: str, model: str | None, timeout: float | None, credentials: Credentials
) -> PublicPlan:
    """Return the public plan of a folder, or of a server's model.

    `timeout`: seconds for each answer, a minute by default. `credentials`: for the server.
    """
    if is_address(target):
        from hetorch.client.catalogue import fetch_public_plan

        return fetch_public_plan(target, model, timeout=timeout, credentials=credentials)
    from hetorch.plan.plan import Plan

    return Plan.load(plan_folder(target)).public()
