"""Tests of `cookie-consent export`: the records of an access log, from every store, in every format."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import pytest

from cookie_consent.cli.frame import FINDING
from cookie_consent.cli.main import GOOD, WRONG_USAGE, main
from cookie_consent.report.engines import duckdb_files
from cookie_consent.report.export.formats import JSONL, lines, ncsa, parquet
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.parquet import compact
from cookie_consent.sinks.files.sink import JsonLinesSink
from cookie_consent.sinks.store import read_readable
from tests.support.report_oracle import Oracle
from tests.support.report_records import (
    COUNTS,
    FIRST,
    HOSTS,
    LAST,
    RECORDS,
    SECOND,
    THIRD,
    Record,
    day_of,
    line,
    write_days,
    write_to_store,
)  # fmt: skip

ONCE = sorted(
    {record["log.record.uid"]: record for record in RECORDS}.values(),
    key=lambda record: (record["time"], record["log.record.uid"]),
)
SPANS = {
    "all": Span(),
    "two days": Span(SECOND, THIRD),
    "two days in Tokyo": Span(SECOND, THIRD, time_zone="Asia/Tokyo"),
    "until a day in Honolulu": Span(until=SECOND, time_zone="Pacific/Honolulu"),
    "since a day": Span(since=THIRD),
    "a host": Span(host=HOSTS[1].upper()),
    "an entry page": Span(where=(("entry", "/*"), ("channel", "other site"))),
    "a page and a browser": Span(SECOND, where=(("page", "/a*"), ("browser", "Firefox"))),
    "a device": Span(THIRD, THIRD, HOSTS[0], where=(("device", "pc"),)),
    "new visitors": Span(SECOND, LAST, where=(("returning", "no"),)),
    "days without records": Span(LAST + timedelta(days=300)),
}
IN_EACH_STORE = ("all", "two days in Tokyo", "an entry page")
STREAMS = [
    pytest.param(store, name, marks=[] if store == "files" or name in IN_EACH_STORE else [pytest.mark.full_matrix])
    for store in ("files", "postgresql", "clickhouse")
    for name in SPANS
]
"""A store, and what it is asked for."""
CaptureBytes = pytest.CaptureFixture[bytes]
Capture = pytest.CaptureFixture[str]


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """The records, in one file."""
    path = tmp_path / "access.jsonl"
    path.write_bytes(b"".join(map(line, RECORDS)))
    return path


def wanted(span: Span) -> list[Record]:
    since, until = max(span.first, FIRST), min(span.last, LAST + timedelta(days=1))
    members = {record["log.record.uid"] for record in ONCE}
    if span.where:
        members = Oracle(RECORDS, COUNTS, since, until, host=span.host, where=span.where).members

    def is_in(record: Record) -> bool:
        day = datetime.fromisoformat(record["time"]).astimezone(ZoneInfo(span.time_zone)).date()
        is_of_host = (span.host or record["server.address"]).lower() == record["server.address"]
        return span.first <= day <= span.last and is_of_host and record["log.record.uid"] in members

    return list(filter(is_in, ONCE))


def as_sent(record: Record) -> Record:
    """Return a record with large numbers as they were sent: PostgreSQL writes them with all their digits."""
    properties = record.get("event.properties")
    if properties is None:
        return record
    large = {key: float(value) for key, value in properties.items() if isinstance(value, int) and value > 2**53}
    return {**record, "event.properties": {**properties, **large}}


@pytest.mark.parametrize(("access_log", "name"), STREAMS, indirect=["access_log"])
def test_every_store_streams_each_record_once_in_order_of_time(access_log: str, name: str) -> None:
    records, missing = read_readable(stream(access_log, SPANS[name]))
    assert list(map(as_sent, records)) == wanted(SPANS[name])
    assert missing.endswith("" if "://" in access_log else f"{access_log}: 4 lines are no records")
    if records:
        with closing(stream(access_log, SPANS[name])) as closed:
            assert next(closed) == records[0]
        assert list(closed) == []


@pytest.mark.parametrize("access_log", ["files", pytest.param("postgresql", marks=pytest.mark.server)])
def test_stream_gives_more_records_than_one_fetch(
    access_log: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    many = [{**RECORDS[0], "log.record.uid": f"Uid-{number:06}"} for number in range(4500)]
    log = str(tmp_path / "access.jsonl")
    if access_log == "files":
        Path(log).write_bytes(b"".join(map(line, reversed(many))))
    else:
        log = request.getfixturevalue("postgres_url")
        write_to_store(f"{log}?spill={tmp_path}", many, [])
    assert [each["log.record.uid"] for each in stream(log, Span())] == [each["log.record.uid"] for each in many]


@pytest.mark.parametrize(
    ("first", "last", "says"),
    [
        (SECOND, FIRST, "2026-11-02 is no day before or equal to 2026-11-01"),
        (date(1969, 12, 31), None, "days from 1970-01-01 to 9999-12-30"),
        (None, date(9999, 12, 31), "days from 1970-01-01 to 9999-12-30"),
    ],
)
def test_span_without_records_is_refused(first: date | None, last: date | None, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Span(first, last)


# What happens meanwhile


def close_and_compact(log: Path) -> None:
    log.rename(path_of(log, LAST, 9, FileFormat.PLAIN))
    compact(log)


def erase(log: Path) -> None:
    assert JsonLinesSink(log).erase(ONCE[-1]["visitor.id"])


@pytest.mark.parametrize("happen", [compact, close_and_compact, erase])
def test_export_has_the_records_of_its_beginning_once(
    happen: Callable[[Path], object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(duckdb_files, "_BATCH_SIZE", 50)
    log = tmp_path / "access.jsonl"
    for day in (FIRST, SECOND):
        write_days(path_of(log, day, 1, FileFormat.PLAIN), RECORDS, [day])
        if day == FIRST:
            compact(log)
    write_days(log, RECORDS, {day_of(record) for record in RECORDS} - {FIRST, SECOND})
    blocks = lines(str(log), Span(), JSONL)
    read = [next(blocks), next(blocks)]
    happen(log)
    assert [json.loads(text) for text in b"".join([*read, *blocks]).splitlines()] == ONCE


# The command


def exported(capture: CaptureBytes, *arguments: str) -> list[bytes]:
    assert main(["export", *arguments]) == GOOD
    return capture.readouterr().out.splitlines(keepends=True)


def as_requests(records: list[Record]) -> list[bytes]:
    """Return the lines of requests, and of the pages that scripts told of."""
    page = {"http.request.method": "GET", "http.response.status_code": 200}
    return [
        f"{ncsa({**record, **(page if record['record.kind'] == 'event' else {})})}\n".encode()
        for record in records
        if record.get("event.name", "page_view") == "page_view"
    ]


def uids_in(file: Path) -> list[str]:
    return [uid for (uid,) in duckdb.read_parquet(str(file)).project("uid").fetchall()]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "span"),
    [
        (["--from", str(SECOND), "--to", str(THIRD), "--host", HOSTS[0]], Span(SECOND, THIRD, HOSTS[0])),
        (["--from", str(SECOND), "--where", "entry=/*"], Span(SECOND, where=(("entry", "/*"),))),
        (["--from", str(THIRD), "--time-zone", "Asia/Tokyo"], Span(THIRD, time_zone="Asia/Tokyo")),
    ],
)  # fmt: skip
def test_command_exports_a_span_in_every_format(
    options: list[str], span: Span, live: Path, capsysbinary: CaptureBytes
) -> None:
    out = live.with_name("out.parquet")
    asked = ["--access-log", str(live), *options, "--format"]
    records = wanted(span)
    uids = [record["log.record.uid"] for record in records]
    assert 20 < len(records) < len(ONCE)
    assert [json.loads(text) for text in exported(capsysbinary, *asked, "jsonl")] == records
    assert exported(capsysbinary, *asked, "ncsa") == as_requests(records)
    rows = csv.DictReader(io.StringIO(b"".join(exported(capsysbinary, *asked, "csv")).decode(), newline=""))
    assert [row["uid"] for row in rows] == uids
    exported(capsysbinary, *asked, "parquet", "--out", str(out))
    assert uids_in(out) == uids


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
@pytest.mark.parametrize("device", [None, "pc", "mobile"])
def test_export_with_a_damaged_file_has_all_other_records(
    form: str, device: str | None, live: Path, capsys: Capture
) -> None:
    damaged, out = path_of(live, SECOND, 1, FileFormat.GZIP), live.with_name("out")
    damaged.write_bytes(b"\x1f\x8b no gzip")
    where = (("device", device),) if device else ()
    options = [f"--where=device={device}"] if device else []
    assert main(["export", "--access-log", str(live), "--format", form, "--out", str(out), *options]) == FINDING
    assert damaged.name in capsys.readouterr().err
    found = (
        uids_in(out)
        if form == "parquet"
        else [json.loads(text)["log.record.uid"] for text in out.read_bytes().splitlines()]
    )
    assert found == [record["log.record.uid"] for record in wanted(Span(where=where))]


def test_csv_export_has_all_columns_and_no_formula(tmp_path: Path, capsysbinary: CaptureBytes) -> None:
    path = tmp_path / "access.jsonl"
    event = {**ONCE[0], "record.kind": "event", "event.name": "-x", "event.properties": {"é": '"=1'}}
    path.write_bytes(line({**event, "server.address": "=cmd()", "visitor.id": "-id", "url.query": "", "status": None}))
    text = b"".join(exported(capsysbinary, "--access-log", str(path), "--format", "csv")).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert list(row) == list(COLUMNS.values())
    assert (row["host"], row["visitor"], row["event"], row["query"]) == ("'=cmd()", "-id", "'-x", "")
    assert json.loads(row["properties"]) == event["event.properties"]


def test_parquet_export_equals_compacted_file(live: Path, tmp_path: Path, capsys: Capture) -> None:
    out, empty = tmp_path / "all.parquet", tmp_path / "none.parquet"
    assert main(["export", "--access-log", str(live), "--format", "parquet", "--out", str(out)]) == GOOD
    assert capsys.readouterr().out == f"{out} is written.\n"
    assert out.stat().st_mode & 0o007 == 0
    parquet(str(live), Span(host="none.example"), empty)
    close_and_compact(live)
    made, other, nothing = (
        duckdb.read_parquet(str(file), hive_partitioning=False)
        for file in (out, path_of(live, LAST, 9, FileFormat.PARQUET), empty)
    )
    assert made.columns == other.columns == nothing.columns == [*COLUMNS.values()]
    assert made.types == other.types == nothing.types
    assert sorted(map(str, made.fetchall())) == sorted(map(str, other.fetchall()))
    assert (uids_in(out), uids_in(empty)) == ([record["log.record.uid"] for record in ONCE], [])


def test_out_file_is_complete_and_private(live: Path, tmp_path: Path, capsysbinary: CaptureBytes) -> None:
    whole = exported(capsysbinary, "--access-log", str(live), "--format", "ncsa")
    out = tmp_path / "out" / "access.log"
    out.parent.mkdir()
    for more, text in (([], b"".join(whole)), (["--host", "none.example"], b"")):
        exported(capsysbinary, "--access-log", str(live), "--format", "ncsa", "--out", str(out), *more)
        assert out.read_bytes() == text
        assert (out.stat().st_mode & 0o007, os.listdir(out.parent)) == (0, ["access.log"])


def test_export_shows_progress_on_terminal(live: Path, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    code = "import sys; from cookie_consent.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "export", "--access-log", str(live), "--format", "csv"]
    command += ["--to", str(LAST), "--out", str(tmp_path / "all.csv")]
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=theirs, timeout=60, check=True
    )
    os.close(theirs)
    with open(ours, "rb", buffering=0) as shown:
        assert b"of 5 days" in shown.read(10_000)
    assert done.stdout.endswith(b"is written.\n")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name what to export: --id ID for everything"),
        (["--json"], "Name what to export: --id ID for everything"),
        (["--format", "jsonl", "--json"], '"--format jsonl" is JSON'),
        (["--format", "parquet"], "--format parquet needs --out FILE"),
        (["--format", "csv"], "Name the access log"),
        (["--format", "csv", "--access-log", "mq://a", "--out", "b"], '"mq://" cannot be read'),
        (["--format", "csv", "--access-log", "none.jsonl"], "there is no file none.jsonl"),
        (["--format", "csv", "--access-log", "a", "--from", "2026-11-02", "--to", "2026-11-01"], "is no day before"),
        (["--id", "a", "--format", "csv"], "--format and what goes with it stand alone"),
        (["--id", "a", "--host", "site.example"], "--format and what goes with it stand alone"),
        (["--format", "csv", "--access-log", __file__, "--out", "none/out"], "none/out cannot be written"),
        (["--format", "parquet", "--access-log", __file__, "--out", "none/out"], "none/out cannot be written"),
        (["--format", "csv", "--access-log", __file__, "--out", "/"], "--out takes the name of a file, and / is none."),
        (["--format", "csv", "--access-log", __file__, "--out", "/dev/null"], "and /dev/null is none."),
        (["--format", "csv", "--access-log", __file__, "--out", __file__], "is a file of the access log itself."),
    ],
)  # fmt: skip
def test_wrong_arguments_are_refused_with_advice(arguments: list[str], says: str, capsys: Capture) -> None:
    assert main(["export", *arguments]) == WRONG_USAGE
    said = capsys.readouterr()
    assert says in said.err
    assert not said.out


def test_export_does_not_overwrite_a_link_to_the_log_or_its_closed_files(
    live: Path, tmp_path: Path, capsys: Capture
) -> None:
    kept, link, closed = live.read_bytes(), tmp_path / "link", path_of(live, FIRST, 1, FileFormat.PLAIN)
    link.symlink_to(live)
    closed.touch()
    for out in (link, closed):
        assert main(["export", "--access-log", str(live), "--format", "csv", "--out", str(out)]) == WRONG_USAGE
        assert f"--out: {out} is a file of the access log itself. Name another." in capsys.readouterr().err
    assert live.read_bytes() == kept


def test_export_does_not_write_through_link_at_part_file(live: Path, tmp_path: Path) -> None:
    theirs, out = tmp_path / "theirs", tmp_path / "out.csv"
    theirs.write_text("kept")
    (tmp_path / ".out.csv.part").symlink_to(theirs)
    assert main(["export", "--access-log", str(live), "--format", "csv", "--out", str(out)]) == GOOD
    assert theirs.read_text() == "kept"
    assert out.read_text("utf-8").startswith("time,uid,kind,")


def test_parquet_export_buffers_records_in_no_named_file(
    live: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, out = tmp_path / "temporary", tmp_path / "out.parquet"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    days = []

    def see(day: date) -> None:
        days.append(day)
        assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_size]

    parquet(str(live), Span(), out, seen=see)
    assert days == sorted(set(days))
    assert len(uids_in(out)) == len(ONCE)
