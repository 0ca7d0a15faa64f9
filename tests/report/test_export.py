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
from collections.abc import Iterator
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import psycopg
import pytest

from cookie_consent.cli.frame import FINDING
from cookie_consent.cli.main import GOOD, WRONG_USAGE, main
from cookie_consent.report import UnreadableError
from cookie_consent.report.engines import postgresql
from cookie_consent.report.export import stream as segments
from cookie_consent.report.export.formats import ncsa, parquet
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.sinks.columns import COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, path_of
from cookie_consent.sinks.files.parquet import compact
from cookie_consent.sinks.store import read_readable
from tests.report.test_report import write_files, write_to_store
from tests.support.report_oracle import Oracle
from tests.support.report_records import DAYS, FIRST, HOSTS, Record, line, random_counts, random_records
from tests.support.servers.clickhouse_server import ClickHouseDatabases, clickhouse_databases

STORES = ("files", "postgresql", "clickhouse")
LAST = FIRST + timedelta(days=DAYS - 1)
SECOND, THIRD = FIRST + timedelta(days=1), FIRST + timedelta(days=2)
RECORDS, COUNTS = random_records(seed=7, visitors=40), random_counts(seed=7)
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
    "until a day": Span(until=SECOND),
    "a host": Span(host=HOSTS[1].upper()),
    "an entry page": Span(where=(("entry", "/*"), ("channel", "other site"))),
    "a page and a browser": Span(SECOND, where=(("page", "/a*"), ("browser", "Firefox"))),
    "a device": Span(THIRD, THIRD, HOSTS[0], where=(("device", "pc"),)),
    "new visitors": Span(SECOND, LAST, where=(("returning", "no"),)),
    "days without records": Span(LAST + timedelta(days=300)),
}
LONGEST_RUN = 60
CaptureBytes = pytest.CaptureFixture[bytes]
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    with clickhouse_databases() as databases:
        yield databases


@pytest.fixture(scope="module", params=STORES)
def access_log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same records in each kind of store."""
    if request.param == "files":
        path = tmp_path_factory.mktemp("logs") / "access.jsonl"
        write_files(path, RECORDS, COUNTS)
        yield str(path)
        return
    databases = request.getfixturevalue("postgres" if request.param == "postgresql" else "clickhouse")
    url = f"{databases.new_database()}?spill={tmp_path_factory.mktemp('spill')}"
    write_to_store(url, RECORDS, COUNTS)
    yield url
    databases.drop_databases()


@pytest.fixture
def live(tmp_path: Path) -> Path:
    """Some records, in one file."""
    path = tmp_path / "access.jsonl"
    path.write_bytes(b"".join(map(line, RECORDS)))
    return path


def wanted(span: Span) -> list[Record]:
    def is_in(record: Record) -> bool:
        day = datetime.fromisoformat(record["time"]).astimezone(ZoneInfo(span.time_zone)).date()
        return (
            span.first <= day <= span.last
            and (span.host or record["server.address"]).lower() == record["server.address"]
            and record["log.record.uid"] in members
        )

    since, until = max(span.first, FIRST), min(span.last, LAST + timedelta(days=1))
    members = {record["log.record.uid"] for record in ONCE}
    if span.where:
        members = Oracle(RECORDS, COUNTS, since, until, host=span.host, where=span.where).members
    return list(filter(is_in, ONCE))


@pytest.mark.parametrize("name", SPANS)
def test_every_store_streams_each_record_once_in_order_of_time(access_log: str, name: str) -> None:
    records, missing = read_readable(stream(access_log, SPANS[name]))
    assert list(map(as_sent, records)) == wanted(SPANS[name])
    assert missing.endswith("" if "://" in access_log else f"{access_log}: 4 lines are no records")


def as_sent(record: Record) -> Record:
    """Return a record with large numbers as they were sent: PostgreSQL writes them with all their digits."""
    properties = record.get("event.properties")
    if properties is None:
        return record
    whole = {
        key: float(value) if isinstance(value, int) and value > 2**53 else value for key, value in properties.items()
    }
    return {**record, "event.properties": whole}


def test_stream_closed_early_gives_no_more_records(access_log: str) -> None:
    with closing(stream(access_log, Span())) as records:
        assert next(records) == ONCE[0]
    assert list(records) == []


def test_stream_gives_more_records_than_one_fetch(tmp_path: Path, postgres_url: str) -> None:
    many = [{**RECORDS[0], "log.record.uid": f"Uid-{number:06}"} for number in range(4500)]
    (tmp_path / "access.jsonl").write_bytes(b"".join(map(line, reversed(many))))
    write_to_store(f"{postgres_url}?spill={tmp_path}", many, [])
    for access_log in (str(tmp_path / "access.jsonl"), postgres_url):
        assert [record["log.record.uid"] for record in stream(access_log, Span())] == [
            record["log.record.uid"] for record in many
        ]


def test_span_that_ends_before_its_start_is_refused() -> None:
    with pytest.raises(ValueError, match="2026-11-02 is no day before or equal to 2026-11-01"):
        Span(SECOND, FIRST)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://nobody@127.0.0.1:1/none", "the database cannot be used"),
        ("clickhouse://nobody@127.0.0.1:1/none", "the database cannot be used"),
        ("logs/missing.jsonl", "there is no file logs/missing.jsonl"),
    ],
)
def test_missing_access_log_raises_unreadable_error(url: str, says: str) -> None:
    with pytest.raises(UnreadableError, match=says):
        next(stream(url, Span()))


def test_database_without_access_records_raises_unreadable_error(
    postgres_url: str, clickhouse: ClickHouseDatabases
) -> None:
    for url in (postgres_url, clickhouse.new_database()):
        with pytest.raises(UnreadableError, match="has never kept access records"):
            next(stream(url, Span()))


def test_locked_database_times_out(postgres_url: str, tmp_path: Path) -> None:
    write_to_store(f"{postgres_url}?spill={tmp_path}", RECORDS[:1], [])
    with psycopg.connect(postgres_url) as another:
        another.execute("LOCK TABLE access_records IN ACCESS EXCLUSIVE MODE")
        with (
            pytest.raises(UnreadableError, match="the database cannot be used"),
            postgresql.open_rows(postgres_url, Span().given, longest=0.3) as rows,
        ):
            next(rows)


@pytest.mark.parametrize(
    ("package", "url"),
    [("duckdb", __file__), ("psycopg", "postgresql://localhost/a"), ("clickhouse_connect", "clickhouse://localhost/a")],
)
def test_missing_package_error_says_how_to_install(package: str, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnreadableError, match="pip install"):
        next(stream(url, Span()))


# The command


def exported(capture: CaptureBytes, *arguments: str) -> list[bytes]:
    assert main(["export", *arguments]) == GOOD
    return capture.readouterr().out.splitlines(keepends=True)


def as_requests(records: list[Record]) -> list[Record]:
    """Return the requests, and the pages that scripts told of: those on which tracing was allowed among them."""
    page = {"http.request.method": "GET", "http.response.status_code": 200}
    return [
        {**record, **page} if record["record.kind"] == "event" else record
        for record in records
        if record["record.kind"] != "event" or record["event.name"] == "page_view"
    ]


def test_command_exports_jsonl_and_ncsa_lines_of_a_span(live: Path, capsysbinary: CaptureBytes) -> None:
    where = ("--access-log", str(live), "--from", str(SECOND), "--to", str(THIRD), "--host", HOSTS[0], "--format")
    records = wanted(Span(SECOND, THIRD, HOSTS[0]))
    assert [json.loads(text) for text in exported(capsysbinary, *where, "jsonl")] == records
    assert exported(capsysbinary, *where, "ncsa") == [f"{ncsa(record)}\n".encode() for record in as_requests(records)]


@pytest.mark.slow
def test_command_exports_the_sessions_of_a_segment_in_every_format(
    live: Path, tmp_path: Path, capsysbinary: CaptureBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "_AT_ONCE", 7)
    asked = ["--access-log", str(live), "--from", str(SECOND), "--where", "source=other.example", "--format"]
    records = wanted(Span(SECOND, where=(("source", "other.example"),)))
    assert 20 < len(records) < len(wanted(Span(SECOND)))
    assert [json.loads(text) for text in exported(capsysbinary, *asked, "jsonl")] == records
    assert len(exported(capsysbinary, *asked, "ncsa")) == len(as_requests(records))
    rows = list(csv.DictReader(io.StringIO(b"".join(exported(capsysbinary, *asked, "csv")).decode(), newline="")))
    assert [row["uid"] for row in rows] == [record["log.record.uid"] for record in records]
    file = tmp_path / "access.parquet"
    exported(capsysbinary, *asked, "parquet", "--out", str(file))
    uids = duckdb.read_parquet(str(file)).project("uid").fetchall()
    assert [uid for (uid,) in uids] == [record["log.record.uid"] for record in records]


@pytest.mark.parametrize("where", ["last", "before"])
def test_export_of_a_segment_names_damaged_files(live: Path, where: str, capsys: Capture) -> None:
    """Whether the segment has the last record of the log, or all its records come before that."""
    last = ONCE[-1]["user_agent.device"]
    device = last if where == "last" else next(name for name in ("pc", "mobile") if name != last)
    damaged = path_of(live, SECOND, 1, FileFormat.GZIP)
    damaged.write_bytes(b"\x1f\x8b no gzip")
    assert main(["export", "--access-log", str(live), "--format", "jsonl", "--where", f"device={device}"]) == FINDING
    out, err = capsys.readouterr()
    assert len(out.splitlines()) == len(wanted(Span(where=(("device", device),)))) > 0
    assert damaged.name in err


def test_parquet_export_has_the_records_of_undamaged_files(live: Path, tmp_path: Path, capsys: Capture) -> None:
    damaged, out = path_of(live, SECOND, 1, FileFormat.GZIP), tmp_path / "all.parquet"
    damaged.write_bytes(b"\x1f\x8b no gzip")
    assert main(["export", "--access-log", str(live), "--format", "parquet", "--out", str(out)]) == FINDING
    assert damaged.name in capsys.readouterr().err
    assert duckdb.read_parquet(str(out)).project("uid").fetchall() == [(record["log.record.uid"],) for record in ONCE]


@pytest.mark.slow
def test_days_of_command_are_those_of_its_time_zone(live: Path, capsysbinary: CaptureBytes) -> None:
    span = ["--from", str(SECOND), "--to", str(SECOND)]
    lines = exported(capsysbinary, "--access-log", str(live), "--format", "jsonl", *span, "--time-zone", "Asia/Tokyo")
    assert [json.loads(text) for text in lines] == wanted(Span(SECOND, SECOND, time_zone="Asia/Tokyo"))
    assert lines


def test_csv_export_has_all_columns_and_no_formula(tmp_path: Path, capsysbinary: CaptureBytes) -> None:
    path = tmp_path / "access.jsonl"
    event = {**ONCE[0], "record.kind": "event", "event.name": "-x", "event.properties": {"é": '"=1'}}
    path.write_bytes(line({**event, "server.address": "=cmd()", "visitor.id": "-id", "status": None}))
    text = b"".join(exported(capsysbinary, "--access-log", str(path), "--format", "csv")).decode()
    (row,) = csv.DictReader(io.StringIO(text))
    assert list(row) == list(COLUMNS.values())
    assert (row["host"], row["visitor"], row["event"], row["query"]) == (
        "'=cmd()",
        "-id",
        "'-x",
        ONCE[0].get("url.query", ""),
    )
    assert json.loads(row["properties"]) == event["event.properties"]


def test_parquet_export_equals_compacted_file(live: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "all.parquet"
    assert main(["export", "--access-log", str(live), "--format", "parquet", "--out", str(out)]) == GOOD
    assert capsys.readouterr().out == f"{out} is written.\n"
    assert out.stat().st_mode & 0o007 == 0
    closed = path_of(live, LAST + timedelta(days=1), 1, FileFormat.PLAIN)
    live.rename(closed)
    compact(live)
    compacted = path_of(live, LAST + timedelta(days=1), 1, FileFormat.PARQUET)
    with duckdb.connect() as connection:
        rows = [connection.read_parquet(str(file), hive_partitioning=False) for file in (out, compacted)]
        assert rows[0].columns == rows[1].columns
        assert rows[0].types == rows[1].types
        assert sorted(map(str, rows[0].fetchall())) == sorted(map(str, rows[1].fetchall()))
        times = [row[0] for row in rows[0].select("time").fetchall()]
    assert times == sorted(times)
    assert len(times) == len(ONCE)


def test_out_file_is_complete_and_private(live: Path, tmp_path: Path, capsysbinary: CaptureBytes) -> None:
    lines = exported(capsysbinary, "--access-log", str(live), "--format", "ncsa")
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "access.log"
    exported(capsysbinary, "--access-log", str(live), "--format", "ncsa", "--out", str(out))
    assert out.read_bytes() == b"".join(lines)
    assert out.stat().st_mode & 0o007 == 0
    assert os.listdir(folder) == ["access.log"]
    empty = folder / "empty.log"
    exported(capsysbinary, "--access-log", str(live), "--format", "ncsa", "--host", "none.example", "--out", str(empty))
    assert empty.read_bytes() == b""


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
        (["--format", "csv", "--access-log", "mq://a"], '"mq://" cannot be read'),
        (["--format", "csv", "--access-log", "none.jsonl"], "there is no file none.jsonl"),
        (["--format", "csv", "--access-log", "mq://a", "--out", "b"], '"mq://" cannot be read'),
        (["--format", "csv", "--access-log", "a", "--from", "2026-11-02", "--to", "2026-11-01"], "is no day before"),
        (["--id", "a", "--format", "csv"], "--format and what goes with it stand alone"),
        (["--id", "a", "--host", "site.example"], "--format and what goes with it stand alone"),
    ],
)
def test_wrong_arguments_are_refused_with_advice(arguments: list[str], says: str, capsys: Capture) -> None:
    assert main(["export", *arguments]) == WRONG_USAGE
    said = capsys.readouterr()
    assert says in said.err
    assert not said.out


def test_span_before_1970_is_refused() -> None:
    with pytest.raises(ValueError, match="days from 1970-01-01 to 9999-12-30"):
        Span(since=date(1969, 12, 31))


def test_export_does_not_replace_folder_or_device(live: Path, tmp_path: Path, capsys: Capture) -> None:
    folder, link = tmp_path / "folder", tmp_path / "link"
    folder.mkdir()
    link.symlink_to("/dev/null")
    for out in (folder, link):
        assert main(["export", "--access-log", str(live), "--format", "csv", "--out", str(out)]) == WRONG_USAGE
        assert f"--out takes the name of a file, and {out} is none." in capsys.readouterr().err
    assert link.is_symlink()


def test_export_does_not_overwrite_access_log(live: Path, tmp_path: Path, capsys: Capture) -> None:
    kept, link = live.read_bytes(), tmp_path / "link"
    link.symlink_to(live)
    closed = path_of(live, FIRST, 1, FileFormat.PLAIN)
    closed.touch()
    for out in (live, link, closed):
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
    assert days
    assert duckdb.execute("SELECT count(*) FROM read_parquet($out)", {"out": str(out)}).fetchall()[0][0] > 0


def test_wrong_day_is_refused(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["export", "--format", "csv", "--from", "soon"])
    assert "argument --from: " in capsys.readouterr().err


def test_unwritable_out_file_is_reported(live: Path, tmp_path: Path, capsys: Capture) -> None:
    for form in ("csv", "parquet"):
        out = tmp_path / "none" / "out"
        assert main(["export", "--access-log", str(live), "--format", form, "--out", str(out)]) == WRONG_USAGE
        assert f"{out} cannot be written" in capsys.readouterr().err


def test_parquet_export_without_duckdb_says_how_to_install(
    live: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "duckdb", None)
    where = ["--access-log", str(live), "--out", f"{live}.parquet"]
    assert main(["export", "--format", "parquet", *where]) == WRONG_USAGE
    assert "pip install" in capsys.readouterr().err


def test_unwritable_parquet_file_raises_os_error(live: Path, tmp_path: Path) -> None:
    out = tmp_path / "none" / "all.parquet"
    with pytest.raises(OSError, match="No such file"):
        parquet(str(live), Span(), out)
