"""Ledgers of many records: how long it takes to verify one, and to find the records of one visitor."""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.ledger_rows import consent_id, rows
from benchmarks.ledger_stores import Find, Store
from benchmarks.table import Cell, Table, percentile
from cookie_consent.chain import START, chain_hash, record_hash
from cookie_consent.command import progress
from cookie_consent.ledgers import Entry, Ledger, open_ledger

ROOT = Path(__file__).parent.parent
PROGRAM = """
import sys
from pathlib import Path
from cookie_consent.cli import main

status = main()
print(Path("/proc/self/status").read_text())
sys.exit(status)
"""
"""Runs a command, and tells what the process was like at its end, proc(5)."""
LONGEST = 30 * 60.0  # seconds
RECORDS_OF_ONE = 4
VISITORS_SOUGHT = 200
_TOLD = 10_000


@dataclass(frozen=True)
class Ran:
    """How a command ran.

    Args:
        said: what it wrote, and what the process was like.
        seconds: how long it took.
        cpu: how many seconds of CPU time it needed.
        memory: the most that it had in memory at once, in MiB.
    """

    said: str
    seconds: float
    cpu: float
    memory: float


def measure_verify(stores: Sequence[Store], like: Entry, count: int) -> Table:
    """Measures `cookie-consent verify`, beside the least that it has to do: plain reading and hashing."""
    table = Table("cookie-consent verify")
    for store in stores:
        small, large = store.new(), store.new()
        fill(store, small, like, 1)
        took = fill(store, large, like, count)
        least = _least(store, large, count)
        before, ran = _verify(small, 1), _verify(large, count)
        store.drop()
        table.rows.append(
            {
                "ledger": store.name,
                "records": count,
                "seconds": round(ran.seconds, 1),
                "records/s": round(count / ran.seconds),
                "of the least": round(ran.seconds / least, 2),
                "CPU s": round(ran.cpu, 1),
                "MiB": round(ran.memory),
                "MiB for 1": round(before.memory),
                "s to make": round(took),
            }
        )
    return table


def measure_find(stores: Sequence[Store], like: Entry, count: int) -> Table:
    """Measures `ledger.records`, beside the same query over a connection of the plain driver."""
    table = Table(f"The {RECORDS_OF_ONE} records of one visitor among {count:,}")
    for store in stores:
        url = store.new()
        took = fill(store, url, like, count)
        visitors = random.Random(count).choices(range(1, count // RECORDS_OF_ONE), k=VISITORS_SOUGHT)  # noqa: S311
        ids = [consent_id(visitor) for visitor in visitors]
        ledger = open_ledger(url)
        first = _timed(ledger, ids) if store.forget() else []
        again = _timed(ledger, ids)
        ledger.close()
        with store.finding(url) as find:
            plain = [_seconds(find, id_) for id_ in ids]
        size = store.size(url)
        store.drop()
        row: dict[str, Cell] = {"ledger": store.name, "records": count, "GiB": round(size / 2**30, 1)}
        for name, seconds in (("from the disk", first), ("again", again), ("plain", plain)):
            for percent in (50, 99):
                found = percentile(seconds, percent) * 1000 if seconds else None
                row[f"{name} p{percent} ms"] = found and round(found, 2)
        table.rows.append(row | {"s to make": round(took)})
    return table


def fill(store: Store, url: str, like: Entry, count: int) -> float:
    """Makes a ledger of so many records; returns how many seconds it took."""
    began = time.monotonic()
    with progress(f"rows made for {store.name}", count) as tell:

        def told() -> Any:
            for row in rows(like, count, max(count // RECORDS_OF_ONE, 1)):
                if row[0] % _TOLD == 0:
                    tell(row[0])
                yield row

        store.fill(url, like, told())
    return time.monotonic() - began


def _least(store: Store, url: str, count: int) -> float:
    """Reads and hashes all records, and compares; returns how many seconds it took."""
    began, last, found = time.monotonic(), START, 0
    for document, own, tied in store.read(url):
        hashed = record_hash(document)
        last = chain_hash(last, hashed)
        assert (hashed, last) == (own, tied), "the chain is broken"
        found += 1
    assert found == count, f"{found} records of {count}"
    return time.monotonic() - began


def _verify(url: str, count: int) -> Ran:
    ran = _run("verify", "--ledger", url, "--json")
    verified = json.loads(ran.said.partition("\n")[0])
    assert (verified["records"], verified["findings"]) == (count, []), ran.said
    return ran


def _run(*arguments: str) -> Ran:
    """Runs a command; what it tells about its progress is for the terminal, if this is one."""
    began = time.monotonic()
    command = [sys.executable, "-c", PROGRAM, *arguments]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout, "a pipe"
        limit = threading.Timer(LONGEST, process.kill)
        limit.start()
        try:
            said = process.stdout.read()
            _, status, used = os.wait4(process.pid, 0)
        finally:
            limit.cancel()
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, f"{arguments} ended with {process.returncode}: {said}"
    most = re.search(r"VmHWM:\s+(\d+) kB", said)  # ru_maxrss would count what this process had when it began that one
    assert most, said
    return Ran(said, time.monotonic() - began, used.ru_utime + used.ru_stime, int(most[1]) / 1024)


def _timed(ledger: Ledger, ids: Sequence[str]) -> list[float]:
    async def find_all() -> list[float]:
        took = []
        for id_ in ids:
            began = time.perf_counter()
            found = await ledger.records(id_)
            took.append(time.perf_counter() - began)
            assert len(found) == RECORDS_OF_ONE, f"{len(found)} records of {id_}"
        return took

    return asyncio.run(find_all())


def _seconds(find: Find, id_: str) -> float:
    began = time.perf_counter()
    find(id_)
    return time.perf_counter() - began
