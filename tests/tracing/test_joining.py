"""Tests that the ledger and the access log cannot be joined: few visitors of the log are found in the ledger.

The middleware serves simulated visitors, and the test sets the clock. Each visitor sees a page, grants all some seconds
later, reads on, and may come again. Then each visitor of the log is paired with a record of the ledger, in every way
that the two allow.
"""

from __future__ import annotations

import asyncio
import gzip
import heapq
import itertools
import json
import random
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Message

from benchmarks.apps import BROWSER, CLIENT, KEY, POLICY, PREFIX, ROUTE, SERVER, bare_app
from cookie_consent import ConsentMiddleware
from cookie_consent.base.threads import wait_until
from cookie_consent.ledgers import MemoryLedger
from cookie_consent.sinks import JsonLinesSink
from cookie_consent.sinks.files import locked_files
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.locked_files import compress_closed

VISITORS, ANSWERS_AN_HOUR = 242, 60
_BEGAN = 1_795_000_000.0
_LONGEST_GUESS = 3600
Record = dict[str, Any]
DAY = date(2026, 11, 25)
# By luck one visitor in fifteen is paired correctly: a quarter of an hour has fifteen answers. This has a margin.
MOST_BY_LUCK = VISITORS // 4


class Site:
    """A site with visitors.

    Args:
        folder: where its access log goes.
        seed: of the random numbers.
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.random, self.now = random.Random(seed), _BEGAN  # noqa: S311 (it draws visitors, no secrets)
        self.log, self.ledger = folder / "access.jsonl", MemoryLedger()
        self.cookies: dict[int, dict[bytes, bytes]] = {}
        self.truth: dict[str, str] = {}
        """Visitor id -> consent id."""
        sink = JsonLinesSink(self.log)
        self.app = ConsentMiddleware(
            bare_app(), POLICY, KEY, ledger=self.ledger, access_log=sink, clock=lambda: self.now
        )
        asyncio.run(self._visits())
        sink.close()

    async def _visits(self) -> None:
        """Simulate all visits, in the order of their times."""
        number, comes, doing = itertools.count(), _BEGAN, list[tuple[float, int, int, str]]()
        for visitor in range(VISITORS):
            comes += self.random.expovariate(ANSWERS_AN_HOUR / 3600)
            heapq.heappush(doing, (comes, next(number), visitor, "look"))
            heapq.heappush(doing, (comes + 2 + self.random.expovariate(1 / 8), next(number), visitor, "agree"))
        while doing:
            self.now, _, visitor, what = heapq.heappop(doing)
            if what == "agree":
                await self._agree(visitor)
            else:
                await self._ask(visitor, "GET", ROUTE)
            if what != "look" and self.random.random() < 0.7:
                pause = self.random.expovariate(1 / 50) if self.random.random() < 0.9 else 86_400
                heapq.heappush(doing, (self.now + 1 + pause, next(number), visitor, "read"))

    async def _agree(self, visitor: int) -> None:
        await self._ask(visitor, "POST", PREFIX, {"choice": "accept_all", "source": "banner", "surface": "banner"})
        await self._ask(visitor, "POST", f"{PREFIX}/events", {"name": "page_view", "path": ROUTE})
        jar = self.cookies[visitor]
        consent, pseudonym = (next(jar[name] for name in jar if name.endswith(end)) for end in (b"consent", b"visitor"))
        self.truth[pseudonym.split(b".")[0].decode()] = consent.split(b"~")[5].decode()

    async def _ask(self, visitor: int, method: str, path: str, data: Record | None = None) -> None:
        jar, body = self.cookies.setdefault(visitor, {}), json.dumps(data).encode() if data else b""
        headers = [*BROWSER, (b"content-type", b"application/json")]
        headers += [(b"cookie", b"; ".join(b"%b=%b" % pair for pair in jar.items()))] if jar else []
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "https", "method": method,
            "path": path, "raw_path": path.encode(), "query_string": b"", "root_path": "", "headers": headers,
            "client": CLIENT, "server": SERVER, "state": {}, "extensions": {},
        }  # fmt: skip

        async def receive() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] < 400, (method, path, message)
                for name, value in message["headers"]:
                    if name == b"set-cookie":
                        key, _, token = value.partition(b";")[0].partition(b"=")
                        jar[key] = token

        await self.app(scope, receive, send)


def lines_of(log: Path) -> list[Record]:
    """Return the records of a file, in the order of its lines."""
    read = gzip.decompress(log.read_bytes()) if log.suffix == ".gz" else log.read_bytes()
    return [json.loads(line) for line in read.splitlines() if line.strip()]


def closed(log: Path) -> Path:
    """Close a live file, and return the file that comes of it."""
    log.rename(path_of(log, DAY, 1, FileFormat.PLAIN))
    # Retention may be reading the file: the simulated days have started it.
    assert wait_until(lambda: compress_closed(log) == [], 30, 0.1)
    return path_of(log, DAY, 1, FileFormat.GZIP)


def by_time(records: Sequence[Record], grants: Sequence[Record], earlier: float = 0) -> dict[str, str]:
    """Pair each visitor with the answer whose time is nearest to that of the visitor's first record.

    Args:
        records: of the log.
        grants: of the ledger.
        earlier: by how many seconds the times of records are assumed to be too early.
    """
    pairs, times = {}, [(_seconds(grant["decided_at"]), grant["consent_id"]) for grant in grants]
    for visitor, first in first_times(records).items():
        pairs[visitor] = min(times, key=lambda time: abs(time[0] - first - earlier))[1]
    return pairs


def by_rank(visitors: Sequence[str], grants: Sequence[Record]) -> dict[str, str]:
    """Pair visitors in a given order with answers in the order of the ledger."""
    return dict(zip(visitors, (grant["consent_id"] for grant in grants), strict=False))


def first_times(records: Sequence[Record]) -> dict[str, float]:
    """Return the time of the earliest record of each visitor."""
    first: dict[str, float] = {}
    for record in records:
        time, visitor = _seconds(record["time"]), record["visitor.id"]
        first[visitor] = min(first.get(visitor, time), time)
    return first


def ways(records: Sequence[Record], grants: Sequence[Record]) -> dict[str, dict[str, str]]:
    """Return the pairs that each way of joining makes. `grants` is in the order of the answers."""
    first = first_times(records)
    numbers = sorted(records, key=lambda record: _number(record["log.record.uid"]))
    return {
        "nearest second": by_time(records, grants),
        "nearest to the middle": max(
            (by_time(records, grants, earlier) for earlier in range(0, _LONGEST_GUESS, 30)),
            key=_different_answers,
        ),
        "order of the times": by_rank(sorted(first, key=lambda visitor: first[visitor]), grants),
        "order of the lines": by_rank(list(dict.fromkeys(record["visitor.id"] for record in records)), grants),
        "order of the ids": by_rank(list(dict.fromkeys(record["visitor.id"] for record in numbers)), grants),
    }


def _different_answers(pairs: dict[str, str]) -> int:
    """Return how many different answers the pairs have: the more, the better the guess of the lag."""
    return len(set(pairs.values()))


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _number(uid: str) -> int:
    return int(uid.rpartition("-")[2], 16)


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, int]]:
    """How many visitors are paired correctly, with the live file and with the closed file."""
    site = Site(tmp_path_factory.mktemp("joining"), seed=1)
    grants = [json.loads(link.document or "{}") for link in site.ledger.links()]
    logs = {"live": lines_of(site.log), "closed": lines_of(closed(site.log))}

    def right(pairs: dict[str, str]) -> int:
        return sum(site.truth[one] == other for one, other in pairs.items())

    return {name: {way: right(made) for way, made in ways(own, grants).items()} for name, own in logs.items()}


@pytest.mark.parametrize(
    "way", ["nearest second", "nearest to the middle", "order of the times", "order of the lines", "order of the ids"]
)
@pytest.mark.slow
def test_closed_access_log_cannot_be_joined_with_ledger(found: dict[str, dict[str, int]], way: str) -> None:
    assert found["closed"][way] < MOST_BY_LUCK


@pytest.mark.slow
def test_live_access_log_can_be_joined_only_by_line_order(found: dict[str, dict[str, int]]) -> None:
    assert {way for way, number in found["live"].items() if number >= MOST_BY_LUCK} == {"order of the lines"}


def test_large_file_is_sorted_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locked_files, "_SORTED_AT_ONCE", 60)
    log, lines = tmp_path / "access.jsonl", [b"%02d" % number for number in (3, 1, 2, 0, 7, 5, 6, 4) * 5]
    path_of(log, DAY, 1, FileFormat.PLAIN).write_bytes(b"\n".join(lines))
    assert compress_closed(log) == []
    made = gzip.decompress(path_of(log, DAY, 1, FileFormat.GZIP).read_bytes()).split()
    assert sorted(made) == sorted(lines)
    first = made[: len(made) // 4]
    assert first == sorted(first) != lines[: len(first)]
    assert made != sorted(lines), "the parts are sorted, the whole is not"
