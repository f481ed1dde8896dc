"""The workers, as real processes: killed, stopped, short of memory, and replaced; what they computed is compared with
numpy."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from pathlib import Path

import numpy as np
import pytest

from hetorch.params.insecure import insecure_small
from hetorch.serving.errors import (
    Busy,
    ComputationFailed,
    DeadlinePassed,
    KeysMissing,
    OtherKeys,
    OutOfMemory,
    WorkerLost,
)
from hetorch.serving.models import ServedModel, serve_plan
from hetorch.serving.service import Service
from tests.server.bootstrap_plan import bootstrap_plan
from tests.server.conftest import Owner, make_owner
from tests.server.slow_plan import ROTATIONS, SLOW
from tests.server.small_plan import expected, small_plan
from tests.server.workers import broken
from tests.serving.library import X, decrypted, running

ERROR = 1e-4
"""Bound of the error of a result of the small plan: 8 products at scale 2^40, with noise far below 2^20 of it."""


class Running:
    """A prediction that runs, and what it tells of itself."""

    def __init__(
        self, service: Service, model: ServedModel, owner: Owner, key_id: str, **options: object
    ) -> None:
        self.request = owner.request(key_id, X.tolist())
        self.told: list[tuple[int, str]] = []
        self._begun = asyncio.Event()
        given = {"lane": "a", "timeout": 100.0} | options
        self.task = asyncio.create_task(
            service.predict(model, key_id, self.request, tell=self._tell, **given)  # type: ignore[arg-type]
        )

    def _tell(self, done: int, layer: str) -> None:
        self.told.append((done, layer))
        self._begun.set()

    async def begun(self) -> None:
        """Wait until it tells of an operation from now on."""
        self._begun.clear()
        await asyncio.wait_for(self._begun.wait(), 60)


def pids(service: Service) -> list[int]:
    return [worker.pid for worker in service.workers.snapshot()]


async def until_idle(service: Service) -> None:
    async with asyncio.timeout(60):
        while service.workers.pending:
            await asyncio.sleep(0.01)


async def until_replaced(service: Service, old: int) -> None:
    async with asyncio.timeout(60):
        while not (now := pids(service)) or old in now:
            await asyncio.sleep(0.01)


def test_a_killed_worker_is_replaced_and_its_computation_begun_again(
    slow: ServedModel, slow_owner: Owner
) -> None:
    async def main() -> None:
        async with running({"slow": slow}) as (service, counts):
            key_id = await service.put(slow.key_kind, io.BytesIO(slow_owner.keys), len(slow_owner.keys))
            run = Running(service, slow, slow_owner, key_id)
            await run.begun()
            (first,) = pids(service)
            os.kill(first, signal.SIGKILL)
            computed = await run.task
            assert np.abs(decrypted(slow_owner, run.request, computed.response) - expected(X)).max() < ERROR
            assert pids(service) != [first] and len(pids(service)) == 1
            assert counts.counted["worker_deaths"] == counts.counted["retries"] == 1

    asyncio.run(main())


def test_what_kills_two_workers_fails_with_the_reason_and_others_are_served(
    slow: ServedModel, slow_owner: Owner
) -> None:
    async def main() -> None:
        async with running({"slow": slow}) as (service, counts):
            key_id = await service.put(slow.key_kind, io.BytesIO(slow_owner.keys), len(slow_owner.keys))
            run = Running(service, slow, slow_owner, key_id)
            for _ in range(2):
                await run.begun()
                (pid,) = pids(service)
                os.kill(pid, signal.SIGKILL)
                if not run.task.done():
                    await until_replaced(service, pid)
            with pytest.raises(WorkerLost, match="was ended by signal 9, and so had one before"):
                await run.task
            assert (counts.counted["worker_deaths"], counts.counted["retries"]) == (2, 1)
            again = Running(service, slow, slow_owner, key_id)
            assert (await again.task).response

    asyncio.run(main())


@pytest.mark.parametrize("reason", ["gone", "deadline"])
def test_what_nobody_waits_for_stops_at_the_next_operation(
    slow: ServedModel, slow_owner: Owner, reason: str
) -> None:
    """The worker itself goes on: the next computation runs in the same process."""

    async def main() -> None:
        async with running({"slow": slow}) as (service, counts):
            key_id = await service.put(slow.key_kind, io.BytesIO(slow_owner.keys), len(slow_owner.keys))
            (pid,) = pids(service)
            run = Running(service, slow, slow_owner, key_id, timeout=100.0 if reason == "gone" else 0.4)
            await run.begun()
            if reason == "gone":
                run.task.cancel()
            with pytest.raises(asyncio.CancelledError if reason == "gone" else DeadlinePassed):
                await run.task
            await until_idle(service)
            assert counts.counted[f"abandoned {reason}"] == 1
            assert counts.counted["run_seconds"] == 0  # it did not run to its end
            assert run.told and all(done < ROTATIONS and layer == SLOW for done, layer in run.told)
            assert pids(service) == [pid]
            assert (await Running(service, slow, slow_owner, key_id).task).response

    asyncio.run(main())


def test_what_waits_is_taken_out_at_once(slow: ServedModel, slow_owner: Owner) -> None:
    async def main() -> None:
        async with running({"slow": slow}) as (service, _):
            key_id = await service.put(slow.key_kind, io.BytesIO(slow_owner.keys), len(slow_owner.keys))
            runs = [Running(service, slow, slow_owner, key_id)]
            await runs[0].begun()
            runs.append(Running(service, slow, slow_owner, key_id))
            while service.workers.pending < 2:
                await asyncio.sleep(0)
            runs[1].task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await runs[1].task
            assert service.workers.pending == 1 and not runs[1].told
            runs[0].task.cancel()
            await asyncio.gather(runs[0].task, return_exceptions=True)
            await until_idle(service)

    asyncio.run(main())


def test_a_computation_without_memory_ends_its_worker_alone(served: ServedModel, owner: Owner) -> None:
    """At N = 2^15 four keys take 2 * 2 * 3 * 8 * 2^15 bytes each, more than the worker may have."""
    hungry = serve_plan("hungry", small_plan(parameters=insecure_small(1 << 15, 2)))
    allowed = hungry.key_kind.memory_bytes // 2
    hungry_owner = make_owner(hungry.public)

    async def main() -> None:
        models = {"small": served, "hungry": hungry}
        async with running(models, workers=2, worker_memory=allowed) as (service, counts):
            key_id = await service.put(served.key_kind, io.BytesIO(owner.keys), len(owner.keys))
            hungry_id = await service.put(
                hungry.key_kind, io.BytesIO(hungry_owner.keys), len(hungry_owner.keys)
            )
            before = set(pids(service))
            with pytest.raises(OutOfMemory, match="no memory"):
                await Running(service, hungry, hungry_owner, hungry_id).task
            async with asyncio.timeout(30):
                while len(now := set(pids(service))) < 2 or now == before:
                    await asyncio.sleep(0.01)
            assert len(now & before) == 1  # the other worker is the one that it was
            for _ in range(4):
                run = Running(service, served, owner, key_id)
                answer = decrypted(owner, run.request, (await run.task).response)
                assert np.abs(answer - expected(X)).max() < ERROR
            assert counts.counted["out_of_memory"] == 1 and counts.counted["worker_deaths"] == 0

    asyncio.run(main())


def test_computations_that_do_not_fit_together_run_one_after_the_other(
    slow: ServedModel, slow_owner: Owner
) -> None:
    async def main() -> None:
        async with running({"slow": slow}, workers=2, work_memory=slow.need.memory * 3 // 2) as (service, _):
            key_id = await service.put(slow.key_kind, io.BytesIO(slow_owner.keys), len(slow_owner.keys))
            runs = [Running(service, slow, slow_owner, key_id) for _ in range(2)]
            await runs[0].begun()
            busy = [worker for worker in service.workers.snapshot() if worker.model is not None]
            assert len(busy) == 1 and service.workers.pending == 2 and not runs[1].told
            for run in runs:
                run.task.cancel()
            await asyncio.gather(*(run.task for run in runs), return_exceptions=True)
            await until_idle(service)

    asyncio.run(main())


def test_a_killed_fork_server_is_replaced_and_its_workers_go_on(slow: ServedModel, slow_owner: Owner) -> None:
    async def main() -> None:
        async with running({"slow": slow}) as (service, _):
            key_id = await service.put(slow.key_kind, io.BytesIO(slow_owner.keys), len(slow_owner.keys))
            run = Running(service, slow, slow_owner, key_id)
            await run.begun()
            (worker,) = pids(service)
            fork_server = service.workers._crew.fork_server
            assert fork_server is not None
            fork_server._process.kill()
            assert (await run.task).response  # the worker had the server's connection, not the fork server's
            async with asyncio.timeout(60):
                while service.workers._crew.fork_server in (None, fork_server):
                    await asyncio.sleep(0.01)
            os.kill(worker, signal.SIGKILL)
            await until_replaced(service, worker)
            assert (await Running(service, slow, slow_owner, key_id).task).response

    asyncio.run(main())


def test_other_errors_of_a_computation(served: ServedModel, owner: Owner) -> None:
    async def main() -> None:
        async with running({"small": served, "broken": broken(served)}) as (service, _):
            key_id = await service.put(served.key_kind, io.BytesIO(owner.keys), len(owner.keys))
            with pytest.raises(ComputationFailed, match="KeyError"):
                await Running(service, broken(served), owner, key_id).task
            with pytest.raises(OtherKeys, match="the message was made for"):
                await service.predict(served, key_id, owner.request("0" * 64), lane="a", timeout=9)
            path = service.keys.file(served.key_kind, key_id)
            assert path is not None
            path.write_bytes(owner.keys[:-1] + bytes([owner.keys[-1] ^ 1]))
            with pytest.raises(KeysMissing):
                await Running(service, served, owner, key_id).task
            assert not path.exists()  # so that the next upload is stored

    asyncio.run(main())


def test_a_stopped_pool_refuses(served: ServedModel, owner: Owner) -> None:
    async def main() -> None:
        async with running({"small": served}) as (service, _):
            key_id = await service.put(served.key_kind, io.BytesIO(owner.keys), len(owner.keys))
            service.workers.close()
            with pytest.raises(Busy, match="was stopped"):
                await Running(service, served, owner, key_id).task
            (pid,) = pids(service)
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text().split()[2]

    asyncio.run(main())


def test_no_process_that_computes_has_the_code_of_secret_keys(served: ServedModel) -> None:
    """The module in C++ that makes and uses them is mapped into this process, and not into those."""

    async def main() -> None:
        async with running({"small": served}) as (service, _):
            fork_server = service.workers._crew.fork_server
            assert fork_server is not None
            for pid in (*pids(service), fork_server._process.pid):
                maps = Path(f"/proc/{pid}/maps").read_text()
                assert "_native." in maps and "_secret." not in maps
        assert "_secret." in Path("/proc/self/maps").read_text()

    asyncio.run(main())


def test_a_bootstrap_is_told_with_its_place() -> None:
    model = serve_plan("deep", bootstrap_plan())
    owner = make_owner(model.public)

    async def main() -> None:
        async with running({"deep": model}) as (service, _):
            key_id = await service.put(model.key_kind, io.BytesIO(owner.keys), len(owner.keys))
            run = Running(service, model, owner, key_id)
            await run.task
            # The first operation is told whatever its time; between the others there may be too little.
            assert run.told[0] == (1, "first, bootstrap 1 of 2")

    asyncio.run(main())
