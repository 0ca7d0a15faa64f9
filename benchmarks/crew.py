"""Processes that do the same work, and begin with it at the same moment."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from typing import Any, Self

from benchmarks.table import Cell, percentile

BEGINS_WITHIN = 60.0  # seconds
_WARM_UP = 5

Start = Callable[[], object]
Work = Callable[[], Awaitable[object]]

_barriers: dict[int, Barrier] = {}


@dataclass(frozen=True)
class Worked:
    """What was done by one process, or by several together.

    Args:
        waits: how long each piece of work took, in seconds.
        began: when it began, in seconds of a clock that all processes share.
        ended: when it ended.
        cpu: how many seconds of CPU time it needed.
        before: how many pieces were done before, to warm up.
    """

    waits: list[float]
    began: float
    ended: float
    cpu: float
    before: int

    @property
    def pieces(self) -> int:
        """How many pieces were done, with those to warm up."""
        return len(self.waits) + self.before

    @property
    def rate(self) -> float:
        """How many pieces were done a second."""
        return len(self.waits) / (self.ended - self.began)


class Crew:
    """Processes to work with, made anew and not forked; they stay for the next work.

    Args:
        sizes: how many will have to work together.
    """

    def __init__(self, *sizes: int) -> None:
        self.sizes = sizes
        context = get_context("spawn")
        barriers = {size: context.Barrier(size) for size in sizes}
        self._pool = ProcessPoolExecutor(max(sizes), context, _meet_at, (barriers,))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def work(self, size: int, work: Callable[..., Worked], *arguments: Any) -> Worked:
        """Has so many processes work; returns what they have done together.

        Args:
            size: how many, one of the sizes of the crew.
            work: takes the arguments, and a function that waits until all are ready to begin.
            arguments: what each of them is given.
        """
        futures = [self._pool.submit(_take_part, size, work, *arguments) for _ in range(size)]
        parts = [future.result() for future in futures]
        return Worked(
            waits=[wait for part in parts for wait in part.waits],
            began=min(part.began for part in parts),
            ended=max(part.ended for part in parts),
            cpu=sum(part.cpu for part in parts),
            before=sum(part.before for part in parts),
        )


def _meet_at(barriers: dict[int, Barrier]) -> None:
    _barriers.update(barriers)


def _take_part(size: int, work: Callable[..., Worked], *arguments: Any) -> Worked:
    return work(*arguments, lambda: _barriers[size].wait(BEGINS_WITHIN))


async def keep_busy(works: Sequence[Work], seconds: float, start: Start) -> Worked:
    """Does pieces of work again and again, all at once.

    Args:
        works: what is to be done.
        seconds: for how long.
        start: waits until all processes are ready.
    """
    for _ in range(_WARM_UP):
        await asyncio.gather(*(work() for work in works))
    start()
    waits: list[float] = []
    began, cpu = time.monotonic(), time.process_time()
    await asyncio.gather(*(_repeat(work, began + seconds, waits) for work in works))
    return Worked(waits, began, time.monotonic(), time.process_time() - cpu, _WARM_UP * len(works))


async def _repeat(work: Work, until: float, waits: list[float]) -> None:
    while (began := time.monotonic()) < until:
        await work()
        waits.append(time.monotonic() - began)


def times(rounds: Sequence[Worked]) -> dict[str, Cell]:
    """Sums up how long pieces of work took, and what CPU time, in milliseconds."""
    waits = sorted(wait for each in rounds for wait in each.waits)
    found = {f"p{percent} ms": round(percentile(waits, percent) * 1000, 2) for percent in (50, 99)}
    return {**found, "CPU ms": round(sum(each.cpu for each in rounds) / len(waits) * 1000, 2)}
