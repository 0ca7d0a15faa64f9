"""Lines for sinks, and helpers for the tests that run with each database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from cookie_consent.sinks import open_sink
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.store import InvalidLinesError
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[2]
LONGEST = 60.0
_BEGAN = os.environ.setdefault("TESTS_BEGAN", datetime.now(UTC).isoformat())
"""The same in all processes, also if a day begins meanwhile."""
TODAY = datetime.fromisoformat(_BEGAN).replace(hour=12, minute=0, second=0, microsecond=345_000)
"""A time of today, because servers use their own clocks."""
_WRITER = "import sys; from tests.support.sink_lines import write_many; write_many(*sys.argv[1:])"


def at(time: datetime) -> str:
    """Return a time in the format of records."""
    return time.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def partition_day(ago: int) -> str:
    """Return the day some days ago in the format of partition names."""
    return f"{TODAY - timedelta(days=ago):%Y%m%d}"


def record(
    number: int, visitor: str = "one", *, days: int = 0, but: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Any]:
    """Return an access record with all fields.

    Args:
        number: makes the record unique.
        visitor: the visitor id.
        days: how many days ago.
        but: fields that replace the default ones.
    """
    return {
        "time": at(TODAY - timedelta(days=days) + timedelta(milliseconds=number % 1000)),
        "log.record.uid": f"abcdefghijklmnop-{number:x}",
        "record.version": 1,
        "record.kind": "event",
        "http.request.method": "GET",
        "server.address": "registry.example",
        "url.path": "/offices/東京/\u2028\"'\\",
        "http.route": "/offices/{id}",
        "url.query": "utm_source=a&utm_medium=b",
        "http.request.referrer": "https://other.example",
        "network.protocol.version": "1.1",
        "http.response.status_code": 200,
        "duration_ms": 2.5,
        "visitor.id": visitor,
        "client.address": "192.0.2.0",
        "client.geo.country.iso_code": "JP",
        "user_agent.name": "Firefox",
        "user_agent.os": "Linux",
        "user_agent.device": "pc",
        "consent.policy": "a1b2c3",
        "consent.purpose": "audience",
        "event.name": "download",
        "event.properties": {"file": "a.pdf", "pages": 3, "again": True},
        **but,
    }


def line(number: int, visitor: str = "one", *, days: int = 0, but: Mapping[str, Any] = MappingProxyType({})) -> bytes:
    """Return the line of such a record."""
    return to_line(record(number, visitor, days=days, but=but))


def to_line(values: dict[str, Any]) -> bytes:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def count_line(number: int, value: int, *, days: int = 0) -> bytes:
    """Return a count as a line."""
    return to_line(
        {
            "time": at(TODAY - timedelta(days=days)),
            "log.record.uid": f"abcdefghijklmnop-c{number:x}",
            "record.version": 1,
            "count.day": f"{TODAY - timedelta(days=days):%Y-%m-%d}",
            "server.address": "registry.example",
            "consent.language": "en",
            "count.name": "degraded",
            "count.detail": "map",
            "count.value": value,
        }
    )


def count_invalid_lines(write: Callable[[], None]) -> int:
    """Return how many lines a store rejects as invalid."""
    with pytest.raises(InvalidLinesError) as error:
        write()
    assert "visitor" not in str(error.value), "the message must not quote lines"
    return error.value.lines


def wait_for_server(holds: Callable[[], object]) -> None:
    """Wait until a condition holds. An exception counts as "not yet": the server may be away for a moment."""
    wait_until(holds, LONGEST, ignoring=(Exception,))


def write_many(url: str, first: str, last: str) -> None:
    """Write some records to a sink, each twice. Processes run this."""
    sink = open_sink(url)
    for number in range(int(first), int(last)):
        sink.write(line(number, f"visitor-{number % 7}", days=number % 3))
        sink.write(line(number - number % 2, f"visitor-{(number - number % 2) % 7}", days=(number - number % 2) % 3))
    sink.close()
    stats = sink.stats()
    assert stats["written"] == 2 * (int(last) - int(first)), stats


def write_from_processes(url: str, *ranges: tuple[int, int]) -> None:
    """Write from several processes at the same time."""
    writers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, str(first), str(last)], cwd=ROOT, stderr=subprocess.PIPE)
        for first, last in ranges
    ]
    said = [writer.communicate(timeout=LONGEST)[1].decode() for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * len(writers), said
    assert said == [""] * len(writers)


@contextmanager
def writing(sink: BufferedSink) -> Iterator[list[str]]:
    """Write records in a thread until the block ends; yields their uids, the newest last."""
    ends = threading.Event()
    written: list[str] = []

    def write() -> None:
        while not ends.wait(0.001):
            number = len(written)
            written.append(record(number)["log.record.uid"])
            sink.write(line(number, days=number % 2))

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield written
    finally:
        ends.set()
        thread.join(60)


def write_through_an_outage(
    sink: BufferedSink, end: Callable[[], None], start: Callable[[], None], kept: Callable[[], Collection[str]]
) -> None:
    """Write records while a server stops and starts; check that each record is stored once.

    Args:
        sink: the sink of that server.
        end: stops the server.
        start: starts it again.
        kept: returns the stored uids.
    """
    with writing(sink) as written:
        wait_for_server(lambda: len(kept()) > 100)
        end()
        wait_for_server(lambda: sink.stats()["spilled"] > 100)
        before = len(written)
        start()
        wait_for_server(lambda: written[before] in kept())
    wait_for_server(lambda: len(kept()) >= len(written))
    assert sorted(kept()) == sorted(written)
    stats = sink.stats()
    assert stats["retried"] > 0
    assert {name for name in stats if name.startswith("dropped") and stats[name]} == set()
