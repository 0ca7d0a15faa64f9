"""Tests of compaction: closed files become Parquet files, and readers find each record once at any moment."""

from __future__ import annotations

import fcntl
import gzip
import json
import os
import random
import signal
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
from cookie_consent.sinks.files.parquet import Compacted, compact
from cookie_consent.sinks.files.tables import tables_folder
from cookie_consent.sinks.optional import NotInstalledError
from tests.support.report_records import few_lists
from tests.support.sink_lines import TODAY, count_line, line, record

DAY = date(2026, 11, 25)
NOON = datetime(2026, 11, 25, 12, tzinfo=UTC).timestamp()

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "access.jsonl"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSENT_ACCESS_LOG", raising=False)


def close_as(path: Path, form: FileFormat, *lines: bytes, day: date = DAY, number: int = 1) -> Path:
    """Write lines to a closed file."""
    place, data = path_of(path, day, number, form), b"".join(lines)
    place.write_bytes(gzip.compress(data) if form is FileFormat.GZIP else data)
    return place


def rows(query: str, *files: Path) -> list[tuple[Any, ...]]:
    """Return the rows of a query on Parquet files."""
    with duckdb.connect(":memory:") as connection:
        return connection.execute(
            query.replace("FILES", "read_parquet($files, hive_partitioning = false)"), {"files": [*map(str, files)]}
        ).fetchall()


def compacted(path: Path, number: int = 1) -> Path:
    return path_of(path, DAY, number, FileFormat.PARQUET)


def sink(path: Path) -> JsonLinesSink:
    return JsonLinesSink(path, sleep=lambda _: None)


def uids(found: Sequence[Source]) -> Counter[str]:
    """Count each uid in these files."""
    lines = [str(source.path) for source in found if source.file_format is not FileFormat.PARQUET]
    parquet = [str(source.path) for source in found if source.file_format is FileFormat.PARQUET]
    with duckdb.connect(":memory:", config={"threads": 1}) as connection:
        counted = Counter[str]()
        for kind, files in (("parquet", parquet), ("json", lines)):
            query = {
                "parquet": "SELECT uid FROM read_parquet($files)",
                "json": """SELECT "log.record.uid" FROM read_json($files, format = 'newline_delimited',
                    columns = {'log.record.uid': 'VARCHAR'}, ignore_errors = true)""",
            }[kind]
            if files:
                counted.update(uid for (uid,) in connection.execute(query, {"files": files}).fetchall() if uid)
    return counted


# Records


@pytest.mark.parametrize("form", [FileFormat.PLAIN, FileFormat.GZIP])
@pytest.mark.slow
def test_closed_file_becomes_parquet_file_with_same_records(form: FileFormat, path: Path) -> None:
    written = [record(number, f"visitor-{number % 3}") for number in range(300)]
    del written[3]["event.properties"], written[6]["http.request.referrer"]
    lines = [json.dumps(each).encode() + b"\n" for each in written]
    place = close_as(path, form, *lines[::-1])
    close_as(path, FileFormat.PLAIN, line(999, "visitor-0"), number=2)
    assert compact(path) == Compacted(files=2, records=301, counts=0, busy=0, unreadable=())
    assert not place.exists()
    assert [source.path for source in sources(path)] == [compacted(path), compacted(path, 2)]
    assert list(sink(path).read("visitor-0")) == [*written[::3], record(999, "visitor-0")]
    assert list(sink(path).read("visitor")) == []
    names = rows("SELECT column_name FROM (DESCRIBE SELECT * FROM FILES)", compacted(path))
    assert [name for (name,) in names] == list(COLUMNS.values())
    types = dict(rows("SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM FILES)", compacted(path)))
    assert types["time"] == "TIMESTAMP"
    assert types["status"] == "SMALLINT"
    assert types["duration_ms"] == "DOUBLE"
    times = rows("SELECT time FROM FILES", compacted(path))
    assert times == sorted(times)
    codecs = rows("SELECT DISTINCT compression FROM parquet_metadata($files)", compacted(path))
    assert codecs == [("ZSTD",)]


@pytest.mark.slow
def test_counts_become_parquet_with_their_day(path: Path) -> None:
    counts = counts_path(path)
    close_as(counts, FileFormat.GZIP, count_line(1, 12, days=1), count_line(2, 30), count_line(1, 12, days=1), b"   \n")
    assert compact(path) == Compacted(files=1, records=0, counts=2, busy=0, unreadable=())
    (place,) = [source.path for source in sources(counts)]
    assert place.parent.name == "written=2026-11-25"
    with duckdb.connect(":memory:") as connection:  # DuckDB makes a column of the folder's name
        found = connection.execute("SELECT * EXCLUDE written FROM read_parquet($file)", {"file": str(place)})
        assert [column[0] for column in found.description or ()] == list(COUNT_COLUMNS.values())
        days = {uid[-2:]: (day, value) for _, uid, day, *_, value in found.fetchall()}
    written = [json.loads(text)["count.day"] for text in (count_line(1, 1, days=1), count_line(2, 1))]
    assert days == {"c1": (date.fromisoformat(written[0]), 12), "c2": (date.fromisoformat(written[1]), 30)}


@pytest.mark.slow
def test_compaction_drops_invalid_and_duplicate_lines(path: Path) -> None:
    nonsense = [
        b"\n",
        b"      \n",
        line(9)[:40] + b"\n",
        b"\xff\xfe\n",
        b'["a"]\n',
        b"\0\0\0\n",
        b'{"a": "\\ud\n',
        b"7\n",
    ]
    close_as(path, FileFormat.PLAIN, line(1), *nonsense, line(2), line(1), line(2), line(3), line(8)[:50])
    assert compact(path).records == 3
    assert uids(sources(path)) == Counter({record(number)["log.record.uid"]: 1 for number in (1, 2, 3)})


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


# Repeated, concurrent and killed runs


@pytest.mark.parametrize("name", ["a[b]c", "a*c", "a?c"])
@pytest.mark.slow
def test_wildcards_in_folder_name_are_literal(name: str, tmp_path: Path) -> None:
    mine, other = tmp_path / name / "access.jsonl", tmp_path / "abc" / "access.jsonl"
    for number, path in ((1, mine), (3, other)):
        path.parent.mkdir()
        close_as(path, FileFormat.PLAIN, line(number, "ann"), line(number + 1, "ben"), day=TODAY.date())
        compact(path)
    assert sink(mine).erase("ann") == 1
    assert list(sink(mine).read("ben")) == list(stream(mine, Span())) == [record(2, "ben")]
    assert list(stream(other, Span())) == [record(3, "ann"), record(4, "ben")]
    with few_lists("events"):
        assert report(mine, since=TODAY.date(), until=TODAY.date(), threshold=1)["events"][0]["events"] == 1


@pytest.mark.slow
def test_compaction_can_run_again(path: Path) -> None:
    assert compact(path) == Compacted(files=0, records=0, counts=0, busy=0, unreadable=())
    for number in (1, 2):
        close_as(path, FileFormat.PLAIN, line(number), number=number)
        assert compact(path).files == 1
    assert uids(sources(path)) == Counter({record(number)["log.record.uid"]: 1 for number in (1, 2)})


@pytest.mark.slow
def test_locked_file_is_compacted_next_time(path: Path) -> None:
    place = close_as(path, FileFormat.PLAIN, line(1))
    with place.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert compact(path) == Compacted(files=0, records=0, counts=0, busy=1, unreadable=())
    assert compact(path).files == 1


@pytest.mark.slow
def test_leftovers_of_killed_compaction_are_replaced(path: Path) -> None:
    """The source was not yet removed, its compressed file is there too, and a Parquet file is half written."""
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    compact(path)
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    close_as(path, FileFormat.GZIP, line(1), line(2))
    half = temporary_path(compacted(path))
    half.write_bytes(b"PAR1")
    assert sum(uids(sources(path)).values()) == 2
    assert sink(path).erase("one") == 2
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
    process = subprocess.Popen(
        [sys.executable, "-c", _COMPACT, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.slow
def test_killed_compaction_leaves_each_record_in_one_file(path: Path) -> None:
    chance = random.Random(7)  # noqa: S311 (when to kill)
    files, each = 16, 100
    for number in range(1, files + 1):
        lines = [line(n, f"visitor-{n % 10}") for n in range(number * each, (number + 1) * each)]
        close_as(path, chance.choice([FileFormat.PLAIN, FileFormat.GZIP]), *lines, number=number)
    everything = Counter({record(n)["log.record.uid"]: 1 for n in range(each, (files + 1) * each)})
    kills = 0
    while any(source.file_format is not FileFormat.PARQUET for source in sources(path)):
        assert kills < 50
        before = len(list(compacted(path).parent.glob("*.parquet")))
        with start(path) as process:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            enough = before + chance.randrange(2, 6)
            while process.poll() is None and len(list(compacted(path).parent.glob("*.parquet"))) < enough:
                time.sleep(chance.random() / 500)
            process.send_signal(signal.SIGKILL)
        kills += 1
        assert retry_if_moved(path, uids) == everything
    assert compact(path).files == 0
    assert kills > 2
    assert not list(path.parent.rglob("*.part"))


@pytest.mark.slow
def test_concurrent_compactions_convert_each_file_once(path: Path) -> None:
    files, each = 20, 100
    for number in range(1, files + 1):
        lines = [line(n) for n in range(number * each, (number + 1) * each)]
        close_as(path, FileFormat.GZIP, *lines, number=number)
    everything = Counter({record(n)["log.record.uid"]: 1 for n in range(each, (files + 1) * each)})
    running = [start(path) for _ in range(2)]
    for process in running:
        assert process.stdin is not None
        process.stdin.write(b"go\n")
    while any(process.poll() is None for process in running):
        assert retry_if_moved(path, uids) == everything
    done = [int(process.communicate(timeout=60)[0]) for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert sum(done) == files
    assert retry_if_moved(path, uids) == everything
    assert {source.file_format for source in sources(path)} == {FileFormat.PARQUET}


def test_unreadable_file_does_not_stop_compaction(path: Path) -> None:
    broken = path_of(path, DAY, 1, FileFormat.GZIP)
    broken.write_bytes(gzip.compress(line(1) * 1000)[:-20])
    close_as(path, FileFormat.PLAIN, line(2), number=2)
    done = compact(path)
    assert (done.files, len(done.unreadable)) == (1, 1)
    assert str(broken) in done.unreadable[0]
    assert broken.exists()
    assert not list(path.parent.rglob("*.part"))


@pytest.mark.slow
def test_full_disk_leaves_each_file_unchanged(path: Path) -> None:
    """A limit on file sizes replaces a full disk."""
    script = """
import resource, sys
from pathlib import Path
from cookie_consent.sinks.files.parquet import compact
from cookie_consent.sinks.files.locked_files import compress_closed
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
path = Path(sys.argv[1])
print(len(compress_closed(path)), len(compact(path).unreadable))
"""
    place = close_as(path, FileFormat.PLAIN, *(line(number, str(hash(str(number)))) for number in range(1000)))
    done = subprocess.run([sys.executable, "-c", script, path], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "1 1\n"
    assert [source.path for source in sources(path)] == [place]
    assert [each for each in path.parent.rglob("*") if each.is_file() and not each.name.endswith(".lock")] == [place]
    assert compact(path).records == 1000


# Erasing and purging in all files


@pytest.mark.slow
def test_erase_removes_only_the_visitor_from_files_of_every_form(path: Path) -> None:
    forms = [FileFormat.PLAIN, FileFormat.GZIP, FileFormat.PLAIN]
    for number, form in enumerate([*forms, *forms], 1):
        lines = [line(number * 10 + n, ("one", "two")[n % 2]) for n in range(6)]
        close_as(path, form, *lines, b"   \n", number=number)
        if number == 3:
            compact(path)
    close_as(path, FileFormat.PLAIN, line(99, "two"), number=7)
    path.write_bytes(line(100, "one") + line(101, "two"))
    others = list(sink(path).read("two"))
    assert len(list(sink(path).read("one"))) == 19
    untouched = path_of(path, DAY, 7, FileFormat.PLAIN).stat().st_ino
    assert sink(path).erase("one") == 19
    assert sink(path).erase("one") == 0
    assert list(sink(path).read("one")) == []
    assert list(sink(path).read("two")) == others
    assert len(others) == 20
    assert path_of(path, DAY, 7, FileFormat.PLAIN).stat().st_ino == untouched, (
        "a file without their records is not rewritten"
    )
    assert all(source.file_format is FileFormat.PARQUET for source in sources(path)[:3])


def test_parquet_file_of_several_row_groups_stays_sorted_when_erased_from(path: Path) -> None:
    place = path_of(path, DAY, 1, FileFormat.PARQUET)
    place.parent.mkdir(parents=True)
    empty = ", ".join(f"NULL::VARCHAR AS {column}" for column in COLUMNS.values() if column not in ("time", "visitor"))
    visits = "SELECT make_timestamp(number * 1000) AS time, 'visitor-' || (number % 5) AS visitor"
    rows = f"{visits}, {empty} FROM range(300_000) AS numbers(number) ORDER BY number"
    duckdb.execute(f"COPY ({rows}) TO $place (FORMAT parquet)", {"place": str(place)})
    assert sink(path).erase("visitor-3") == 60_000
    erased = duckdb.read_parquet(str(place), hive_partitioning=False)
    assert erased.filter("visitor = 'visitor-3'").fetchall() == []
    times = [moment for (moment,) in erased.select("time").fetchall()]
    assert (len(times), times == sorted(times)) == (240_000, True)


def test_erase_reports_unreadable_file_and_erases_from_others(path: Path) -> None:
    broken = path_of(path, DAY, 1, FileFormat.GZIP)
    broken.write_bytes(gzip.compress(line(1) * 1000)[:-20])
    close_as(path, FileFormat.PLAIN, line(2), number=2)
    with pytest.raises(CannotEraseError, match=r"Erased: 1 access records\. Records may stay in 1 .*0001\.jsonl\.gz"):
        sink(path).erase("one")
    broken.unlink()
    assert list(sink(path).read("one")) == []


@pytest.mark.slow
def test_purge_removes_whole_files_of_old_days(path: Path) -> None:
    for day, form in ((21, FileFormat.PLAIN), (22, FileFormat.GZIP), (23, FileFormat.GZIP), (24, FileFormat.PLAIN)):
        for log in (path, counts_path(path)):
            close_as(log, form, line(day), line(day + 100), b"    \n", day=date(2026, 11, day))
        if day == 22:
            compact(path)
    broken = close_as(path, FileFormat.PLAIN, line(1), day=date(2026, 11, 20))
    broken.rename(path_of(path, date(2026, 11, 20), 1, FileFormat.GZIP))
    midnight = datetime(2026, 11, 25, tzinfo=UTC).timestamp()
    assert sink(path).purge(midnight - 1, timedelta(days=1), dry_run=True) == 4
    assert len(sources(path)) == 5
    assert sink(path).purge(midnight - 1, timedelta(days=1)) == 4
    assert [source.day for source in sources(path)] == [date(2026, 11, 23), date(2026, 11, 24)]
    assert sink(path).purge(midnight, timedelta(days=1)) == 2
    assert [source.path.name for source in sources(path)] == ["access-2026-11-24-0001.jsonl"]
    assert [source.path.name for source in sources(counts_path(path))] == ["access.counts-2026-11-24-0001.jsonl"]
    assert list((path.parent / "access").iterdir()) == []


def test_purge_raises_error_for_undeletable_file(path: Path) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    path_of(path, DAY, 1, FileFormat.GZIP).mkdir()
    with pytest.raises(OSError, match=r"0001\.jsonl\.gz"):
        sink(path).purge(NOON + 10 * 86400, timedelta(days=1))


# The command


def run(*given: str) -> int:
    return main(["compact", *given])


@pytest.mark.slow
def test_command_prints_summary(path: Path, capsys: Capture) -> None:
    close_as(path, FileFormat.PLAIN, line(1), line(2))
    close_as(counts_path(path), FileFormat.PLAIN, count_line(1, 1))
    assert run("--access-log", str(path)) == GOOD
    assert capsys.readouterr().out == ("2 closed files compacted: 2 access records and 1 count.\n")
    assert run("--access-log", f"file://{path}", "--json") == GOOD
    summary = {"files": 0, "records": 0, "counts": 0, "busy": 0, "unreadable": [], "no_records": []}
    assert json.loads(capsys.readouterr().out) == summary


def test_command_reports_unreadable_and_locked_files(
    path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    path_of(path, DAY, 1, FileFormat.GZIP).write_bytes(b"no gzip")
    monkeypatch.setenv("CONSENT_ACCESS_LOG", str(path))
    with close_as(path, FileFormat.PLAIN, line(1), number=2).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        assert run() == FINDING
    said = capsys.readouterr()
    assert said.out == ("0 closed files compacted: 0 access records. 1 file in use by other processes: next time.\n")
    assert said.err.startswith(f"Stays as it is: {path_of(path, DAY, 1, FileFormat.GZIP)}: ")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (None, "Name the access log: --access-log URL"),
        ("kafka://x", 'there is no sink for "kafka://"'),
        ("postgresql://127.0.0.1:1/access", "access_log: the database cannot be used"),
        ("/nowhere/access.jsonl", "there is no file /nowhere/access.jsonl, and none that was closed"),
    ],
)
def test_command_refuses_wrong_access_log(target: str | None, said: str, capsys: Capture) -> None:
    assert run(*(["--access-log", target] if target else [])) == WRONG_USAGE
    assert said in capsys.readouterr().err


def test_without_duckdb_parquet_files_can_only_be_purged(
    path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    compact(path)
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert run("--access-log", str(path)) == WRONG_USAGE
    assert 'Parquet files need duckdb: pip install "cookie-consent[analytics]"' in capsys.readouterr().err
    with pytest.raises(NotInstalledError):
        list(sink(path).read("one"))
    with pytest.raises(CannotEraseError, match="need duckdb"):
        sink(path).erase("one")
    assert sink(path).purge(NOON + 10 * 86400, timedelta(days=1)) == 0
    assert sources(path) == []
    close_as(path, FileFormat.PLAIN, line(1))
    assert len(list(sink(path).read("one"))) == 1, "plain files need no duckdb"
    assert sink(path).erase("one") == 1


def test_erasing_without_duckdb_removes_the_tables(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    report(path, since=DAY, until=DAY)
    assert list(tables_folder(path).glob("*/*.parquet"))
    monkeypatch.setitem(sys.modules, "duckdb", None)
    assert sink(path).erase("one") == 1
    assert list(tables_folder(path).glob("*/*")) == []


def test_purge_removes_tables_of_a_log_without_files_and_unfinished_ones(path: Path) -> None:
    closed = close_as(path, FileFormat.PLAIN, line(1))
    report(path, since=DAY, until=DAY)
    (table, *_) = tables_folder(path).glob("*/*.parquet")
    temporary_path(table).write_bytes(b"PAR1")
    closed.unlink()
    assert sink(path).purge(NOON, timedelta(days=30)) == 0
    assert list(tables_folder(path).glob("*/*")) == []


def test_command_names_and_counts_lines_that_are_no_records(path: Path, capsys: Capture) -> None:
    endless = line(3).replace(b'"duration_ms":2.5', b'"duration_ms":1e400')
    close_as(path, FileFormat.PLAIN, line(1), b"no JSON\n", b"    \n", endless, b"[7]\n", line(2))
    assert run("--access-log", str(path)) == FINDING
    said = capsys.readouterr()
    assert said.out == "1 closed file compacted: 2 access records.\n"
    assert f"no records, and were left out: {path_of(path, DAY, 1, FileFormat.PLAIN)}: 3\n" in said.err
    assert sorted(uids(sources(path)).values()) == [1, 1]


def test_command_reports_parquet_file_that_is_cut_off(path: Path, capsys: Capture) -> None:
    close_as(path, FileFormat.PLAIN, line(1))
    assert run("--access-log", str(path)) == GOOD
    compacted(path).write_bytes(compacted(path).read_bytes()[:-9])
    assert run("--access-log", str(path)) == FINDING
    said = capsys.readouterr().err
    assert f"Stays as it is: {compacted(path)}: " in said
    assert "No magic bytes found at end of file" in said
