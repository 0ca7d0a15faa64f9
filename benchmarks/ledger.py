"""What the ledger bears: answers kept a second, and how long its verification takes.

SQLite has its files and PostgreSQL a server of its own in the folder for temporary files, which has to be on a disk:
TMPDIR names another one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from starlette.types import ASGIApp

from benchmarks import apps
from benchmarks.command import Ran, consent, print_machine
from benchmarks.table import Row, print_table, ratio
from cookie_consent import Policy
from cookie_consent.ledgers import open_ledger
from tests.support.ledger_writer import entry
from tests.support.servers.postgres import NoPostgresError, private_server

PARTS = ("append", "verify")
NONE = "none"
SIZES = (1, 4)
"""How many processes share a ledger."""
VISITORS = 32
"""Who answer at once, in all processes together."""
WARM_UP = 0.1  # seconds
BYTES_OF_A_RECORD = 2200
"""On the disk, with its indexes and what it takes to make them."""
SURFACES = {"first answer": ("banner", "banner"), "banner again": ("settings", "again")}
"""Way to answer -> the source and the surface that the form names."""
_VERSION = Policy.load(apps.POLICY).version
_barriers: dict[int, Barrier] = {}
NewUrl = Callable[[], str]


async def visitor(app: ASGIApp, way: str) -> AsyncIterator[float]:
    """Accept and refuse by turns, by the banner's form; yield how long each answer took."""
    (source, surface), cookie = SURFACES[way], b""
    fields = {"policy": _VERSION, "source": source, "language": "en", "surface": surface, "next": apps.ROUTE}
    for choice in itertools.cycle(("accept_all", "refuse_all")):
        began, before = time.monotonic(), cookie or None if way == "banner again" else None
        cookie = await apps.answer(app, choice, cookie=before, **fields, once=secrets.token_urlsafe(16))
        yield time.monotonic() - began


@dataclass(frozen=True)
class Worked:
    """What a process did: how long each timed answer took, how long all took, their CPU time, and all that it kept."""

    waits: list[float]
    seconds: float
    cpu: float
    kept: int


def serve(way: str, processes: int, url: str | None, seconds: float) -> Worked:
    """Serve visitors who answer without a pause, in this process, once all others are ready."""
    logging.disable()
    ledger = open_ledger(url) if url else None
    with closing(ledger) if ledger else ExitStack():
        return asyncio.run(_serve(apps.consent_app(ledger=ledger), way, processes, seconds))


async def _serve(app: ASGIApp, way: str, processes: int, seconds: float) -> Worked:
    waits, visitors = list[float](), [visitor(app, way) for _ in range(VISITORS // processes)]

    async def repeat(answers: AsyncIterator[float], until: float) -> None:
        while time.monotonic() < until:
            waits.append(await anext(answers))

    async def all_repeat(seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(repeat(answers, until) for answers in visitors))

    await all_repeat(WARM_UP)
    warmed_up = len(waits)
    _barriers[processes].wait(60)
    began, cpu = time.monotonic(), time.process_time()
    await all_repeat(seconds)
    return Worked(waits[warmed_up:], time.monotonic() - began, time.process_time() - cpu, len(waits))


@dataclass
class Case:
    """Answers of one kind to a ledger, and their figures in each round."""

    ledger: str
    way: str
    processes: int
    rates: list[float] = field(default_factory=list)
    parts: list[Worked] = field(default_factory=list)

    def take_turn(self, pool: ProcessPoolExecutor, url: str | None, seconds: float) -> None:
        """Add one round."""
        tasks = [pool.submit(serve, self.way, self.processes, url, seconds) for _ in range(self.processes)]
        parts = [task.result() for task in tasks]
        self.rates.append(sum(len(part.waits) for part in parts) / max(part.seconds for part in parts))
        self.parts += parts

    def row(self, without: Case) -> Row:
        """Return the figures, compared with those of a case without a ledger."""
        waits = [wait for part in self.parts for wait in part.waits]
        row: Row = {"ledger": self.ledger, "answer": self.way, "processes": self.processes}
        row |= {"answers/s": round(median(self.rates)), "of none": ratio(self.rates, without.rates)}
        waits.sort()
        row |= {f"p{percent} ms": round(waits[len(waits) * percent // 100] * 1000, 2) for percent in (50, 99)}
        return {**row, "CPU ms": round(sum(part.cpu for part in self.parts) / len(waits) * 1000, 2)}


def append(stores: Mapping[str, NewUrl], rounds: int, seconds: float) -> None:
    """Measure all cases in turns, and check that each answer is in the ledger, whose chain is whole."""
    urls: dict[str, str | None] = {NONE: None, **{name: new() for name, new in stores.items()}}
    cases = {key: Case(*key) for key in itertools.product(urls, SURFACES, SIZES)}
    context = get_context("spawn")
    barriers = {size: context.Barrier(size) for size in SIZES}
    with ProcessPoolExecutor(max(SIZES), context, _meet_at, (barriers,)) as pool:
        for _, case in itertools.product(range(rounds), cases.values()):
            case.take_turn(pool, urls[case.ledger], seconds)
    for name in stores:
        _verify(str(urls[name]), sum(p.kept for case in cases.values() if case.ledger == name for p in case.parts))
    rows = [case.row(cases[NONE, way, size]) for (_, way, size), case in cases.items()]
    print_table(f"Answers kept: {VISITORS} visitors", rows)


def _meet_at(barriers: dict[int, Barrier]) -> None:
    _barriers.update(barriers)


def _verify(url: str, count: int) -> Ran:
    ran = consent("verify", "--ledger", url)
    assert (ran.output["records"], ran.output["findings"]) == (count, []), ran.output
    return ran


async def fill(url: str, count: int) -> None:
    """Keep so many records."""
    with closing(open_ledger(url)) as ledger:
        for begin in range(0, count, 1000):
            made = [
                entry(secrets.token_urlsafe(16), key=secrets.token_urlsafe(16))
                for _ in range(begin, min(begin + 1000, count))
            ]
            await asyncio.gather(*map(ledger.append, made))


def verify(stores: Mapping[str, NewUrl], count: int) -> None:
    """Measure how fast so many records are kept, and `cookie-consent verify` over them."""
    rows: list[Row] = []
    for name, new in stores.items():
        url, began = new(), time.monotonic()
        asyncio.run(fill(url, count))
        appended, ran = round(count / (time.monotonic() - began)), _verify(url, count)
        row: Row = {"ledger": name, "appended/s": appended, "verified/s": round(count / ran.seconds)}
        rows.append({**row, "seconds": ran.seconds, "MiB": ran.mebibytes})
    print_table(f"A ledger of {count:,} records", rows)


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser("python -m benchmarks.ledger", description=__doc__)
    parser.add_argument("part", nargs="?", choices=PARTS, help="the part to measure (both)")
    parser.add_argument("--quick", action="store_true", help="rough figures of small ledgers, in about a minute")
    parser.add_argument("--records", type=int, metavar="N", help="how many records are verified (200000)")
    arguments = parser.parse_args()
    rounds, seconds, records = (1, 0.5, 10_000) if arguments.quick else (3, 3.0, 200_000)
    records = arguments.records or records
    print_machine(records * BYTES_OF_A_RECORD)
    logging.disable()
    with ExitStack() as stack:
        folder, numbers = Path(stack.enter_context(TemporaryDirectory(prefix="ledger-"))), itertools.count()
        stores: dict[str, NewUrl] = {"SQLite": lambda: f"sqlite:///{folder}/{next(numbers)}.db"}
        try:
            stores["PostgreSQL"] = stack.enter_context(private_server()).new_database
        except NoPostgresError as error:
            print(f"No PostgreSQL: {error}")
        if arguments.part != "verify":
            append(stores, rounds, seconds)
        if arguments.part != "append":
            verify(stores, records)


if __name__ == "__main__":
    main()
