"""Tests of compaction: closed files become Parquet files, and readers find each record once at any moment."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.cli.frame import FINDING, GOOD, WRONG_USAGE
from cookie_consent.cli.main import main
from cookie_consent.report import report
from cookie_consent.report.export.stream import Span, stream
from cookie_consent.sinks import CannotEraseError, JsonLinesSink
from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, Source, counts_path, path_of, retry_if_moved, sources
from cookie_consent.sinks.files.locked_files import temporary_path
from cookie_consent.sinks.files.parquet import Compacted, compact, engine
from cookie_consent.sinks.files.tables import RECORDS, SESSIONS, closed_days, read_origins, table_path, tables_folder
from cookie_consent.sinks.optional import NotInstalledError
from tests.sinks.test_files_rotation import DAY, close_as
from tests.support.sink_lines import TODAY, count_line, line, record

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()
TRUNCATED = gzip.compress(line(1) * 1000)[:-20]

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CONSENT_ACCESS_LOG", raising=False)
    return tmp_path / "access.jsonl"


@pytest.fixture
def sink(path: Path) -> JsonLinesSink:
    return JsonLinesSink(path)


def compacted(path: Path, number: int = 1) -> Path:
    return path_of(path, DAY, number, FileFormat.PARQUET)


def rows(query: str, *files: Path) -> list[tuple[Any, ...]]:
    """Return the rows of a query on Parquet files."""
    query = query.replace("FILES", "read_parquet($files, hive_partitioning = false)")
    with duckdb.connect(":memory:") as connection:
        return connection.execute(query, {"files": [*map(str, files)]}).fetchall()


def uids(found: Sequence[Source]) -> Counter[str]:
    """Count each uid in these files."""
    parquet = [source.path for source in found if source.file_format is FileFormat.PARQUET]
    counted = Counter(uid for (uid,) in (rows("SELECT uid FROM FILES", *parquet) if parquet else ()))
    for source in found:
        if source.path not in parquet:
            data = source.path.read_bytes()
            text = gzip.decompress(data) if source.file_format is FileFormat.GZIP else data
            counted.update(json.loads(line)["log.record.uid"] for line in text.splitlines() if line.strip())
    return counted


def uids_of(*numbers: int) -> Counter[str]:
    return Counter(str(record(number)["log.record.uid"]) for number in numbers)


# Records


@pytest.mark.parametrize("form", [FileFormat.PLAIN, FileFormat.GZIP])
def test_closed_file_becomes_parquet_file_with_same_records(form: FileFormat, path: Path, sink: JsonLinesSink) -> None:
    written = [record(number, f"visitor-{number % 3}") for number in range(300)]
    del written[3]["event.properties"], written[6]["http.request.referrer"]
    place = close_as(path, form, *(json.dumps(each).encode() + b"\n" for each in written[::-1]))
    close_as(path, FileFormat.PLAIN, line(999, "visitor-0"), number=2)
    assert compact(path) == Compacted(files=2, records=301, counts=0, busy=0, unreadable=())
    assert not place.exists()
    assert [source.path for source in sources(path)] == [compacted(path), compacted(path, 2)]
    assert list(sink.read("visitor-0")) == [*written[::3], record(999, "visitor-0")]
    assert list(sink.read("visitor")) == []
    types = dict(rows("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM FILES)", compacted(path)))
    assert [*types] == list(COLUMNS.values())
    assert (types["time"], types["status"], types["duration_ms"]) == ("TIMESTAMP", "SMALLINT", "DOUBLE")
    times = rows("SELECT time FROM FILES", compacted(path))
    assert times == sorted(times)
    assert rows("SELECT DISTINCT compression FROM parquet_metadata($files)", compacted(path)) == [("ZSTD",)]


def test_counts_become_parquet_with_their_day(path: Path) -> None:
    counts = counts_path(path)
    close_as(counts, FileFormat.GZIP, count_line(1, 12, days=1), count_line(2, 30), count_line(1, 12, days=1), b"   \n")
    assert compact(path) == Compacted(files=1, records=0, counts=2, busy=0, unreadable=())
    (place,) = [source.path for source in sources(counts)]
    assert place.parent.name == "written=2026-11-25"
    names = rows("SELECT column_name FROM (DESCRIBE SELECT * FROM FILES)", place)
    assert [name for (name,) in names] == list(COUNT_COLUMNS.values())
    days = [(TODAY - timedelta(days=ago)).date() for ago in (1, 0)]
    assert rows("SELECT day, value FROM FILES ORDER BY uid", place) == [(days[0], 12), (days[1], 30)]


def test_compaction_drops_duplicates_and_names_and_counts_lines_that_are_no_records(path: Path) -> None:
    nonsense = [b"\xff\xfe\n", b'["a"]\n', b"\0\0\0\n", b"7\n", b"no JSON\n"]
    endless = line(9).replace(b'"duration_ms":2.5', b'"duration_ms":1e400')
    blank = [b"\n", b"      \n", line(9)[:40] + b"\n", b'{"a": "\\ud\n']  # torn by a kill, or erased
    lines = [line(1), *nonsense, *blank, endless, line(2), line(1), line(2), line(3), line(8)[:50]]
    place = close_as(path, FileFormat.PLAIN, *lines)
    done = compact(path)
    assert (done.records, done.no_records) == (3, (f"{place}: 6",))
    assert uids(sources(path)) == uids_of(1, 2, 3)


def test_compaction_closes_live_file_of_past_day(path: Path) -> None:
    path.write_bytes(line(1))
    assert compact(path).files == 0
    yesterday = datetime.now(UTC) - timedelta(days=1)
    os.utime(path, (yesterday.timestamp(), yesterday.timestamp()))
    assert compact(path).files == 1
    assert [source.path for source in sources(path)] == [path_of(path, yesterday.date(), 1, FileFormat.PARQUET)]


def test_parquet_files_and_folders_keep_owner_and_mode_of_the_log(path: Path) -> None:
    place = close_as(path, FileFormat.PLAIN, line(1))
    place.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(place, 1234, 1234)
    owner = place.stat().st_uid
    compact(path)
    made = [compacted(path).parent.parent, compacted(path).parent, compacted(path)]
    assert [each.stat().st_uid for each in made] == [owner] * 3
    assert [each.stat().st_mode & 0o777 for each in made] == [0o750, 0o750, 0o640]


@pytest.mark.slow
def test_wildcards_in_folder_name_are_literal(tmp_path: Path) -> None:
    mine = tmp_path / "a[b]*?c" / "access.jsonl"
    other = tmp_path / "abxc" / "access.jsonl"
    for number, path in ((1, mine), (3, other)):
        path.parent.mkdir()
        close_as(path, FileFormat.PLAIN, line(number, "ann"), line(number + 1, "ben"), day=TODAY.date())
        compact(path)
    assert JsonLinesSink(mine).erase("ann") == 1
    assert list(JsonLinesSink(mine).read("ben")) == list(stream(mine, Span())) == [record(2, "ben")]
    assert list(stream(other, Span())) == [record(3, "ann"), record(4, "ben")]
    assert report(mine, since=TODAY.date(), until=TODAY.date(), threshold=1)["events"][0]["events"] == 1


# Repeated, concurrent and killed runs


def test_locked_file_is_compacted_next_time(path: Path) -> None:
    place = close_as(path, FileFormat.PLAIN, line(1))
    with place.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert compact(path) == Compacted(files=0, records=0, counts=0, busy=1, unreadable=())
    assert compact(path).files == 1
    close_as(path, FileFormat.PLAIN, line(2), number=2)
    assert compact(path).files == 1
    assert uids(sources(path)) == uids_of(1, 2)


def test_leftovers_of_killed_compaction_are_replaced(path: Path, sink: JsonLinesSink) -> None:
    """The source was not yet removed, its compressed file is there too, and a Parquet file is half written."""
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    compact(path)
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    close_as(path, FileFormat.GZIP, line(1), line(2))
    half = temporary_path(compacted(path))
    half.write_bytes(b"PAR1")
    assert uids(sources(path)) == uids_of(1, 2)
    assert sink.erase("one") == 2
    assert [source.file_format for source in sources(path)] == [FileFormat.PLAIN]
    assert not half.exists()
    assert not compacted(path).exists()
    assert compact(path).records == 0
    assert [source.file_format for source in sources(path)] == [FileFormat.PARQUET]


_COMPACT = """
import sys
from pathlib import Path
from cookie_consent.sinks.files.parquet import compact
print("ready", flush=True)
sys.stdin.readline()
done = compact(Path(sys.argv[1]))
assert not done.unreadable, done
print(done.files)
"""


def start(path: Path) -> subprocess.Popen[bytes]:
    """Start a process that compacts a log, once it has imported what it needs."""
    command = [sys.executable, "-c", _COMPACT, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == b"ready\n"
    process.stdin.write(b"go\n")
    return process


def close_many(path: Path, files: int) -> Counter[str]:
    """Write closed files, and return the uids of their records."""
    for number in range(1, files + 1):
        form = FileFormat.GZIP if number % 3 else FileFormat.PLAIN
        close_as(path, form, *map(line, range(number * 100, (number + 1) * 100)), number=number)
    return uids_of(*range(100, (files + 1) * 100))


@pytest.mark.slow
def test_killed_compaction_leaves_each_record_in_one_file(path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 (when to kill)
    everything = close_many(path, files=10)
    kills = 0
    while any(source.file_format is not FileFormat.PARQUET for source in sources(path)):
        assert kills < 50
        enough = len(list(compacted(path).parent.glob("*.parquet"))) + chance.randrange(2, 5)
        with start(path) as process:
            while process.poll() is None and len(list(compacted(path).parent.glob("*.parquet"))) < enough:
                time.sleep(chance.random() / 500)
            process.kill()
        kills += 1
        assert retry_if_moved(path, uids) == everything
    assert compact(path).files == 0
    assert kills > 2
    assert not list(path.parent.rglob("*.part"))


@pytest.mark.slow
def test_concurrent_compactions_convert_each_file_once(path: Path) -> None:
    everything = close_many(path, files=16)
    running = [start(path) for _ in range(2)]
    while any(process.poll() is None for process in running):
        assert retry_if_moved(path, uids) == everything
    done = [int(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(done) == 16
    assert retry_if_moved(path, uids) == everything
    assert {source.file_format for source in sources(path)} == {FileFormat.PARQUET}


_FULL_DISK = """
import resource, sys
from pathlib import Path
from cookie_consent.sinks.files.parquet import compact
from cookie_consent.sinks.files.locked_files import compress_closed
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
path = Path(sys.argv[1])
print(len(compress_closed(path)), len(compact(path).unreadable))
"""
"""A limit on file sizes replaces a full disk."""


@pytest.mark.slow
def test_full_disk_leaves_each_file_unchanged(path: Path) -> None:
    place = close_as(path, FileFormat.PLAIN, *(line(number, str(hash(str(number)))) for number in range(1000)))
    command = [sys.executable, "-c", _FULL_DISK, str(path)]
    assert subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=True).stdout == b"1 1\n"
    assert [each for each in path.parent.rglob("*") if each.is_file() and not each.name.endswith(".lock")] == [place]
    assert compact(path).records == 1000


# Erasing and purging in all files


def test_erase_removes_only_the_visitor_from_files_of_every_form(path: Path, sink: JsonLinesSink) -> None:
    for number, form in enumerate([FileFormat.PLAIN, FileFormat.GZIP] * 2, 1):
        lines = [line(number * 10 + n, ("one", "two")[n % 2]) for n in range(6)]
        close_as(path, form, *lines, b"   \n", number=number)
        if number == 2:
            compact(path)
    close_as(path, FileFormat.PLAIN, line(99, "two"), number=5)
    path.write_bytes(line(100, "one") + line(101, "two"))
    others = list(sink.read("two"))
    assert (len(list(sink.read("one"))), len(others)) == (13, 14)
    untouched = path_of(path, DAY, 5, FileFormat.PLAIN)
    inode = untouched.stat().st_ino
    assert sink.erase("one") == 13
    assert sink.erase("one") == 0
    assert list(sink.read("one")) == []
    assert list(sink.read("two")) == others
    assert untouched.stat().st_ino == inode, "a file without their records is not rewritten"
    assert all(source.file_format is FileFormat.PARQUET for source in sources(path)[:2])


def test_parquet_file_of_several_row_groups_stays_sorted_when_erased_from(path: Path, sink: JsonLinesSink) -> None:
    place = compacted(path)
    place.parent.mkdir(parents=True)
    empty = ", ".join(f"NULL::VARCHAR AS {column}" for column in COLUMNS.values() if column not in ("time", "visitor"))
    visits = "SELECT make_timestamp(number * 1000) AS time, 'visitor-' || (number % 5) AS visitor"
    made = f"{visits}, {empty} FROM range(300_000) AS numbers(number) ORDER BY number"
    duckdb.execute(f"COPY ({made}) TO $place (FORMAT parquet)", {"place": str(place)})
    assert sink.erase("visitor-3") == 60_000
    assert rows("SELECT count(*) FROM FILES WHERE visitor = 'visitor-3'", place) == [(0,)]
    times = rows("SELECT time FROM FILES", place)
    assert (len(times), times == sorted(times)) == (240_000, True)


def test_unreadable_file_stops_neither_compaction_nor_erasing_and_is_named(path: Path, sink: JsonLinesSink) -> None:
    broken = close_as(path, FileFormat.GZIP)
    broken.write_bytes(TRUNCATED)
    close_as(path, FileFormat.PLAIN, line(2), number=2)
    done = compact(path)
    assert (done.files, len(done.unreadable)) == (1, 1)
    assert str(broken) in done.unreadable[0]
    assert broken.exists()
    assert not list(path.parent.rglob("*.part"))
    with pytest.raises(CannotEraseError, match=r"Erased: 1 access records\. Records may stay in 1 .*0001\.jsonl\.gz"):
        sink.erase("one")
    broken.unlink()
    assert list(sink.read("one")) == []


def test_purge_removes_whole_files_of_old_days(path: Path, sink: JsonLinesSink) -> None:
    for day, form in ((21, FileFormat.PLAIN), (22, FileFormat.GZIP), (23, FileFormat.GZIP), (24, FileFormat.PLAIN)):
        for log in (path, counts_path(path)):
            close_as(log, form, line(day), line(day + 100), b"    \n", day=date(2026, 11, day))
        if day == 22:
            compact(path)
    path_of(path, date(2026, 11, 20), 1, FileFormat.GZIP).write_bytes(b"no gzip")
    midnight = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
    assert sink.purge(midnight - 1, timedelta(days=1), dry_run=True) == 4
    assert len(sources(path)) == 5
    assert sink.purge(midnight - 1, timedelta(days=1)) == 4
    assert [source.day for source in sources(path)] == [date(2026, 11, 23), date(2026, 11, 24)]
    assert sink.purge(midnight, timedelta(days=1)) == 2
    assert [source.path.name for source in sources(path)] == ["access-2026-11-24-0001.jsonl"]
    assert [source.path.name for source in sources(counts_path(path))] == ["access.counts-2026-11-24-0001.jsonl"]
    assert list((path.parent / "access").iterdir()) == []


def test_purge_raises_error_for_undeletable_file(path: Path, sink: JsonLinesSink) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    path_of(path, DAY, 1, FileFormat.GZIP).mkdir()
    with pytest.raises(OSError, match=r"0001\.jsonl\.gz"):
        sink.purge(NOON + 10 * 86400, timedelta(days=1))


def test_erasing_writes_tables_again_without_the_visitor_and_removes_those_that_do_not_fit(
    path: Path, sink: JsonLinesSink
) -> None:
    next_day = DAY + timedelta(days=1)
    close_as(path, FileFormat.PLAIN, line(1, "one"), line(2, "two"))
    close_as(path, FileFormat.PLAIN, line(3, "two"), day=next_day)
    report(path, since=DAY, until=next_day)
    first, second = (table_path(path, RECORDS, day) for day in (DAY, next_day))
    untouched = second.stat()
    assert sink.erase("one") == 1
    assert rows("SELECT visitor = hash('two') FROM FILES", first) == [(True,)]
    assert second.stat() == untouched
    with engine() as connection:
        origins = read_origins(connection, path, RECORDS)
        assert {day: origin["files"] for day, origin in origins.items()} == closed_days(path)
        os.utime(path_of(path, next_day, 1, FileFormat.PLAIN), (NOON, NOON))
        first.write_bytes(b"PAR1")
        assert [*read_origins(connection, path, RECORDS)] == [next_day], "a damaged table is removed"
    assert not first.exists()
    assert sink.erase("nobody") == 0
    assert not second.exists(), "its file has changed since"


def test_erasing_without_duckdb_removes_the_tables(
    path: Path, sink: JsonLinesSink, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    report(path, since=DAY, until=DAY)
    assert list(tables_folder(path).glob("*/*.parquet"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert sink.erase("one") == 1
    assert list(tables_folder(path).glob("*/*")) == []


def test_purge_removes_tables_without_their_files_and_unfinished_ones(path: Path, sink: JsonLinesSink) -> None:
    next_day = DAY + timedelta(days=1)
    for day in (DAY, next_day):
        close_as(path, FileFormat.PLAIN, line(1, but={"time": f"{day}T12:00:00.000Z"}), day=day)
    report(path, since=DAY, until=next_day)
    assert table_path(path, SESSIONS, next_day).exists()
    temporary_path(table_path(path, RECORDS, DAY)).write_bytes(b"PAR1")
    assert sink.purge(NOON + 2 * 86_400, timedelta(days=1)) == 1
    left = [each for each in tables_folder(path).rglob("*") if each.is_file()]
    assert left == [table_path(path, RECORDS, next_day)], "sessions are made of the records of the day before, too"
    path_of(path, next_day, 1, FileFormat.PLAIN).unlink()
    assert sink.purge(NOON, timedelta(days=30)) == 0
    assert list(tables_folder(path).glob("*/*")) == []


# The command


def test_command_says_what_it_did_and_what_stays_as_it_is(
    path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    close_as(counts_path(path), FileFormat.PLAIN, count_line(1, 1))
    assert main(["compact", "--access-log", str(path)]) == GOOD
    assert capsys.readouterr().out == "2 closed files compacted: 2 access records and 1 count.\n"
    assert main(["compact", "--access-log", f"file://{path}", "--json"]) == GOOD
    summary = {"files": 0, "records": 0, "counts": 0, "busy": 0, "unreadable": [], "no_records": []}
    assert json.loads(capsys.readouterr().out) == summary
    compacted(path).write_bytes(compacted(path).read_bytes()[:-9])
    no_gzip = close_as(path, FileFormat.GZIP, number=2)
    no_gzip.write_bytes(b"no gzip")
    empty = close_as(path, FileFormat.GZIP, number=5)
    empty.write_bytes(b"")
    no_record = close_as(path, FileFormat.PLAIN, line(4), b"[7]\n", number=3)
    monkeypatch.setenv("CONSENT_ACCESS_LOG", str(path))
    with close_as(path, FileFormat.PLAIN, line(1), number=4).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert main(["compact"]) == FINDING
    said = capsys.readouterr()
    assert said.out == "1 closed file compacted: 1 access record. 1 file in use by other processes: next time.\n"
    assert f"Stays as it is: {compacted(path)}: " in said.err
    assert "No magic bytes found at end of file" in said.err
    assert f"Stays as it is: {no_gzip}: " in said.err
    assert f"Stays as it is: {empty}: it is empty\n" in said.err
    assert f"no records, and were left out: {no_record}: 1\n" in said.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Name the access log: --access-log URL"),
        (["--access-log", "kafka://x"], 'there is no sink for "kafka://"'),
        (["--access-log", "postgresql://127.0.0.1:1/access"], "access_log: the database cannot be used"),
        (["--access-log", "/nowhere/access.jsonl"], "there is no file /nowhere/access.jsonl, and none that was closed"),
    ],
)
@pytest.mark.usefixtures("path")
def test_command_refuses_wrong_access_log(arguments: list[str], said: str, capsys: Capture) -> None:
    assert main(["compact", *arguments]) == WRONG_USAGE
    assert said in capsys.readouterr().err


def test_without_duckdb_parquet_files_can_only_be_purged(
    path: Path, sink: JsonLinesSink, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    compact(path)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert main(["compact", "--access-log", str(path)]) == WRONG_USAGE
    assert 'Parquet files need duckdb: pip install "cookie-consent[analytics]"' in capsys.readouterr().err
    with pytest.raises(NotInstalledError):
        list(sink.read("one"))
    with pytest.raises(CannotEraseError, match="need duckdb"):
        sink.erase("one")
    assert sink.purge(NOON + 10 * 86400, timedelta(days=1)) == 0
    assert sources(path) == []
    close_as(path, FileFormat.PLAIN, line(1))
    assert len(list(sink.read("one"))) == 1, "plain files need no duckdb"
    assert sink.erase("one") == 1
