"""Tests of threads, of background tasks under asyncio and under trio, and of waiting and retrying."""

from __future__ import annotations

import gc
import sys
import time
from concurrent.futures import CancelledError, Future
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from cookie_consent.base.threads import Backoff, after_fork, call_after_fork, start, wait_for_result, wait_until

BACKENDS = pytest.mark.parametrize("backend", ["asyncio", "trio"])


@BACKENDS
def test_cancellation_does_not_cancel_shared_future(backend: str) -> None:
    async def work() -> None:
        shared, own = Future[int](), Future[int]()
        for future in (shared, own):
            with anyio.move_on_after(0):
                await wait_for_result(future, shared=future is shared)
        assert not shared.cancelled()
        with pytest.raises(CancelledError):
            own.result(0)

    anyio.run(work, backend=backend)


@BACKENDS
def test_result_of_a_future_or_its_exception_is_waited_for(backend: str) -> None:
    late, done, failed = Future[int](), Future[int](), Future[int]()
    done.set_result(1)
    failed.set_exception(ValueError("wrong"))

    async def work() -> None:
        assert await wait_for_result(done) == await wait_for_result(done, shared=True) == 1
        with pytest.raises(ValueError, match="wrong"):
            await wait_for_result(failed)
        with anyio.move_on_after(0):
            await wait_for_result(late, shared=True)

    anyio.run(work, backend=backend)
    late.set_result(1)  # the event loop has ended
    assert late.result() == 1


@BACKENDS
def test_background_task_ends_with_event_loop(backend: str) -> None:
    events: list[str] = []

    async def finish() -> None:
        events.append("done")

    async def work() -> None:
        start(finish)
        start(anyio.sleep_forever, lambda: events.append("ended"))
        gc.collect()  # only we keep the task
        await anyio.wait_all_tasks_blocked()
        assert events == ["done"]

    anyio.run(work, backend=backend)
    assert events == ["done", "ended"]


@pytest.mark.parametrize("is_trio_loaded", [True, False])
def test_background_task_needs_an_event_loop(is_trio_loaded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not is_trio_loaded:
        monkeypatch.delitem(sys.modules, "trio")
    with pytest.raises(RuntimeError):
        start(anyio.lowlevel.checkpoint)


@pytest.mark.parametrize(("holds_at", "seconds", "pauses"), [(1, 0, 0), (2, 0, None), (3, 2, 2), (99, 2, None)])
def test_wait_until_polls_until_condition_or_deadline(holds_at: int, seconds: float, pauses: int | None) -> None:
    calls, slept = list[int](), list[float]()

    def holds() -> bool:
        calls.append(1)
        return len(calls) >= holds_at

    assert wait_until(holds, seconds, 0.5, slept.append) == (pauses is not None)
    assert len(slept) == (pauses if pauses is not None else seconds / 0.5)


def test_slow_sleep_does_not_extend_wait() -> None:
    slept = list[float]()

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        time.sleep(0.03)

    assert not wait_until(lambda: False, 0.02, 0.001, sleep)
    assert len(slept) == 1


def test_backoff_pauses_grow_until_reset() -> None:
    backoff = Backoff(1, 5, jitter=lambda: 1.0)
    assert [backoff.next_pause() for _ in range(5)] == [1, 2, 4, 5, 5]
    backoff.reset()
    assert backoff.next_pause() == 1
    assert Backoff(1, 5, jitter=lambda: 0.0).next_pause() == 0.5
    assert 0.5 <= Backoff(1, 5).next_pause() <= 1


def test_forked_process_resets_what_lives() -> None:
    reset: list[Any] = []

    class Store:
        def after_fork(self) -> None:
            reset.append(id(self))

    kept, dropped = call_after_fork(Store()), call_after_fork(Store())
    del dropped
    gc.collect()
    after_fork()
    assert reset == [id(kept)]
