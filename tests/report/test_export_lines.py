"""Tests of what DuckDB exports: the same as Python, in slices of time, whatever happens to the files meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import date, timedelta
from itertools import chain, product
from pathlib import Path
from random import Random
from typing import Any

import duckdb
import pytest

from cookie_consent.report.export.exported import CSV, JSONL, NCSA, lines, parquet
from cookie_consent.report.export.formats import CSV_HEADER, as_csv, as_jsonl, as_ncsa
from cookie_consent.report.export.server_logs import APPLE_DEVICES, PRODUCTS, SYSTEMS
from cookie_consent.report.export.streams import Span, slices, stream
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.compaction import compact
from cookie_consent.sinks.files.sink import JsonLinesSink
from tests.support.report_records import DAYS, FIRST, Record, line, random_records

NUMBERS = ("http.response.status_code", "duration_ms")
TEXTS = [key for key in COLUMNS if key not in ("time", "event.properties", *NUMBERS)]
SIGNS = [*map(chr, range(1, 0xB0)), *"\u200e\u200f\u202a\u202e\u2066\u2069＝＋－＠訪🙂\ufeff\u2028"]
PLAIN: Record = {
    "record.version": 1,
    "time": "2026-11-01T12:00:00.000Z",
    "log.record.uid": "uid",
    "record.kind": "view",
    "http.request.method": "GET",
    "server.address": "site.example",
    "url.path": "/a",
    "http.response.status_code": 200,
    "duration_ms": 1.5,
    "visitor.id": "-visitor",
}
PYTHON: dict[str, Callable[[Iterable[Record]], Iterable[bytes]]] = {
    JSONL: as_jsonl,
    NCSA: as_ncsa,
    CSV: lambda records: chain([CSV_HEADER], as_csv(records)),
}


def with_signs() -> Iterable[Record]:
    """Yield records with each sign in each text, at its beginning and inside."""
    for key, sign in product(TEXTS, SIGNS):
        for text in (sign, f"a{sign}b"):
            yield {key: text} if key == "log.record.uid" else {key: text, "log.record.uid": f"{key}-{text}"}
    for key in TEXTS:
        yield {key: None, "log.record.uid": None if key == "log.record.uid" else f"{key}-none"}
        yield {"log.record.uid": f"{key}-empty", key: ""}


def with_numbers() -> Iterable[Record]:
    random = Random(7)  # noqa: S311 (numbers that are the same each time)
    numbers = [0, 0.0, -1.5, 1, 1e9, 1e16, 1e22, 1e-4, 0.001, 5e-324, 0.1 + 0.2, 1_900_000.5, 100.0, 123456789.125]
    numbers += [random.uniform(0, 10 ** random.randint(-6, 12)) for _ in range(3000)]
    for number in numbers:
        yield {"duration_ms": number, "log.record.uid": f"number {number}"}
    for status in (None, 0, 101, 599, -1):
        yield {"http.response.status_code": status, "log.record.uid": f"status {status}"}


def with_agents() -> Iterable[Record]:
    browsers, systems = (*PRODUCTS, "Netscape", "Other", "", None), (*SYSTEMS, "iOS", "Windows", "Other", "", None)
    for number, (browser, system, device) in enumerate(product(browsers, systems, (*APPLE_DEVICES, "pc", "", None))):
        agent = {"user_agent.name": browser, "user_agent.os": system, "user_agent.device": device}
        yield {**agent, "log.record.uid": f"agent {number}", "http.request.method": None}


def with_properties() -> Iterable[Record]:
    values: tuple[Any, ...] = (
        *("a", "", 'a "b"', "訪問", "a\\", "\u001f", 0, -1, 7, 10**14, 10**15, 10**30, 0.5, -0.25, 1.0, 1e-7, 1e30),
        *(True, False, None, [], [1], {}, {"a": 1}),
    )
    for number, value in enumerate(values):
        event = {"record.kind": "event", "event.name": "e"}
        yield {**event, "event.properties": {"key": value}, "log.record.uid": f"one {number}"}
        yield {**event, "event.properties": {"é": value, "b": 1}, "log.record.uid": f"two {number}"}
        yield {**event, "event.properties": {"b": 1, "c": value}, "log.record.uid": f"three {number}"}
    yield {**event, "event.properties": {}, "log.record.uid": "none"}


UNUSUAL = {
    "signs": with_signs,
    "numbers": with_numbers,
    "agents": with_agents,
    "properties": with_properties,
}


@pytest.mark.parametrize("unusual", UNUSUAL)
def test_duckdb_writes_each_line_as_python_does(tmp_path: Path, unusual: str) -> None:
    log = tmp_path / "access.jsonl"
    records = [PLAIN | more for more in UNUSUAL[unusual]()]
    log.write_bytes(b"".join(map(line, ({k: v for k, v in each.items() if v is not None} for each in records))))
    read = [*stream(str(log), Span())]
    assert len(read) == len(records)
    for form, write in PYTHON.items():
        made = b"".join(lines(str(log), Span(), form))
        assert made.split(b"\n") == b"".join(write(read)).split(b"\n")


def test_properties_with_spaces_or_one_key_twice_are_written_anew(tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    texts = (
        '{"a": 1}',
        '{ "a":1}',
        '{"a":1,"a":2}',
        '{"a":1,}',
        '{"a":01}',
        '{"a":1.50}',
        '{"a":-0}',
        '{"a":"\\u00e9"}',
    )
    plain = json.dumps(PLAIN)[:-1]
    log.write_text("".join(f'{plain}, "event.properties": {text}}}\n' for text in texts))
    read = [*stream(str(log), Span())]
    assert b"".join(lines(str(log), Span(), JSONL)) == b"".join(as_jsonl(read))


# Slices


RECORDS = random_records(seed=11, visitors=40)
ONCE = sorted(
    {record["log.record.uid"]: record for record in RECORDS}.values(),
    key=lambda record: (record["time"], record["log.record.uid"]),
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An access log with a file for each day but the last one, of which two are Parquet. Slices are small."""
    monkeypatch.setattr(slices, "_SIZE", 50)
    path = tmp_path / "access.jsonl"
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        of_day = b"".join(line(record) for record in RECORDS if record["time"].startswith(str(day)))
        place = path if number == DAYS - 1 else path_of(path, day, 1, FileFormat.PLAIN)
        place.write_bytes(of_day)
        if number == 1:
            compact(path)
    later = b"".join(line(record) for record in RECORDS if record["time"] >= str(FIRST + timedelta(days=DAYS)))
    path.write_bytes(path.read_bytes() + later)
    return path


def exported(log: Path, between: Callable[[], object] = lambda: None) -> list[Record]:
    """Return the exported records. Call `between` after the first slice."""
    blocks = lines(str(log), Span(), JSONL)
    read = [next(blocks), next(blocks)]
    between()
    read += blocks
    assert len(read) > 10
    return [json.loads(text) for text in b"".join(read).splitlines()]


def test_slices_have_each_record_once_in_order(log: Path) -> None:
    assert exported(log) == ONCE
    assert [*stream(str(log), Span())] == ONCE


def test_file_with_records_of_earlier_days_is_read_for_each_of_them(log: Path) -> None:
    late = path_of(log, FIRST + timedelta(days=DAYS), 7, FileFormat.PLAIN)
    some = [{**record, "log.record.uid": f"late {number}"} for number, record in enumerate(ONCE[::7])]
    late.write_bytes(b"".join(map(line, some)))
    compact(log)
    assert exported(log) == sorted([*ONCE, *some], key=lambda each: (each["time"], each["log.record.uid"]))


def test_files_compacted_during_an_export_are_read_once(log: Path) -> None:
    assert exported(log, lambda: compact(log)) == ONCE


def test_live_file_closed_and_compacted_during_an_export_is_read_once(log: Path) -> None:
    def close() -> None:
        log.rename(path_of(log, FIRST + timedelta(days=DAYS), 1, FileFormat.PLAIN))
        compact(log)

    assert exported(log, close) == ONCE


def test_records_erased_during_an_export_are_left_out_of_later_slices(log: Path) -> None:
    compact(log)
    closed = [record for record in ONCE if record["time"] < str(FIRST + timedelta(days=DAYS - 1))]
    visitor = closed[-1]["visitor.id"]
    read = exported(log, lambda: JsonLinesSink(log).erase(visitor))
    assert closed[-1] not in read
    assert [each for each in read if each["visitor.id"] != visitor] == [
        each for each in ONCE if each["visitor.id"] != visitor
    ]


def test_parquet_of_slices_is_sorted_and_has_each_record_once(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "all.parquet"
    days: list[date] = []
    parquet(str(log), Span(), out, seen=days.append)
    rows = duckdb.read_parquet(str(out)).select("uid").fetchall()
    assert [uid for (uid,) in rows] == [record["log.record.uid"] for record in ONCE]
    assert days == sorted(days)
    assert len(set(days)) >= DAYS


def test_parquet_of_no_records_has_its_columns(log: Path, tmp_path: Path) -> None:
    out = tmp_path / "none.parquet"
    parquet(str(log), Span(host="none.example"), out)
    parquet(str(log), Span(since=FIRST + timedelta(days=400)), tmp_path / "never.parquet")
    for file in (out, tmp_path / "never.parquet"):
        relation = duckdb.read_parquet(str(file))
        assert relation.columns == [*COLUMNS.values()]
        assert relation.fetchall() == []
