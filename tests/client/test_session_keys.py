"""The keys of a session: those of the plan that asks, also while calls with the plan of before are under way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

from hetorch.client.blocking import BlockingDriver
from hetorch.client.session_keys import SessionKeys
from hetorch.client.vault import Vault
from hetorch.params.insecure import insecure_small
from tests.server.small_plan import small_plan


def test_a_late_call_with_the_plan_of_before_leaves_the_keys_of_the_new_one(tmp_path: Path) -> None:
    servers = cast(Any, None)  # nothing is uploaded
    keys = SessionKeys(BlockingDriver(), servers, Vault(tmp_path), progress=False)
    before, after = (small_plan(parameters=insecure_small(1 << log, 2)).public() for log in (11, 12))

    async def own() -> list[tuple[str, int]]:
        found = [await keys.own(plan) for plan in (before, after, before, after)]
        return [(key_id, secret.parameters.ring_degree) for key_id, secret in found]

    found = asyncio.run(own())
    assert [degree for _, degree in found] == [1 << 11, 1 << 12, 1 << 11, 1 << 12]
    assert found[:2] == found[2:] and found[0][0] != found[1][0]
