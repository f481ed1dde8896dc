"""What crossed the wire and what is in the memory of an aggregator's process: no update, share or key in clear."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hetorch.federated import Identity
from hetorch.wire.frame import Kind
from tests.cli.recording_proxy import recording_proxy
from tests.federated.http.running import aggregator_process, take_part_together
from tests.federated.rounds import Update, roster_of
from tests.federated.test_nothing_secret import record_secrets, windows
from tests.server.process_memory import memory_of


def test_nothing_secret_is_sent_or_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    identities = {index: Identity.generate() for index in range(4)}
    updates: dict[int, Update] = {index: {"w": rng.uniform(-1, 1, 2500)} for index in range(4)}
    roster = roster_of(list(identities.values()), updates[0], 3)
    secrets = record_secrets(monkeypatch)
    memories: list[bytes] = []
    with aggregator_process(roster, tmp_path) as (url, process), recording_proxy(url) as wire:

        def look(party: int, step: Kind) -> None:
            """Look at the memory after the uploads, while the aggregator waits for party 0."""
            if party == 0 and step is Kind.ROUND_AGREEMENT:
                memories.append(memory_of(process.pid))

        results, errors, _ = take_part_together(
            wire.address, roster, identities, updates, number=3, before=look
        )
        assert len(results) == 4, errors
        memories.append(memory_of(process.pid))
        crossed = wire.everything
    secrets += [values["w"].tobytes() for values in updates.values()]
    secrets += [identity.private_bytes() for identity in identities.values()]
    secrets += [results[0].arrays["w"].tobytes()]
    wanted = windows(secrets)
    assert len(wanted) > 30 and len(memories) == 2
    # The search finds what is there; tests/federated/test_nothing_secret.py shows that it finds what is not sealed.
    assert all(identity.public in memory for memory in memories for identity in identities.values())
    assert all(roster.digest in memory for memory in memories)
    assert roster.digest in crossed
    assert len(crossed) > 4 * roster.update_bytes
    assert not [piece for piece in wanted if piece in crossed]
    for memory in memories:
        assert not [piece for piece in wanted if piece in memory]
