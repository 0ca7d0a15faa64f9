"""What the ledger bears: answers kept a second, its verification, one visitor's records among many.

Run as `python -m benchmarks.ledger` from the root of the checkout. SQLite has its files, and PostgreSQL a server of
its own (Debian: apt-get install postgresql), in the folder for temporary files, which has to be on a disk: TMPDIR
names another one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from multiprocessing import get_context
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp

from benchmarks import apps
from benchmarks.command import Ran, consent, machine, show
from benchmarks.table import Cell, Table, percentile, ratio
from cookie_consent import ConsentMiddleware, Policy
from cookie_consent.decision.own_cookies import new_id
from cookie_consent.ledgers import Entry, MemoryLedger, open_ledger
from tests.support.servers.postgres import NoPostgresError, private_server

PARTS = ("append", "read")
NONE = "none"
SIZES = (1, 4)
"""How many processes share a ledger."""
VISITORS = 32
"""Who answer at once, in all processes together."""
RECORDS_OF_ONE, SOUGHT = 4, 200
WARM_UP = 5
BYTES_OF_A_RECORD = 2200
"""On the disk, with its indexes and what it takes to make them."""
SURFACES = {"first answer": ("banner", "banner"), "banner again": ("settings", "again")}
"""Way to answer -> what the form says of itself: its source and its surface."""
_VERSION = Policy.load(apps.POLICY).version
_barriers: dict[int, Barrier] = {}
NewUrl = Callable[[], str]


class Visitor:
    """A visitor, who accepts and refuses by turns: for the first time each time, or with the cookie of before."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self._cookie = app, b""
        self._choices = itertools.cycle(("accept_all", "refuse_all"))

    async def answer(self, way: str) -> None:
        """Answers once, by a form."""
        source, surface = SURFACES[way]
        fields = {"policy": _VERSION, "source": source, "language": "en", "surface": surface, "once": new_id()}
        body = urlencode({**fields, "next": apps.ROUTE, "choice": next(self._choices)}).encode()
        kind = (b"content-type", b"application/x-www-form-urlencoded")
        posted = [*apps.BROWSER, kind, (b"content-length", b"%d" % len(body))]
        cookie = self._cookie or None if way == "banner again" else None
        reply = await apps.call(self._app, apps.make_scope(apps.PREFIX, cookie, method="POST", browser=posted), body)
        assert reply.status == 303, f"{way}: {reply.status} {reply.body!r}"
        self._cookie = reply.cookies()


# Answers kept.


@dataclass(frozen=True)
class Worked:
    """How long each answer of a process took, when it began and ended, its CPU time, and how many there were in all."""

    waits: list[float]
    began: float
    ended: float
    cpu: float
    kept: int


def site(ledger: Any) -> ASGIApp:
    """The app with a ledger."""
    return ConsentMiddleware(apps.bare_app(), apps.POLICY, apps.KEY, prefix=apps.PREFIX, ledger=ledger)


def serve(way: str, processes: int, url: str | None, seconds: float) -> Worked:
    """Serves visitors who answer without a pause, in this process, once all others are ready."""
    logging.disable()
    ledger, waits = open_ledger(url) if url else None, list[float]()
    visitors = [Visitor(app) for app in [site(ledger)] for _ in range(VISITORS // processes)]

    async def repeat(visitor: Visitor, until: float) -> None:
        while (began := time.monotonic()) < until:
            await visitor.answer(way)
            waits.append(time.monotonic() - began)

    async def work() -> Worked:
        for _ in range(WARM_UP):
            await asyncio.gather(*(visitor.answer(way) for visitor in visitors))
        _barriers[processes].wait(60)
        began, cpu = time.monotonic(), time.process_time()
        await asyncio.gather(*(repeat(visitor, began + seconds) for visitor in visitors))
        kept = len(waits) + WARM_UP * len(visitors)
        return Worked(waits, began, time.monotonic(), time.process_time() - cpu, kept)

    try:
        return asyncio.run(work())
    finally:
        if ledger:
            ledger.close()


@dataclass
class Case:
    """Answers of one kind to a ledger, and what came of them in each round."""

    ledger: str
    way: str
    processes: int
    rates: list[float] = field(default_factory=list)
    parts: list[Worked] = field(default_factory=list)

    def row(self, bare: Case) -> dict[str, Cell]:
        """The figures."""
        waits = [wait for part in self.parts for wait in part.waits]
        row: dict[str, Cell] = {"ledger": self.ledger, "answer": self.way, "processes": self.processes}
        row |= {"answers/s": round(median(self.rates)), "of none": ratio(self.rates, bare.rates)}
        row |= {f"p{percent} ms": round(percentile(waits, percent) * 1000, 2) for percent in (50, 99)}
        return {**row, "CPU ms": round(sum(part.cpu for part in self.parts) / len(waits) * 1000, 2)}


def append(stores: Mapping[str, NewUrl], rounds: int, seconds: float) -> Table:
    """Measures all cases in turns, and checks that each answer is in the ledger, whose chain is whole."""
    urls: dict[str, str | None] = {NONE: None, **{name: new() for name, new in stores.items()}}
    cases = {key: Case(*key) for key in itertools.product(urls, SURFACES, SIZES)}
    context = get_context("spawn")
    barriers = {size: context.Barrier(size) for size in SIZES}
    with ProcessPoolExecutor(max(SIZES), context, _meet_at, (barriers,)) as pool:
        for _, case in itertools.product(range(rounds), cases.values()):
            given = case.way, case.processes, urls[case.ledger], seconds
            tasks = [pool.submit(serve, *given) for _ in range(case.processes)]
            parts = [task.result() for task in tasks]
            length = max(part.ended for part in parts) - min(part.began for part in parts)
            case.rates.append(sum(len(part.waits) for part in parts) / length)
            case.parts += parts
    for name in stores:
        kept = sum(part.kept for case in cases.values() if case.ledger == name for part in case.parts)
        _verified(str(urls[name]), kept)
    rows = [case.row(cases[NONE, way, size]) for (_, way, size), case in cases.items()]
    return Table(f"Answers kept: {VISITORS} visitors", rows)


def _meet_at(barriers: dict[int, Barrier]) -> None:
    _barriers.update(barriers)


def _verified(url: str, count: int) -> Ran:
    ran = consent("verify", "--ledger", url, "--json")
    assert (ran.answer["records"], ran.answer["findings"]) == (count, []), ran.said
    return ran


# Reading.


class _Seen(MemoryLedger):
    """Keeps what it is given."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: list[Entry] = []

    async def append(self, entry: Entry) -> dict[str, Any]:
        self.entries.append(entry)
        return await super().append(entry)


async def an_entry() -> Entry:
    """Gives what a ledger is given when a visitor changes the answer in the banner."""
    ledger = _Seen()
    visitor = Visitor(site(ledger))
    await visitor.answer("first answer")
    await visitor.answer("banner again")
    return ledger.entries[-1]


async def fill(url: str, count: int) -> list[str]:
    """Keeps so many records; visitors come in turns, so that those of each lie far apart. Returns their consent ids."""
    like, ids = await an_entry(), [new_id() for _ in range(max(count // RECORDS_OF_ONE, 1))]
    ledger = open_ledger(url)
    owners = itertools.cycle(ids)
    for begin in range(0, count, 1000):
        made = []
        for id_ in itertools.islice(owners, min(1000, count - begin)):
            key = new_id()
            own = {"record_id": key, "repeat_key": key, "consent_id": id_, "previous": None}
            made.append(replace(like, document={**like.document, **own}))
        await asyncio.gather(*map(ledger.append, made))
    ledger.close()
    return ids


async def find(url: str, ids: list[str]) -> list[float]:
    """Finds the records of visitors; the seconds that each took."""
    ledger, took = open_ledger(url), []
    for id_ in ids[:: max(len(ids) // SOUGHT, 1)]:
        began = time.perf_counter()
        found = await ledger.records(id_)
        took.append(time.perf_counter() - began)
        assert len(found) == RECORDS_OF_ONE, f"{len(found)} records of {id_}"
    ledger.close()
    return took


def read(stores: Mapping[str, NewUrl], count: int) -> Table:
    """Measures `cookie-consent verify`, and `ledger.records` for one visitor after the other."""
    table = Table(f"A ledger of {count:,} records")
    for name, new in stores.items():
        url, began = new(), time.monotonic()
        ids = asyncio.run(fill(url, count))
        made = time.monotonic() - began
        ran, took = _verified(url, count), asyncio.run(find(url, ids))
        row: dict[str, Cell] = {"ledger": name, "appended/s": round(count / made)}
        row |= {"verified/s": round(count / ran.seconds), **ran.needed}
        found = {f"one visitor's: p{percent} ms": round(percentile(took, percent) * 1000, 2) for percent in (50, 99)}
        table.rows.append({**row, **found})
    return table


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ledger", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="rough figures of small ledgers, in about a minute")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure only this part; may be repeated")
    parser.add_argument("--records", type=int, metavar="N", help="how many records are read (200000)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")
    arguments = parser.parse_args()
    rounds, seconds, records = (1, 0.5, 10_000) if arguments.quick else (3, 3.0, 200_000)
    records = arguments.records or records
    where = machine(records * BYTES_OF_A_RECORD, parser)
    logging.disable()
    with ExitStack() as stack:
        folder, numbers = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ledger-"))), itertools.count()
        stores: dict[str, NewUrl] = {"SQLite": lambda: f"sqlite:///{folder}/{next(numbers)}.db"}
        try:
            stores["PostgreSQL"] = stack.enter_context(private_server()).new_database
        except NoPostgresError as error:
            where = f"{where}. No PostgreSQL: {error}"
        measures = {"append": lambda: append(stores, rounds, seconds), "read": lambda: read(stores, records)}
        show(where, [measures[part]() for part in arguments.only or PARTS], as_json=arguments.json)


if __name__ == "__main__":
    main()
