"""Several processes that append to one chain in PostgreSQL, in three ways, and a network that takes its time.

All hold the lock of the chain's end while they append. What differs is for how long: over round trips, over one
statement for each record, or over one statement for all records that wait.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, nullcontext, suppress
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from urllib.parse import urlsplit

import psycopg
from psycopg import AsyncConnection

from benchmarks.crew import Crew, Start, Worked, keep_busy, times
from benchmarks.ledger_stores import COLUMNS, PostgresqlStore, Store, begin, check
from benchmarks.table import Cell, Table, ratio
from cookie_consent.chain import SAID_TWICE, chain_hash, record_hash
from cookie_consent.ledgers import Entry, open_ledger
from cookie_consent.ledgers.postgresql import LOCK
from cookie_consent.own_cookies import new_id

NAIVE, STATEMENT, OURS = "a transaction for each record", "a statement for each record", "a statement for all that wait"
WAYS = (NAIVE, STATEMENT, OURS)
PROCESSES, WRITERS = 4, 32
DELAYS = (0.0, 0.001)
"""How long what is sent to the server is on its way, and so what comes back (seconds)."""
_END = "SELECT number, chain_hash FROM consent_records ORDER BY number DESC LIMIT 1"
_ADD = f"INSERT INTO consent_records ({', '.join(COLUMNS)}) VALUES ({', '.join(['%s'] * len(COLUMNS))})"  # noqa: S608
_KINDS = (*["text"] * 6, "bigint", "bigint", "text", "bigint")
_APPEND = f"SELECT kept FROM consent_append({', '.join(f'%s::{kind}[]' for kind in _KINDS)})"  # noqa: S608
_STARTS_WITHIN = 30.0
_CHUNK = 65_536
_ROUND_TRIPS = 200
Append = Callable[[Entry], Awaitable[object]]


def measure(stores: Sequence[Store], crew: Crew, like: Entry, rounds: int, seconds: float) -> Table:
    """Measures all ways in turns, with the server near and far; checks that all records are in one chain."""
    table = Table(f"One chain in PostgreSQL: {PROCESSES} processes, {WRITERS} writers")
    for store in stores:
        for delay in DELAYS if isinstance(store, PostgresqlStore) else ():
            url = store.new()
            begin(url, like)
            worked: dict[str, list[Worked]] = {way: [] for way in WAYS}
            with far_away(url, delay) if delay else nullcontext(url) as address:
                trip = round_trip(address) * 1000
                for _ in range(rounds):
                    for way, done in worked.items():
                        work = crew.work(PROCESSES, append, way, address, like, WRITERS // PROCESSES, seconds)
                        done.append(work)
            check(url, 1 + sum(each.pieces for done in worked.values() for each in done))
            store.drop()
            naive = [each.rate for each in worked[NAIVE]]
            for way, done in worked.items():
                rates = [each.rate for each in done]
                row: dict[str, Cell] = {"round trip ms": round(trip, 2), "records are written by": way}
                row |= {"records/s": round(median(rates)), "of the first": ratio(rates, naive)}
                table.rows.append(row | times(done))
    return table


def append(way: str, url: str, like: Entry, writers: int, seconds: float, start: Start) -> Worked:
    """Appends records in this process.

    Args:
        way: one of `WAYS`.
        url: the ledger, with one record at least.
        like: what the records are like; what it cites is there.
        writers: how many append at once, each over a connection of its own, unless the ledger decides.
        seconds: for how long.
        start: waits until all processes are ready.
    """

    async def work() -> Worked:
        async with _appending(way, url, writers) as appends:
            works = [partial(_append_another, append, like) for append in appends]
            return await keep_busy(works, seconds, start)

    return asyncio.run(work())


async def _append_another(append: Append, like: Entry) -> None:
    id_ = new_id()
    changes = {"record_id": id_, "consent_id": new_id(), "repeat_key": id_}
    await append(replace(like, document={**like.document, **changes}))


@asynccontextmanager
async def _appending(way: str, url: str, writers: int) -> AsyncIterator[list[Append]]:
    if way == OURS:
        ledger = open_ledger(url)
        try:
            yield [ledger.append] * writers
        finally:
            ledger.close()
        return
    one_by_one = _in_a_transaction if way == NAIVE else _with_a_statement
    async with AsyncExitStack() as stack:
        opened = [
            await AsyncConnection.connect(url, autocommit=way == STATEMENT, prepare_threshold=None)
            for _ in range(writers)
        ]
        yield [partial(one_by_one, await stack.enter_async_context(connection)) for connection in opened]


async def _in_a_transaction(connection: AsyncConnection, entry: Entry) -> None:
    """Appends as it is mostly done; five round trips, the lock is held over three: the end, the row, the commit."""
    await connection.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])
    end = await (await connection.execute(_END)).fetchone()
    assert end, "the first record is there"
    own = record_hash(entry.text)
    said = [entry.columns[name] for name in SAID_TWICE]
    await connection.execute(_ADD, [end[0] + 1, entry.text, *said, own, chain_hash(end[1], own)])
    await connection.commit()


async def _with_a_statement(connection: AsyncConnection, entry: Entry) -> None:
    """Appends as the ledger does, but each record by itself."""
    said = [[entry.columns[name]] for name in SAID_TWICE]
    await connection.execute(_APPEND, [[entry.text], *said, [entry.decided_at - entry.repeat_within]])


def round_trip(url: str) -> float:
    """Asks the server for nothing, again and again; the median of the seconds that it takes."""
    with psycopg.connect(url, autocommit=True) as connection:
        took = []
        for _ in range(_ROUND_TRIPS):
            began = time.perf_counter()
            connection.execute("SELECT 1")
            took.append(time.perf_counter() - began)
    return median(took)


@contextmanager
def far_away(url: str, delay: float) -> Iterator[str]:
    """Gives another URL of a server, at which it is reached over a network that takes its time.

    Args:
        url: where it is.
        delay: how long what is sent is on its way, there as well as back (seconds).
    """
    parts = urlsplit(url)
    context = get_context("spawn")
    ours, theirs = context.Pipe()
    proxy = context.Process(target=_carry, args=(parts.hostname, parts.port, delay, theirs), daemon=True)
    proxy.start()
    try:
        assert ours.poll(_STARTS_WITHIN), "the proxy does not start"
        address = f"{parts.username}@{parts.hostname}:{ours.recv()}"
        yield parts._replace(netloc=address).geturl()
    finally:
        proxy.terminate()
        proxy.join()


def _carry(host: str, port: int, delay: float, tell: Connection) -> None:
    """Carries what is sent over new connections to a server, and back; each way by a thread of its own."""
    with socket.create_server((host, 0)) as listening:
        tell.send(listening.getsockname()[1])
        while True:
            near, _ = listening.accept()
            far = socket.create_connection((host, port))
            for source, target in ((near, far), (far, near)):
                target.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                threading.Thread(target=_carry_one_way, args=(source, target, delay), daemon=True).start()


def _carry_one_way(source: socket.socket, target: socket.socket, delay: float) -> None:
    with suppress(OSError):
        while data := source.recv(_CHUNK):
            time.sleep(delay)
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
