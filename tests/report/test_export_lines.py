"""Tests of exports from files: they are read once, whatever happens to the files meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import duckdb
import pytest

from cookie_consent.report.engines import duckdb_files
from cookie_consent.report.export.formats import JSONL, lines, parquet
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.parquet import compact
from cookie_consent.sinks.files.sink import JsonLinesSink
from tests.support.report_records import DAYS, FIRST, Record, line, random_records

RECORDS = random_records(seed=11, visitors=40)
ONCE = sorted(
    {record["log.record.uid"]: record for record in RECORDS}.values(),
    key=lambda record: (record["time"], record["log.record.uid"]),
)


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An access log with a file for each day but the last one, of which two are Parquet, read in small batches."""
    monkeypatch.setattr(duckdb_files, "_BATCH_SIZE", 50)
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
    """Return the exported records. Call `between` after the first records."""
    blocks = lines(str(log), Span(), JSONL)
    read = [next(blocks), next(blocks)]
    between()
    read += blocks
    assert len(read) > 10
    return [json.loads(text) for text in b"".join(read).splitlines()]


def test_export_has_each_record_once_in_order(log: Path) -> None:
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


def test_export_has_the_records_of_its_beginning(log: Path) -> None:
    assert exported(log, lambda: JsonLinesSink(log).erase(ONCE[-1]["visitor.id"])) == ONCE


def test_parquet_export_is_sorted_and_has_each_record_once(log: Path, tmp_path: Path) -> None:
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
