"""Ledgers are linearizable: whatever is done to one at once, and killed at it, it is as if it was done in turn.

The order is that of the chain. In this order a `MemoryLedger` has to give each of them what it was given, and has to
come to the same chain; what had ended before something else began comes before that. With FULL_MATRIX=1 there are more
histories.
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
        metafunc.parametrize("seed", range(25 if metafunc.config.getoption("--full-matrix") else 2))


@dataclass
class Done:
    """What was asked of a ledger and what came of it.

    Args:
        what: the operation.
        began: when.
        ended: when; `NEVER` where nobody knows what was done, because of a kill or an error.
        came: what came of it.
        place: how many changes of the ledger come before it, and its own with them.
    """

    what: Operation
    began: int
    ended: int = NEVER
    came: Any = None
    place: int = -1


@pytest.mark.flaky(reruns=0)  # what goes wrong once in a while is what it looks for
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
@pytest.mark.slow
def test_whatever_is_done_at_once_is_as_if_it_was_done_in_turn(
    kind: str, seed: int, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/consent.db" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    open_ledger(url).close()
    history = history_of(url, seed, tmp_path)
    with closing(open_ledger(url)) as ledger:
        links, cited = list(ledger.links()), {name for _, name, _ in ledger.cited()}
    assert verify(links).wrong is None
    check(history, links)
    missing = [
        link for link in links if link.document and {link.columns["policy"], link.columns["text"]} - {*cited, None}
    ]
    assert missing == [], "they cite what is not kept"
    assert {done.what.kind for done in history if done.ended < NEVER} == {"append", "records", "remove"}


# What is done.


def history_of(url: str, seed: int, folder: Path) -> list[Done]:
    """Let processes loose on a ledger; one is killed, and another one begins in its place."""
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
    """Start processes, each with a seed of its own, the first of which kills itself after so many lines.

    They write what they do to files of these names.
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
            process.communicate()


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
    """Yield what a process wrote of what it did; a kill may have cut the last line off."""
    found: dict[str, Done] = {}
    for line in path.read_bytes().splitlines(keepends=True)[1:]:
        said: Mapping[str, Any] = json.loads(line) if line.endswith(b"\n") else {}
        if "said" in said:
            found[said["said"]["id"]] = Done(Operation(**said["said"]), said["at"])
        elif "came" in said:
            found[said["id"]].ended, found[said["id"]].came = said["at"], said["came"]
    yield from found.values()


# How it is checked.


def check(history: Sequence[Done], links: Sequence[Link]) -> None:
    """Check that a history is one of a ledger that does one thing after the other, in the order of its chain."""
    changes = changes_of(history, links)
    ledger = MemoryLedger()
    for place, done in enumerate(changes, 1):
        done.place = place
        came = run(done.what.run(ledger))
        assert done.ended == NEVER or done.came == came, done
    assert [link.chain_hash for link in ledger.links()] == [link.chain_hash for link in links]
    assert [link.document for link in ledger.links()] == [link.document for link in links]

    # What changed nothing stands as early as it can.
    for done in sorted(history, key=lambda one: one.began):
        if done.place < 0 and done.ended < NEVER:
            first = max((other.place for other in history if other.ended < done.began), default=0)
            last = min((other.place for other in changes if other.began > done.ended), default=len(changes) + 1)
            found = (place for place in range(first, last) if run(done.what.run(after(changes[:place]))) == done.came)
            done.place = next(found, -1)
            assert done.place >= 0, f"it is as nobody could have found it after {first} to {last - 1} changes: {done}"
    for done in changes:
        early = [other for other in history if other.ended < done.began and other.place > done.place]
        assert early == [], f"they had ended before this began: {done}"


def changes_of(history: Sequence[Done], links: Sequence[Link]) -> list[Done]:
    """Return what made each record of a chain, in its order. Of a record that was removed only its hash is left."""
    appended = {link_hash(done): done for done in history if done.what.kind == "append"}
    removing = {done.what.id: done for done in history if done.what.kind == "remove"}
    changes = []
    for link in links:
        document = json.loads(link.document or "{}")
        changes.append(
            removing[document["record_id"]] if document.get("event") == "removed" else appended[link.record_hash]
        )
    assert len({done.what.id for done in changes}) == len(changes), "something was done twice"
    return changes


def link_hash(done: Done) -> bytes:
    alone = MemoryLedger()
    run(alone.append(done.what.entry))
    return next(alone.links()).record_hash


def after(changes: Sequence[Done]) -> MemoryLedger:
    """Return a ledger to which all of this was done."""
    ledger = MemoryLedger()

    async def do() -> None:
        for done in changes:
            await done.what.run(ledger)

    run(do())
    return ledger
