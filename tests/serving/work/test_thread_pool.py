"""The pool of workers: what it counts as pending."""

from __future__ import annotations

import asyncio

import pytest

from hetorch.serving.work.thread_pool import ThreadPool


def test_a_computation_that_could_not_be_submitted_is_not_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses a thread once: the only place of the pool stays free."""
    pool = ThreadPool(1, 0)

    def refuse(*_: object) -> None:
        raise RuntimeError("can't start new thread")

    async def both() -> int:
        with monkeypatch.context() as patched:
            patched.setattr(pool._executor, "submit", refuse)
            with pytest.raises(RuntimeError, match="thread"):
                await pool.run(lambda waited: 1, 20)
        assert pool.pending == 0
        return await pool.run(lambda waited: 2, 20)

    assert asyncio.run(both()) == 2
    pool.close()
