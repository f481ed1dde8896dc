"""What crosses the wire and what an aggregator holds: no update, share or key in clear, and no code that knows one."""

from __future__ import annotations

import gc
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from hetorch.federated import Aggregator, Identity
from hetorch.federated.party import dealing, encrypting, opening, secret, update
from hetorch.federated.residues import pack
from hetorch.federated.ring import RING_DEGREE
from hetorch.serving.isolation import SECRET_MODULES
from tests.federated.rounds import Round, roster_of

WINDOW = 16
"""Bytes of a secret that are searched for; 128 random bits do not occur by chance."""


def record_secrets(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """A list that gets every secret of the parties of this process, and their updates in fixed point."""
    secrets: list[bytes] = []
    keep = secret.Secret.__init__

    def record(self: secret.Secret, *values: Any) -> None:
        for value in values:
            if isinstance(value, bytes):
                secrets.append(bytes(bytearray(value)))
                continue
            secrets.append(value.tobytes())
            if value.size % RING_DEGREE == 0:
                secrets.append(pack(np.abs(value)))
        keep(self, *values)

    monkeypatch.setattr(secret.Secret, "__init__", record)
    encode = update.encode

    def encoded(*arguments: Any) -> Iterator[Any]:
        for chunk in encode(*arguments):
            secrets.append(chunk.tobytes()[WINDOW:])
            yield chunk

    monkeypatch.setattr(encrypting, "encode", encoded)
    return secrets


def recorded_round(monkeypatch: pytest.MonkeyPatch) -> tuple[Round, list[bytes], list[Any]]:
    """A finished round, what was secret in it, and the states of its aggregator."""
    secrets = record_secrets(monkeypatch)
    seen: list[Any] = []
    close = Aggregator.close

    def closed(self: Aggregator) -> Any:
        seen.append(self)
        return close(self)

    monkeypatch.setattr(Aggregator, "close", closed)
    rng = np.random.default_rng(5)
    identities = [Identity.generate() for _ in range(4)]
    updates = [{"w": rng.uniform(-1, 1, 2500)} for _ in range(4)]
    around = Round(roster_of(identities, updates[0], 3), identities, updates, [10] * 4)
    assert len(around.run()) == 4
    secrets += [values["w"].tobytes() for values in updates]
    return around, secrets, seen


def windows(secrets: list[bytes]) -> set[bytes]:
    """The first bytes of each secret that are not of small numbers alone, and bytes from its middle."""
    pieces = {s[start : start + WINDOW] for s in secrets for start in (0, len(s) // 2 // WINDOW * WINDOW)}
    return {piece for piece in pieces if len(piece) == WINDOW and len(set(piece)) > 4}


def held_bytes(roots: list[Any]) -> bytes:
    """All byte strings and arrays that are reached from these objects, but for code."""
    pieces, pending, seen = [], list(roots), set()
    while pending:
        item = pending.pop()
        if id(item) in seen or isinstance(item, type) or callable(item):
            continue
        seen.add(id(item))
        if isinstance(item, bytes):
            pieces.append(item)
        elif isinstance(item, np.ndarray):
            pieces.append(item.tobytes())
        else:
            pending += gc.get_referents(item)
    return b"|".join(pieces)


def test_no_secret_crosses_the_wire_or_reaches_the_aggregator(monkeypatch: pytest.MonkeyPatch) -> None:
    around, secrets, aggregators = recorded_round(monkeypatch)
    wanted = windows(secrets)
    assert len(wanted) > 30
    wire = b"|".join(around.wire)
    held = held_bytes(aggregators)
    assert len(held) > 100_000
    assert not [piece for piece in wanted if piece in wire or piece in held]


def test_the_search_finds_what_is_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (dealing, encrypting, opening):
        monkeypatch.setattr(module, "seal", lambda key, nonce, content, identifier: content + bytes(16))
        monkeypatch.setattr(
            module, "unseal", lambda *values: bytes(bytearray(values[2][:-16])), raising=False
        )
    around, secrets, aggregators = recorded_round(monkeypatch)
    wire = b"|".join(around.wire)
    assert [piece for piece in windows(secrets) if piece in wire]
    assert [piece for piece in windows(secrets) if piece in held_bytes(aggregators)]


def test_secrets_are_wiped_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    arrays: list[Any] = []
    keep = secret.Secret.__init__

    def record(self: secret.Secret, *values: Any) -> None:
        arrays.extend(values)
        keep(self, *values)

    monkeypatch.setattr(secret.Secret, "__init__", record)
    rng = np.random.default_rng(5)
    identities = [Identity.generate() for _ in range(3)]
    updates = [{"w": rng.uniform(-1, 1, 25)} for _ in range(3)]
    Round(roster_of(identities, updates[0], 2), identities, updates, [10] * 3).run()
    assert len(arrays) > 20
    for value in arrays:
        assert not any(value) if isinstance(value, bytes) else not value.any()


def test_an_aggregator_loads_no_code_that_knows_secrets() -> None:
    program = (
        "from hetorch.serving.isolation import isolate, loaded_secret_modules\n"
        "isolate()\n"
        "from hetorch.federated import Aggregator, Roster\n"
        "assert not loaded_secret_modules()\n"
        "import sys\n"
        "print(*sorted(name for name in sys.modules if name.startswith('hetorch')))\n"
        "import hetorch.federated.party\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "hetorch.federated.aggregator" in run.stdout
    assert "SecretImportError" in run.stderr
    assert not [name for name in run.stdout.split() if name in SECRET_MODULES or ".party" in name]
