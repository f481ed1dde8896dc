"""The progress of the keys of a plan: by bytes, with the number of whole keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from hetorch.client.key_making import MAKING_KEYS, stored_evaluation_keys
from hetorch.client.key_progress import KeyProgress
from hetorch.client.vault import Vault
from hetorch.plan.sizes import evaluation_key_bytes
from hetorch.quantities import size_text
from tests.server.bootstrap_plan import bootstrap_plan


def test_keys_of_several_sizes_are_told_by_their_bytes(tmp_path: Path) -> None:
    plan = bootstrap_plan().public()
    count, size = plan.key_spec.count, evaluation_key_bytes(plan.parameters, plan.key_spec)
    done = KeyProgress.of(plan)
    assert (len(done.ends), done.size) == (count, size)
    assert done.text(0.0) == f"0 of {count} keys, 0 bytes"
    assert done.text(1.0) == f"{count} of {count} keys, {size_text(size)}"
    for keys in range(1, count):
        # A byte before its end, a key is not done.
        assert done.text(done.fraction(keys)).startswith(f"{keys} of {count} keys, ")
        assert done.text(done.fraction(keys) - 1 / size).startswith(f"{keys - 1} of {count} keys, ")
    told: list[tuple[str, float]] = []
    stored_evaluation_keys(plan, Vault(tmp_path / "keys"), lambda stage, share: told.append((stage, share)))
    assert [stage for stage, _ in told] == [MAKING_KEYS] * (count + 1)
    assert [share for _, share in told] == pytest.approx([done.fraction(i) for i in range(count + 1)])
