"""Tests that the ledger and the access log cannot be joined: few visitors of the log are found in the ledger.

The middleware serves simulated visitors, and the test sets the clock. Each visitor sees a page, grants all some seconds
later, reads on, and may come again. Then each visitor of the log is paired with a record of the ledger, in every way
that the two allow.
"""

from __future__ import annotations

import gzip
import heapq
import json
import random
from collections.abc import Callable, Sequence
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.base.threads import wait_until
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files import locked_files
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.locked_files import compress_closed
from tests.support.asgi import PHONE, PREFIX, Clock, Visitor, install, page_app

VISITORS, ANSWERS_AN_HOUR = 180, 60
_LONGEST_GUESS = 3600
DAY = date(2026, 11, 25)
# By luck one visitor in fifteen is paired correctly: a quarter of an hour has fifteen answers. This has a margin.
MOST_BY_LUCK = VISITORS // 4

Record = dict[str, Any]
Pairs = dict[str, str]
"""Visitor id -> consent id."""


def play(log: Path, ledger: MemoryLedger) -> Pairs:
    """Let visitors come to a site, in the order of the times of what they do; return the true pairs."""
    chance = random.Random(1)  # noqa: S311 (it draws visitors, no secrets)
    clock = Clock(1_795_000_000.0)
    sink = JsonLinesSink(log)
    app = install(page_app(), ledger=ledger, access_log=sink, clock=clock)
    number = count()
    truth: Pairs = {}
    to_do: list[tuple[float, int, Visitor, str]] = []
    comes = clock.now
    for _ in range(VISITORS):
        comes += chance.expovariate(ANSWERS_AN_HOUR / 3600)
        visitor = Visitor(app, [("user-agent", PHONE), ("accept", "text/html")])
        heapq.heappush(to_do, (comes, next(number), visitor, "look"))
        heapq.heappush(to_do, (comes + 2 + chance.expovariate(1 / 8), next(number), visitor, "agree"))
    while to_do:
        clock.now, _, visitor, what = heapq.heappop(to_do)
        if what == "agree":
            visitor.post({"choice": "accept_all", "source": "banner", "surface": "banner"})
            visitor.post({"name": "page_view", "path": "/"}, path=f"{PREFIX}/events")
            truth[visitor.jar["__Host-visitor"].partition(".")[0]] = grants_in(ledger)[-1]["consent_id"]
        else:
            visitor.get("/")
        if what != "look" and chance.random() < 0.7:
            pause = chance.expovariate(1 / 50) if chance.random() < 0.9 else 86_400
            heapq.heappush(to_do, (clock.now + 1 + pause, next(number), visitor, "read"))
    sink.close()
    return truth


def grants_in(ledger: MemoryLedger) -> list[Record]:
    """Return the consent records of a ledger, in the order of the answers."""
    return [json.loads(link.document or "{}") for link in ledger.links()]


def lines_of(log: Path) -> list[Record]:
    """Return the records of a file, in the order of its lines."""
    data = gzip.decompress(log.read_bytes()) if log.suffix == ".gz" else log.read_bytes()
    return [json.loads(line) for line in data.splitlines() if line.strip()]


def close(log: Path) -> Path:
    """Close a live file, and return the file that comes of it."""
    log.rename(path_of(log, DAY, 1, FileFormat.PLAIN))
    # Retention may be reading the file: the simulated days have started it.
    assert wait_until(lambda: compress_closed(log) == [], 30, 0.1)
    return path_of(log, DAY, 1, FileFormat.GZIP)


def seconds_of(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def first_times(records: Sequence[Record]) -> dict[str, float]:
    """Return the time of the earliest record of each visitor."""
    first: dict[str, float] = {}
    for record in sorted(records, key=lambda record: str(record["time"])):
        first.setdefault(record["visitor.id"], seconds_of(record["time"]))
    return first


def pair_by_time(records: Sequence[Record], grants: Sequence[Record], earlier: float = 0) -> Pairs:
    """Pair each visitor with the answer whose time is nearest to that of the visitor's first record.

    Args:
        records: of the log.
        grants: of the ledger.
        earlier: by how many seconds the times of records are assumed to be too early.
    """
    times = [(seconds_of(grant["decided_at"]), grant["consent_id"]) for grant in grants]
    return {
        visitor: min(times, key=lambda time: abs(time[0] - first - earlier))[1]
        for visitor, first in first_times(records).items()
    }


def pair_by_best_guess(records: Sequence[Record], grants: Sequence[Record]) -> Pairs:
    """Pair by time with the lag that gives the most different answers."""
    guesses = [pair_by_time(records, grants, earlier) for earlier in range(0, _LONGEST_GUESS, 60)]
    return max(guesses, key=lambda pairs: len(set(pairs.values())))


def pair_by_rank(visitors: Sequence[str], grants: Sequence[Record]) -> Pairs:
    """Pair visitors in a given order with answers in the order of the ledger."""
    return dict(zip(visitors, (grant["consent_id"] for grant in grants), strict=False))


def visitors_of(records: Sequence[Record]) -> list[str]:
    return list(dict.fromkeys(record["visitor.id"] for record in records))


def number_of(record: Record) -> int:
    return int(record["log.record.uid"].rpartition("-")[2], 16)


WAYS: dict[str, Callable[[Sequence[Record], Sequence[Record]], Pairs]] = {
    "nearest second": pair_by_time,
    "nearest to the middle": pair_by_best_guess,
    "order of the times": lambda records, grants: pair_by_rank([*first_times(records)], grants),
    "order of the lines": lambda records, grants: pair_by_rank(visitors_of(records), grants),
    "order of the ids": lambda records, grants: pair_by_rank(visitors_of(sorted(records, key=number_of)), grants),
}


@pytest.mark.slow
def test_access_log_can_be_joined_with_the_ledger_only_by_the_lines_of_the_live_file(tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    ledger = MemoryLedger()
    truth = play(log, ledger)
    grants = grants_in(ledger)
    files = {"live": lines_of(log), "closed": lines_of(close(log))}
    joined = [
        (name, way)
        for name, records in files.items()
        for way, pair in WAYS.items()
        if sum(truth[visitor] == answer for visitor, answer in pair(records, grants).items()) >= MOST_BY_LUCK
    ]
    assert joined == [("live", "order of the lines")]


def test_large_file_is_sorted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked_files, "_SORTED_AT_ONCE", 60)
    log = tmp_path / "access.jsonl"
    lines = [b"%02d" % number for number in (3, 1, 2, 0, 7, 5, 6, 4) * 5]
    path_of(log, DAY, 1, FileFormat.PLAIN).write_bytes(b"\n".join(lines))
    assert compress_closed(log) == []
    made = gzip.decompress(path_of(log, DAY, 1, FileFormat.GZIP).read_bytes()).split()
    assert sorted(made) == sorted(lines)
    first = made[: len(made) // 4]
    assert first == sorted(first) != lines[: len(first)]
    assert made != sorted(lines), "the parts are sorted, the whole is not"
