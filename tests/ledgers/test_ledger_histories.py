"""Tests that ledgers are linearizable: concurrent operations, some of them killed, act as if done in some serial order.

That order is the order of the chain. In this order a `MemoryLedger` must give the same results and the same chain. An
operation that ended before another began must come before it. With FULL_MATRIX=1 there are more histories.
"""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cookie_consent.ledgers import MemoryLedger, open_ledger
from cookie_consent.ledgers.chain import Link, verify
from tests.support.asgi import run
from tests.support.ledger_history import Operation
from tests.support.ledger_writer import ROOT

PROCESSES, EACH = 3, 24
NEVER = 1 << 63


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        metafunc.parametrize("seed", range(25 if metafunc.config.getoption("--full-matrix") else 1))


@dataclass
class Done:
    """An operation on a ledger and its result.

    Args:
        what: the operation.
        began: when it began.
        ended: when it ended; `NEVER` if its result is unknown because of a kill or an error.
        result: its result.
        place: the number of changes of the ledger up to this operation, its own included; -1 if not yet known.
    """

    what: Operation
    began: int
    ended: int = NEVER
    result: Any = None
    place: int = -1


@pytest.mark.each_value(all_of="sqlite", at_most=0)
@pytest.mark.flaky(reruns=0)  # the test looks for rare failures
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.slow
def test_concurrent_operations_are_linearizable(
    kind: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/consent.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    open_ledger(url).close()
    history = run_history(url, seed, tmp_path)
    with closing(open_ledger(url)) as ledger:
        links, cited = list(ledger.links()), {name for _, name, _ in ledger.cited()}
    assert verify(links).wrong is None
    check(history, links)
    missing = [
        link for link in links if link.document and {link.columns["policy"], link.columns["text"]} - {*cited, None}
    ]
    assert missing == [], "these records cite missing content"
    assert {done.what.kind for done in history if done.ended < NEVER} == {"append", "records", "remove"}


# Running a history.


def run_history(url: str, seed: int, folder: Path) -> list[Done]:
    """Run several processes on a ledger. One kills itself, and another starts in its place."""
    names = [f"{seed}-{number}" for number in range(PROCESSES + 1)]
    kills_itself_after = random.Random(seed).randrange(5, EACH)  # noqa: S311 (no secret)
    with working(url, names, folder, kills_itself_after) as (killed, *others, late):
        begin(killed, *others)
        assert killed.wait(120) == -signal.SIGKILL
        if url.startswith("postgresql"):
            disconnect_all(url)
        begin(late)
        assert [process.wait(120) for process in (*others, late)] == [0] * PROCESSES
    return [done for path in sorted(folder.glob("*.jsonl")) for done in read(path)]


@contextmanager
def working(
    url: str, names: Sequence[str], folder: Path, kills_itself_after: int
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Start one process for each name, which is its seed. The first kills itself after writing so many lines.

    Each writes its operations to a file of its name.
    """
    processes = []
    try:
        for name in names:
            with (folder / f"{name}.jsonl").open("wb") as file:
                command = [sys.executable, "-m", "tests.support.ledger_history", url, name, str(EACH)]
                command += [str(kills_itself_after)] if name == names[0] else []
                processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, cwd=ROOT))
        for name in names:
            while b"ready\n" not in (folder / f"{name}.jsonl").read_bytes():
                time.sleep(0.01)
        yield processes
    finally:
        for process in processes:
            process.kill()
            process.communicate(timeout=60)


def begin(*processes: subprocess.Popen[bytes]) -> None:
    for process in processes:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()


def disconnect_all(url: str) -> None:
    with closing(psycopg.connect(url, autocommit=True)) as server:
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def read(path: Path) -> Iterator[Done]:
    """Yield the operations that a process wrote down. A kill may have truncated its last line."""
    found: dict[str, Done] = {}
    for line in path.read_bytes().splitlines(keepends=True)[1:]:
        event: Mapping[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        if "said" in event:
            found[event["said"]["id"]] = Done(Operation(**event["said"]), event["at"])
        elif "came" in event:
            found[event["id"]].ended, found[event["id"]].result = event["at"], event["came"]
    yield from found.values()


# Checking a history.


def check(history: Sequence[Done], links: Sequence[Link]) -> None:
    """Check that a history has the results of its operations run one after the other, in the order of the chain."""
    changes = changes_of(history, links)
    ledger = MemoryLedger()
    for place, done in enumerate(changes, 1):
        done.place = place
        result = run(done.what.run(ledger))
        assert done.ended == NEVER or done.result == result, done
    assert [link.chain_hash for link in ledger.links()] == [link.chain_hash for link in links]
    assert [link.document for link in ledger.links()] == [link.document for link in links]

    # An operation that changed nothing gets the earliest possible place.
    for done in sorted(history, key=lambda one: one.began):
        if done.place < 0 and done.ended < NEVER:
            first = max((other.place for other in history if other.ended < done.began), default=0)
            last = min((other.place for other in changes if other.began > done.ended), default=len(changes) + 1)
            found = (
                place
                for place in range(first, last)
                if run(done.what.run(ledger_after(changes[:place]))) == done.result
            )
            done.place = next(found, -1)
            assert done.place >= 0, f"no state after {first} to {last - 1} changes gives this result: {done}"
    for done in changes:
        early = [other for other in history if other.ended < done.began and other.place > done.place]
        assert early == [], f"these ended before this operation began: {done}"


def changes_of(history: Sequence[Done], links: Sequence[Link]) -> list[Done]:
    """Return the operation behind each record of a chain, in order. A removed record is found by its hash."""
    appended = {link_hash(done): done for done in history if done.what.kind == "append"}
    removing = {done.what.id: done for done in history if done.what.kind == "remove"}
    changes = []
    for link in links:
        document = json.loads(link.document or "{}")
        changes.append(
            removing[document["record_id"]] if document.get("event") == "removed" else appended[link.record_hash]
        )
    assert len({done.what.id for done in changes}) == len(changes), "an operation was done twice"
    return changes


def link_hash(done: Done) -> bytes:
    alone = MemoryLedger()
    run(alone.append(done.what.entry))
    return next(alone.links()).record_hash


def ledger_after(changes: Sequence[Done]) -> MemoryLedger:
    """Return a ledger after these operations."""
    ledger = MemoryLedger()

    async def do() -> None:
        for done in changes:
            await done.what.run(ledger)

    run(do())
    return ledger
