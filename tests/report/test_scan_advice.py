"""Tests of what is said when a report reads many records that digests could have answered for."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from cookie_consent.cli import main
from cookie_consent.report import Question, UnreadableError, report
from cookie_consent.report.digests import advice, renewal
from cookie_consent.report.digests.about import schema
from cookie_consent.report.digests.advice import Scanned, why_scanned
from cookie_consent.report.digests.choice import why_scanned as why_scanned_of
from cookie_consent.report.digests.choice import with_digests
from cookie_consent.report.digests.making import Digested, digest
from cookie_consent.report.engines.duckdb_files import DuckDBFiles
from cookie_consent.report.engines.engine import open_engine
from cookie_consent.report.live.kept import KeptReports
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.files.closed_files import FileFormat, Source, path_of
from cookie_consent.sinks.files.digest_files import block_path, blocks_of, digest_folder, digests_of, making_digests
from cookie_consent.sinks.files.queries import erase_visitor
from tests.support.digests import answers, assert_same, damage_digest, scanned, write, write_days
from tests.support.report_records import DAYS, FIRST, day_of, random_records

pytestmark = [pytest.mark.one_python, pytest.mark.slow]
LAST = FIRST + timedelta(days=DAYS)
ALL_DAYS: dict[str, Any] = {"since": FIRST, "until": LAST, "threshold": 1}
RECORDS = random_records(seed=5, visitors=5)
DAY_OF_ONE = day_of(RECORDS[0])


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log with a closed file for each day. A single record of them counts as many."""
    monkeypatch.setattr(advice, "MANY", 1)
    live = tmp_path / "access.jsonl"
    write_days(live, RECORDS)
    return live


def advised(live: Path, **asked: Any) -> list[str]:
    """Return what a report says, without the number of records."""
    seen: list[Scanned] = []
    report(live, **ALL_DAYS | asked, seen_scan=seen.append)
    assert all(scanned.records for scanned in seen)
    return [f"{scanned.reason}. {scanned.remedy}" for scanned in seen]


def test_report_from_digests_needs_no_advice(live: Path) -> None:
    digest(live)
    assert advised(live) == []


def test_few_records_need_no_advice(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advice, "MANY", 1_000_000)
    assert advised(live) == []
    monkeypatch.setattr(advice, "MANY", 1)
    assert advised(live, since=LAST + timedelta(days=2), until=LAST + timedelta(days=2)) == []


def test_log_without_digests_is_told_how_to_make_them(live: Path) -> None:
    said = [
        f"the log has no digests. Make them, and a report takes a second: cookie-consent digest --access-log {live}"
    ]
    assert advised(live) == said
    digest_folder(live).mkdir()
    assert advised(live) == said


def remove_key(live: Path) -> None:
    (digest_folder(live) / "key").unlink()


def change_version(live: Path) -> None:
    for file in digests_of(live):
        with duckdb.connect(str(file)) as connection:
            connection.execute("UPDATE about SET made_of = replace(made_of, $schema, 'x')", {"schema": schema()})
    remove_blocks(live)


def remove_blocks(live: Path) -> None:
    for number in blocks_of(live):
        block_path(live, number).unlink()


def write_another(live: Path) -> None:
    write(live, DAY_OF_ONE, [{**RECORDS[0], "log.record.uid": "another"}], 2)


def erase(live: Path) -> None:
    open_sink(str(live)).erase(RECORDS[0]["visitor.id"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (remove_key, "the key of the digests is missing, or only another user may read it"),
        (change_version, "the digests are of another version of this package, or of DuckDB"),
        (remove_blocks, "records were erased, and the other digests are not joined since"),
        (write_another, "1 of 7 closed files have no valid digest: they are new, or records were erased"),
        (erase, "2 of 6 closed files have no valid digest: they are new, or records were erased"),
    ],
)
def test_digests_that_do_not_count_are_to_be_made_again(live: Path, change: Callable[[Path], None], said: str) -> None:
    digest(live)
    change(live)
    with making_digests(live):  # so the report cannot
        (line,) = advised(live)
    assert line.endswith(f"{said}. Make them again: cookie-consent digest --access-log {live}")
    digest(live)
    assert advised(live) == []


@pytest.mark.parametrize("change", [change_version, remove_blocks, erase])
def test_report_makes_missing_digests_before_it_reads_many_records(live: Path, change: Callable[[Path], None]) -> None:
    """The figures are those of a scan, and the next report need not do it again."""
    digest(live)
    change(live)
    with answers() as found:
        figures = report(live, **ALL_DAYS, now=0, compare=True)
    assert found == [True, True]
    assert digest(live) == Digested(0, 0)
    assert_same(figures, scanned(live, **ALL_DAYS, compare=True))


def test_report_of_few_records_makes_no_digests(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digest(live)
    remove_blocks(live)
    monkeypatch.setattr(advice, "MANY", 1_000_000)
    assert advised(live) == []
    assert blocks_of(live) == {}


@pytest.mark.parametrize("error", [PermissionError("denied"), UnreadableError("memory")])
def test_report_that_cannot_make_digests_reads_the_records(
    live: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It tries once, also if it is compared with another time."""
    tried: list[Path] = []

    def fail(path: Path, *_: object) -> None:
        tried.append(path)
        raise error

    digest(live)
    remove_blocks(live)
    monkeypatch.setattr(renewal, "digest", fail)
    figures = report(live, **ALL_DAYS, now=0, compare=True)
    assert tried == [live]
    assert figures == scanned(live, **ALL_DAYS, compare=True)


def counted_digest(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Record each time that a report makes digests."""
    tried: list[Path] = []

    def counted(path: Path, *values: Any) -> Digested:
        tried.append(path)
        return digest(path, *values)

    monkeypatch.setattr(renewal, "digest", counted)
    return tried


def test_reports_of_a_process_try_again_only_if_something_changed(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged file never has a digest. A live report would make digests again and again."""
    tried = counted_digest(monkeypatch)
    path_of(live, LAST, 2, FileFormat.PARQUET).parent.mkdir(parents=True)
    path_of(live, LAST, 2, FileFormat.PARQUET).write_bytes(b"no Parquet file" * 9)
    digest(live)
    for _ in range(3):
        assert len(report(live, **ALL_DAYS, now=0)["unreadable_files"]) == 1
    assert tried == [live]
    erase_visitor(live, RECORDS[0]["visitor.id"])
    assert report(live, **ALL_DAYS, now=0) == scanned(live, **ALL_DAYS)
    assert tried == [live, live]
    remove_blocks(live)
    report(live, **ALL_DAYS, now=0)
    assert tried == [live, live, live]


def test_reports_of_a_process_do_not_fill_a_disk_twice(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[Path] = []

    def full(path: Path, *_: object) -> None:
        tried.append(path)
        raise UnreadableError("No space left on device")

    digest(live)
    remove_blocks(live)
    monkeypatch.setattr(renewal, "digest", full)
    for _ in range(2):
        report(live, **ALL_DAYS, now=0)
    assert tried == [live]


def test_report_of_a_day_does_not_make_the_digests_of_many_others(live: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a new version of this package all digests are missing. To read a day is sooner done."""
    tried = counted_digest(monkeypatch)
    before = FIRST - timedelta(days=9)
    write(live, before, 5 * [record | {"time": f"{before}{record['time'][10:]}"} for record in RECORDS])
    digest(live)
    change_version(live)
    report(live, **ALL_DAYS, now=0)
    assert tried == []
    report(live, **ALL_DAYS | {"since": before}, now=0)
    assert tried == [live]


def test_damaged_block_is_named(live: Path) -> None:
    digest(live)
    (file,) = blocks_of(live).values()
    damage_digest(file)
    (line,) = advised(live)
    assert line.startswith("a digest is damaged (")
    assert line.endswith(
        f"). Remove {digest_folder(live)}, and make them again: cookie-consent digest --access-log {live}"
    )


def test_digests_of_another_time_zone_are_named(live: Path) -> None:
    digest(live, "Asia/Tokyo")
    assert advised(live) == [
        "the digests have the days of Asia/Tokyo, and not of UTC. Ask for days of that zone, or make them again: "
        f"cookie-consent digest --access-log {live} --time-zone UTC"
    ]
    assert advised(live, time_zone="Asia/Tokyo") == []


@pytest.mark.parametrize("asked", [{"path": "/a"}, {"where": (("device", "pc"),)}])
def test_filters_and_paths_are_the_reason(live: Path, asked: dict[str, Any]) -> None:
    digest(live)
    assert advised(live, **asked) == [
        "a question with filters or a path is not answered from digests. A shorter time takes less."
    ]


def test_question_may_be_the_reason_although_all_digests_are_valid(live: Path) -> None:
    digest(live)
    with open_engine(live) as opened:
        engine = with_digests(live, opened)  # has not answered anything
        assert isinstance(engine, DuckDBFiles)
        scanned = why_scanned(engine, live, Question(**ALL_DAYS))
    assert scanned is not None
    assert scanned.by_question
    assert scanned.reason == "this question is not answered from digests"


def test_files_that_move_now_and_databases_are_not_spoken_of(live: Path) -> None:
    with open_engine(live) as engine:
        assert isinstance(engine, DuckDBFiles)
        moved = Source(path_of(live, LAST, 9, FileFormat.PLAIN), FileFormat.PLAIN, LAST, 9)
        assert why_scanned(engine, live, Question(**ALL_DAYS), lambda path: [moved]) is None
        assert why_scanned_of("postgresql://localhost/site", engine, Question(**ALL_DAYS)) is None


def test_command_says_it_on_standard_error_alone(live: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["report", "--access-log", str(live), "--from", str(FIRST), "--to", str(LAST), "--json"]
    assert main(asked) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["views"] > 0
    assert printed.err.startswith("About ")
    assert " records were read one by one: the log has no digests. Make them, and" in printed.err
    assert printed.err.count("\n") == 1


def test_live_report_logs_it_once_if_something_can_be_done(live: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptReports(live, lambda: 0)
    kept(live, **ALL_DAYS, path="/a")
    assert caplog.records == []
    kept(live, **ALL_DAYS)
    kept(live, **ALL_DAYS, host="site.example")
    (logged,) = caplog.records
    assert logged.getMessage().startswith("A live report takes long. About ")


def test_number_of_records_is_rounded() -> None:
    said = [str(Scanned(records, "why", "Do.")) for records in (1_000_000, 9_700_000, 1_234_000_000)]
    assert said == [f"About {number} million records were read one by one: why. Do." for number in ("1", "10", "1,234")]
