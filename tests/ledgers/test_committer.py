"""Tests of the committer, which writes waiting records to a database in batches, from a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from cookie_consent.ledgers import Entry
from cookie_consent.ledgers.committer import Committer
from tests.support.asgi import run
from tests.support.ledger_writer import entry

LONGEST = 30


class Disk:
    """A stand-in for a database. It can be stalled, and it remembers each batch.

    Args:
        refuses: is called with the consent ids of each batch; an error that it raises refuses the batch.
    """

    def __init__(self, refuses: Callable[[Sequence[str]], None] = lambda names: None) -> None:
        self.written: list[list[str]] = []
        self.tried: list[list[str]] = []
        self.begun = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.is_left = False
        self.threads: set[int] = set()
        self._refuses = refuses
        self._busy = threading.Lock()

    def write(self, entries: Sequence[Entry]) -> list[str]:
        assert self._busy.acquire(blocking=False), "two threads write at once"
        try:
            names = [one.document["consent_id"] for one in entries]
            self.threads.add(threading.get_ident())
            self.tried.append(names)
            self.begun.set()
            # After one timeout nothing waits any more; otherwise each waiting batch would take as long again.
            self.is_left = self.is_left or not self.free.wait(LONGEST)
            assert not self.is_left, "the test never released the disk"
            self._refuses(names)
            self.written.append(names)
            return [f"kept {name}" for name in names]
        finally:
            self._busy.release()

    @property
    def all_written(self) -> list[str]:
        return [name for names in self.written for name in names]


@pytest.fixture
def disk() -> Iterator[Disk]:
    disk = Disk()
    yield disk
    disk.free.set()


def disk_refusing(*bad: str, error: Exception) -> Disk:
    def refuse(names: Sequence[str]) -> None:
        if {*bad} & {*names}:
            raise error

    return Disk(refuse)


def put_while_writing(committer: Committer, disk: Disk, *names: str) -> Any:
    """Put records while another one is written; return their results or errors."""

    async def put() -> list[Any]:
        disk.free.clear()
        disk.begun.clear()
        first = asyncio.create_task(committer.put(entry("first")))
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        waiting = [asyncio.create_task(committer.put(entry(name))) for name in names]
        await asyncio.sleep(0)
        disk.free.set()
        await first
        return await asyncio.gather(*waiting, return_exceptions=True)

    got = run(put())
    committer.close()
    return got


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def test_waiting_records_are_written_in_one_batch(disk: Disk) -> None:
    put_while_writing(Committer(disk.write), disk, *numbers(100))
    assert disk.written == [["first"], numbers(100)]
    assert threading.get_ident() not in disk.threads


def test_batch_size_is_limited(disk: Disk) -> None:
    put_while_writing(Committer(disk.write), disk, *numbers(600))
    assert [len(names) for names in disk.written] == [1, 256, 256, 88]
    assert disk.all_written == ["first", *numbers(600)]


def test_refused_record_does_not_fail_its_batch() -> None:
    wrong = LookupError("this one")
    disk = disk_refusing("2", error=wrong)
    assert put_while_writing(Committer(disk.write), disk, *numbers(4)) == ["kept 0", "kept 1", wrong, "kept 3"]
    assert disk.all_written == ["first", "0", "1", "3"]


@pytest.mark.parametrize("error", [OSError("no space"), ConnectionError("gone"), LookupError("no such table")])
def test_shared_error_fails_whole_batch_without_retry(error: Exception) -> None:
    disk = disk_refusing("2", error=error)
    committer = Committer(disk.write, shared_errors=(OSError, LookupError))
    assert put_while_writing(committer, disk, *numbers(4)) == [error] * 4
    assert disk.tried == [["first"], numbers(4)], "a database that is down is not tried once per record"


@pytest.mark.slow
def test_full_queue_refuses_records(disk: Disk) -> None:
    committer = Committer(disk.write)

    async def put() -> None:
        disk.free.clear()
        waiting = [asyncio.create_task(committer.put(entry("first")))]
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        waiting += [asyncio.create_task(committer.put(entry(name))) for name in numbers(2000)]
        await asyncio.sleep(0)
        for _ in range(3):
            with pytest.raises(queue.Full):
                await committer.put(entry("rejected"))
        disk.free.set()
        assert len(await asyncio.gather(*waiting)) == 2001
        assert await committer.put(entry("later")) == "kept later"

    run(put())
    committer.close()
    assert disk.all_written == ["first", *numbers(2000), "later"]


def test_record_is_not_written_after_timeout(disk: Disk) -> None:
    committer = Committer(disk.write)

    async def give_up(name: str, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await committer.put(entry(name))

    async def put() -> None:
        disk.free.clear()
        begun = asyncio.create_task(give_up("begun", 0.1))
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        staying = asyncio.create_task(committer.put(entry("staying")))
        await asyncio.gather(begun, *(give_up("given up", 0.01) for _ in range(10)))
        disk.free.set()
        assert await staying == "kept staying"

    run(put())
    committer.close()
    assert disk.written == [["begun"], ["staying"]], "only the write that had begun is completed"


def test_thread_lives_from_first_record_to_close(disk: Disk) -> None:
    before = threading.active_count()
    committer = Committer(disk.write)
    committer.close()
    assert threading.active_count() == before
    for name in ("a", "b"):
        run(committer.put(entry(name)))
        assert "consent-ledger_0" in {thread.name for thread in threading.enumerate()}, "the thread has a telling name"
        committer.close()
        assert threading.active_count() == before


@pytest.mark.slow
def test_close_writes_waiting_records(disk: Disk) -> None:
    committer = Committer(disk.write)

    async def put() -> list[str]:
        disk.free.clear()
        waiting = [asyncio.create_task(committer.put(entry(name))) for name in numbers(700)]
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        closing = asyncio.create_task(asyncio.to_thread(committer.close))
        await asyncio.sleep(0.05)
        assert not closing.done()
        disk.free.set()
        await closing
        return await asyncio.gather(*waiting)

    assert run(put()) == [f"kept {name}" for name in numbers(700)]
