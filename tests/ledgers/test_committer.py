"""Tests of the committer, which writes waiting records to a database in batches, from a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cookie_consent.ledgers import Entry
from cookie_consent.ledgers.committer import Committer
from tests.support.asgi import run
from tests.support.ledger_writer import entry

LONGEST = 30


class Disk:
    """A stand-in for a database, which writes once it is free.

    Args:
        refuses: is called with the consent ids of each batch; an error that it raises refuses the batch.
    """

    def __init__(self, refuses: Callable[[Sequence[str]], None] = lambda names: None) -> None:
        self.tried: list[list[str]] = []
        self.begun = threading.Event()
        self.free = threading.Event()
        self._refuses = refuses

    def write(self, entries: Sequence[Entry]) -> list[str]:
        names = [one.document["consent_id"] for one in entries]
        self.tried.append(names)
        self.begun.set()
        assert self.free.wait(LONGEST), "the test never released the disk"
        self._refuses(names)
        return [f"kept {name}" for name in names]


def disk_that_refuses(name: str, error: Exception) -> Disk:
    def refuse(names: Sequence[str]) -> None:
        if name in names:
            raise error

    return Disk(refuse)


def put_while_writing(committer: Committer, disk: Disk, *names: str) -> list[Any]:
    """Put records while another one is written; return their results or errors."""

    async def put() -> list[Any]:
        first = asyncio.create_task(committer.put(entry("first")))
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        waiting = [asyncio.create_task(committer.put(entry(name))) for name in names]
        await asyncio.sleep(0)
        disk.free.set()
        await first
        return await asyncio.gather(*waiting, return_exceptions=True)

    return list(run(put()))


def numbers(count: int) -> list[str]:
    return [str(number) for number in range(count)]


def kept(names: Sequence[str]) -> list[str]:
    return [f"kept {name}" for name in names]


@pytest.mark.parametrize(("count", "batches"), [(100, [1, 100]), (256, [1, 256]), (600, [1, 256, 256, 88])])
def test_waiting_records_are_written_in_batches(count: int, batches: list[int]) -> None:
    disk = Disk()
    assert put_while_writing(Committer(disk.write), disk, *numbers(count)) == kept(numbers(count))
    assert [len(names) for names in disk.tried] == batches
    assert [name for names in disk.tried for name in names] == ["first", *numbers(count)]


def test_refused_record_does_not_fail_its_batch() -> None:
    wrong = LookupError("this one")
    disk = disk_that_refuses("2", wrong)
    assert put_while_writing(Committer(disk.write), disk, *numbers(4)) == ["kept 0", "kept 1", wrong, "kept 3"]


@pytest.mark.parametrize("error", [OSError("no space"), ConnectionError("gone"), LookupError("no such table")])
def test_shared_error_fails_whole_batch_without_retry(error: Exception) -> None:
    disk = disk_that_refuses("2", error)
    committer = Committer(disk.write, shared_errors=(OSError, LookupError))
    assert put_while_writing(committer, disk, *numbers(4)) == [error] * 4
    assert disk.tried == [["first"], numbers(4)], "a database that is down is not tried once per record"


def test_records_are_refused_while_too_many_wait() -> None:
    disk = Disk()
    committer = Committer(disk.write)
    results = put_while_writing(committer, disk, *numbers(2002))
    assert results[:2000] == kept(numbers(2000))
    assert [type(result) for result in results[2000:]] == [queue.Full] * 2
    assert run(committer.put(entry("later"))) == "kept later"


def test_record_is_not_written_after_timeout() -> None:
    disk = Disk()
    committer = Committer(disk.write)

    async def give_up(name: str, seconds: float) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(seconds):
                await committer.put(entry(name))

    async def put() -> None:
        begun = asyncio.create_task(give_up("begun", 0.1))
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        staying = asyncio.create_task(committer.put(entry("staying")))
        await asyncio.gather(begun, *(give_up("given up", 0.01) for _ in range(10)))
        disk.free.set()
        assert await staying == "kept staying"

    run(put())
    assert disk.tried == [["begun"], ["staying"]], "only the write that had begun is completed"


def test_thread_lives_from_first_record_to_close() -> None:
    disk = Disk()
    disk.free.set()
    before = {*threading.enumerate()}
    committer = Committer(disk.write)
    committer.close()
    for name in ("a", "b"):
        assert {*threading.enumerate()} <= before
        assert run(committer.put(entry(name))) == f"kept {name}"
        (thread,) = {*threading.enumerate()} - before
        assert thread.name.startswith("consent-ledger")
        committer.close()
    assert {*threading.enumerate()} <= before


def test_close_writes_waiting_records() -> None:
    disk = Disk()
    committer = Committer(disk.write)

    async def put() -> list[str]:
        waiting = [asyncio.create_task(committer.put(entry(name))) for name in numbers(300)]
        await asyncio.to_thread(disk.begun.wait, LONGEST)
        closing = asyncio.create_task(asyncio.to_thread(committer.close))
        await asyncio.sleep(0.05)
        assert not closing.done()
        disk.free.set()
        await closing
        return await asyncio.gather(*waiting)

    assert run(put()) == kept(numbers(300))
