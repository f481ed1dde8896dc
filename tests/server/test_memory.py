"""Memory: the limits follow from the machine, and a request that finds none makes room and fails nobody."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import weakref
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from hetorch import machine_memory
from hetorch.errors import PlanError
from hetorch.server.endpoints import Endpoints
from hetorch.server.settings import GIB, Settings
from hetorch.serving import service
from hetorch.serving.keys import stored_kinds
from hetorch.serving.models import ServedModel
from tests.server.conftest import OCTETS, Owner, make_owner
from tests.server.live import live
from tests.server.scrape import scrape
from tests.server.test_limits import KEYS, predict, put


def take_too_much() -> None:
    bytearray(1 << 62)  # the system refuses it: a MemoryError as any other


def test_retries_of_what_never_fits_do_not_empty_the_store(
    served: ServedModel, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "ROOM_SECONDS", 0.0)
    others = [make_owner(owner.plan) for _ in range(4)]
    with live({"small": served}) as url, httpx.Client(base_url=url, trust_env=False) as http:
        ids = [put(http, one) for one in others]
        with monkeypatch.context() as patched:
            patched.setattr(stored_kinds, "pack_evaluation_keys", lambda *_: take_too_much())
            for _ in range(3):
                assert http.put(KEYS, content=owner.keys, headers=OCTETS).status_code == 503
        assert [http.get(f"{KEYS}/{key_id}").status_code for key_id in ids] == [200] * 4
        assert scrape(http)("out_of_memory_total") == 3


def test_what_a_failed_request_had_taken_is_free_before_the_answer(served: ServedModel) -> None:
    """Each frame of the traceback holds its variables as long as the error is handled."""

    class Taken:
        pass

    def compute() -> None:
        taken = Taken()
        alive.append(weakref.ref(taken))
        take_too_much()

    alive: list[weakref.ref[Taken]] = []
    handler = Endpoints({"small": served}, Settings())
    request = Request({"type": "http", "method": "PUT", "path": "/", "headers": []})
    try:
        compute()
    except MemoryError as error:
        assert alive[0]() is not None
        answer = asyncio.run(handler.refuse_without_memory(request, error))
        assert alive[0]() is None and answer.status_code == 503
    handler.service.close()


def test_an_upload_without_memory_is_busy(
    served: ServedModel, owner: Owner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with live({"small": served}) as url, httpx.Client(base_url=url, trust_env=False) as http:
        with monkeypatch.context() as patched:
            patched.setattr(stored_kinds, "pack_evaluation_keys", lambda *_: take_too_much())
            for _ in range(3):
                answer = http.put(KEYS, content=owner.keys, headers=OCTETS)
                assert (answer.status_code, answer.json()["code"]) == (503, "busy")
        assert predict(http, owner, put(http, owner)).status_code == 200


def groups(monkeypatch: pytest.MonkeyPatch, folder: Path, own: str, limits: dict[str, str]) -> None:
    """Put a machine's control groups into a folder: the groups of the process, and the files of limits."""
    for name, limit in limits.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(limit)
    (folder / "own").write_text(own)
    monkeypatch.setattr(machine_memory, "GROUPS", folder)
    monkeypatch.setattr(machine_memory, "OWN_GROUPS", folder / "own")


@pytest.mark.parametrize(
    ("own", "limits"),
    [
        ("0::/\n", {"memory.max": "1073741824\n"}),  # a container
        ("0::/system.slice/a.service\n", {"system.slice/a.service/memory.max": "1073741824\n"}),
        (
            "0::/system.slice/a.service\n",
            {"system.slice/memory.max": "1073741824", "system.slice/a.service/memory.max": "max\n"},
        ),
        ("5:cpu,cpuacct:/x\n4:memory:/docker/1\n", {"memory/docker/1/memory.limit_in_bytes": "1073741824"}),
    ],
)
def test_limits_follow_from_the_control_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, own: str, limits: dict[str, str]
) -> None:
    groups(monkeypatch, tmp_path, own, limits)
    assert machine_memory.physical_memory() == GIB
    assert Settings().memory_limits() == (GIB // 4, GIB // 8)


@pytest.mark.parametrize(
    ("settings", "needed", "limits", "told"),
    [
        (Settings(), (GIB // 2, GIB // 5), (GIB // 2, GIB // 5), False),  # a large model raises both
        (
            Settings(),
            (GIB * 2, GIB * 2),
            (GIB // 4, GIB // 8),
            False,
        ),  # it cannot be served: Endpoints refuses it
        (Settings(key_memory=GIB - 1000), (0, 0), (GIB - 1000, 1000), False),  # bodies have what keys leave
        (Settings(key_memory=GIB * 2), (0, 0), (GIB * 2, GIB // 8), True),
        (Settings(body_memory=GIB), (0, 0), (GIB // 4, GIB), True),
        (Settings(key_memory=5, body_memory=6), (50, 60), (5, 6), False),  # the owner's word
    ],
)
def test_limits_suit_models_and_machine(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    settings: Settings,
    needed: tuple[int, int],
    limits: tuple[int, int],
    told: bool,
) -> None:
    monkeypatch.setattr("hetorch.server.settings.physical_memory", lambda: GIB)
    assert settings.memory_limits(*needed) == limits
    assert [all(o in r.getMessage() for o in ("--key-memory", "--body-memory")) for r in caplog.records] == [
        True
    ] * told


def test_a_model_above_the_default_is_served(served: ServedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine that just holds its keys and its largest body."""
    keys = served.key_kind.memory_bytes
    body = max(served.limits.largest, served.key_kind.largest_upload)
    monkeypatch.setattr("hetorch.server.settings.physical_memory", lambda: keys + body)
    Endpoints({"small": served}, Settings()).service.close()
    monkeypatch.setattr("hetorch.server.settings.physical_memory", lambda: keys)
    with pytest.raises(PlanError, match=r"raise key_memory= \(--key-memory\)"):
        Endpoints({"small": served}, Settings())


def test_limits_follow_from_the_limit_of_the_process() -> None:
    script = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))\n"
        "from hetorch.server.settings import Settings\n"
        "keys, bodies = Settings().memory_limits()\n"
        "print(keys <= 2 << 30, bodies <= 1 << 30)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.stdout == "True True\n", result.stderr
