"""Tests of digests in ClickHouse: a report from them is what the oracle computes, and changes void them.

If TEST_CLICKHOUSE_URL names a server, the tests use databases of their own there. Those of a server that refuses
something start one.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli import main
from cookie_consent.report import UnreadableError, report
from cookie_consent.report.digests.clickhouse import digest
from cookie_consent.report.engines.dialect import CLICKHOUSE
from cookie_consent.report.local_time import day_number
from cookie_consent.sinks import open_sink
from cookie_consent.sinks.clickhouse.digests import HAS_DELETED, Part, only_merged
from tests.report.test_report import COUNTS, QUESTIONS, RECORDS, write_to_store
from tests.report.test_server_digests import (
    ALL_DAYS,
    LAST,
    NOW,
    THIRD,
    WITHOUT_FILTERS,
    after_day,
    assert_of_oracle,
)
from tests.support.report_records import DAYS, FIRST, day_of, random_records, time_text
from tests.support.servers.clickhouse_server import (
    HIDES_DIGESTS,
    ClickHouseDatabases,
    ask,
    clickhouse_databases,
    clickhouse_server,
)
from tests.support.sink_lines import wait_for_server

pytestmark = pytest.mark.slow

SECOND = FIRST + timedelta(days=1)
FEW = [record for record in RECORDS if day_of(record) <= THIRD]
FIRST_DAYS = {**ALL_DAYS, "until": THIRD}
"""A question about FEW."""


@pytest.fixture(scope="module")
def clickhouse() -> Iterator[ClickHouseDatabases]:
    with clickhouse_databases() as server:
        yield server
        server.drop_databases()


@pytest.fixture(scope="module")
def digested(clickhouse: ClickHouseDatabases) -> str:
    """A database with digests of all days, whose records came in several parts."""
    url = clickhouse.new_database()
    for place in range(3):
        write_to_store(url, RECORDS[place::3], COUNTS[place::3])
    assert digest(url, now=NOW).digests == len({day_of(record) for record in RECORDS})
    return url


@pytest.fixture
def few(clickhouse: ClickHouseDatabases) -> str:
    """A database with digests of three days, which a test may change."""
    url = clickhouse.new_database()
    write_to_store(url, FEW, COUNTS)
    assert digest(url, now=NOW).digests == 3
    return url


def made_anew(url: str, days: Sequence[date]) -> None:
    """Assert that just these days lack a digest, and get one."""
    before = dict(numbers(url))
    assert digest(url, now=NOW).digests == len(days)
    after = dict(numbers(url))
    assert {day for day in after if before.get(day) != after[day]} == {day_number(day) for day in days}


def numbers(url: str) -> list[list[Any]]:
    """Return each day with a digest, and the number of the digest."""
    return ask(url, "SELECT day, toString(made) FROM access_digest_days ORDER BY day, made")


def days_with_facts(url: str) -> list[int]:
    return [day for (day,) in ask(url, "SELECT DISTINCT day FROM access_digest_facts ORDER BY day")]


@pytest.mark.parametrize("question", WITHOUT_FILTERS)
def test_report_from_digests_has_the_figures_of_the_oracle(digested: str, question: str, answered: list[int]) -> None:
    asked = QUESTIONS[question]
    assert_of_oracle(digested, RECORDS, asked)
    assert answered == [(min(asked["until"], LAST) - asked["since"]).days + 1]


@pytest.mark.parametrize("seed", [6, pytest.param(7, marks=pytest.mark.full_matrix)])
def test_report_on_other_random_records_has_the_figures_of_the_oracle(
    seed: int, clickhouse: ClickHouseDatabases, answered: list[int]
) -> None:
    records = random_records(seed, visitors=20)
    url = clickhouse.new_database()
    write_to_store(url, records, COUNTS)
    digest(url, now=NOW)
    for asked in (ALL_DAYS, {"since": SECOND, "until": THIRD, "threshold": 3, "limit": 5}):
        assert_of_oracle(url, records, asked)
    assert answered == [DAYS, 2]


def test_comparison_is_answered_from_digests(digested: str, answered: list[int]) -> None:
    asked: dict[str, Any] = {"since": THIRD, "until": THIRD, "compare": "previous"}
    made = report(digested, **asked, now=5.0)
    assert answered == [1, 1]
    of_all = report(digested, **asked, now=5.0, where=(("page", "/*"),))  # scans, all sessions that saw a page
    assert made["compare"]["sessions"] == of_all["compare"]["sessions"]


def test_days_are_those_of_the_time_zone(few: str, answered: list[int]) -> None:
    asked = {**FIRST_DAYS, "time_zone": "Asia/Tokyo"}
    assert_of_oracle(few, FEW, asked)
    digest(few, "Asia/Tokyo", now=NOW)
    assert_of_oracle(few, FEW, asked)
    assert answered == [0, 3]
    assert digest(few, "Asia/Tokyo", now=NOW).digests == 0
    assert days_with_facts(few) == [day for day, _ in numbers(few)]


def test_late_record_is_in_the_next_report(few: str, answered: list[int]) -> None:
    record = next(record for record in FEW if day_of(record) == FIRST and record.get("visitor.id"))
    late = {**record, "time": f"{FIRST}T05:00:00.000Z", "log.record.uid": "late", "url.path": "/late"}
    write_to_store(few, [late], [])
    assert_of_oracle(few, [*FEW, late], FIRST_DAYS)
    # The second day reads the hours before it.
    made_anew(few, [FIRST, SECOND])
    assert_of_oracle(few, [*FEW, late], FIRST_DAYS)
    assert answered == [0, 3]


def test_merges_void_nothing(few: str, answered: list[int]) -> None:
    write_to_store(few, FEW[:1], [])  # written twice
    digest(few, now=NOW)
    before = numbers(few)
    ask(few, "OPTIMIZE TABLE access_records FINAL")
    assert digest(few, now=NOW).digests == 0
    assert numbers(few) == before
    assert_of_oracle(few, FEW, FIRST_DAYS)
    assert answered == [3]


def test_erasure_drops_the_digests_of_its_days_only(few: str, answered: list[int]) -> None:
    first = [record for record in FEW if day_of(record) == FIRST and record.get("visitor.id")]
    alone = {**first[0], "visitor.id": "alone", "log.record.uid": "alone", "time": f"{FIRST}T09:00:00.000Z"}
    write_to_store(few, [alone], [])
    digest(few, now=NOW)
    keyed = CLICKHOUSE.keyed.format("sipHash64('alone')", "(SELECT min(key) FROM access_digest_key)")
    of_visitor = f"SELECT DISTINCT day FROM access_digest_facts WHERE has(visitors, {keyed})"  # noqa: S608
    assert ask(few, of_visitor) == [[day_number(FIRST)]]
    with closing(open_sink(few)) as sink:
        assert sink.erase("alone") == 1
    assert ask(few, of_visitor) == []
    assert days_with_facts(few) == [day_number(THIRD)]
    assert_of_oracle(few, FEW, FIRST_DAYS)
    made_anew(few, [FIRST, SECOND])
    assert_of_oracle(few, FEW, FIRST_DAYS)
    assert answered == [0, 3]
    with closing(open_sink(few)) as sink:
        assert sink.erase("nobody") == 0
    made_anew(few, [])


def test_records_that_another_program_deletes_void_their_days(few: str) -> None:
    ask(few, f"DELETE FROM access_records WHERE toDate(time) = '{THIRD}'")  # noqa: S608
    rest = [record for record in FEW if day_of(record) != THIRD]
    assert_of_oracle(few, rest, FIRST_DAYS)
    digest(few, now=NOW)
    assert days_with_facts(few) == [day_number(FIRST), day_number(SECOND)]
    assert ask(few, HAS_DELETED) == [[0]]
    assert_of_oracle(few, rest, FIRST_DAYS)
    made_anew(few, [])


def test_partition_that_is_dropped_voids_its_days(few: str) -> None:
    ask(few, f"ALTER TABLE access_records DROP PARTITION ID '{FIRST:%Y%m%d}'")
    made_anew(few, [SECOND])
    assert days_with_facts(few) == [day_number(SECOND), day_number(THIRD)]


def test_purge_drops_digests_of_its_days_and_limits_the_others(few: str) -> None:
    until = datetime(SECOND.year, SECOND.month, SECOND.day, 9, tzinfo=UTC)
    # The server applies the limit by its own clock, which is that of another year.
    keep = timedelta(days=10_000)
    with closing(open_sink(few)) as sink:
        assert sink.purge(until.timestamp() + keep.total_seconds(), keep) > 0
    assert days_with_facts(few) == []
    (limit,) = ask(
        few, "SELECT engine_full FROM system.tables WHERE name = 'access_digest_facts' AND database = currentDatabase()"
    )
    assert f"TTL toDateTime(time) + toIntervalSecond({10_000 * 86_400})" in limit[0]
    rest, counts = ([record for record in kept if record["time"] >= time_text(until)] for kept in (FEW, COUNTS))
    digest(few, now=NOW)
    assert days_with_facts(few) == [day_number(SECOND), day_number(THIRD)]
    assert_of_oracle(few, rest, FIRST_DAYS, counts)


def test_retention_removes_digests_even_if_nobody_purges(few: str) -> None:
    ask(few, "ALTER TABLE access_digest_facts MODIFY TTL toDateTime(time) + toIntervalSecond(1)")
    ask(few, "OPTIMIZE TABLE access_digest_facts FINAL")
    wait_for_server(lambda: days_with_facts(few) == [])
    assert_of_oracle(few, FEW, FIRST_DAYS)


def test_day_that_is_not_over_has_no_digest(clickhouse: ClickHouseDatabases) -> None:
    url = clickhouse.new_database()
    write_to_store(url, FEW, COUNTS)
    digest(url, now=datetime(THIRD.year, THIRD.month, THIRD.day, 7, tzinfo=UTC).timestamp())
    assert days_with_facts(url) == [day_number(FIRST)]  # the second day may still get sessions that began on it


def test_reader_without_rights_on_digests_scans(answered: list[int]) -> None:
    with clickhouse_server() as server:
        url = server.new_database()
        write_to_store(url, FEW, COUNTS)
        digest(url, now=NOW)
        (server.folder / HIDES_DIGESTS).touch()
        assert_of_oracle(url, FEW, FIRST_DAYS)
        (server.folder / HIDES_DIGESTS).unlink()
        assert_of_oracle(url, FEW, FIRST_DAYS)
    assert answered == [0, 3]


def test_digests_of_another_form_are_an_error(few: str) -> None:
    ask(few, "ALTER TABLE access_digest_days DROP COLUMN parts")
    with pytest.raises(UnreadableError, match="lack a column"):
        report(few, **FIRST_DAYS)


@pytest.mark.parametrize(
    "leaves",
    [
        "INSERT INTO access_digest_facts SELECT * REPLACE (5 AS made) FROM access_digest_facts",
        "INSERT INTO access_digest_days SELECT * REPLACE (5 AS made) FROM access_digest_days",
    ],
    ids=["facts without their day", "a day without its facts"],
)
def test_half_a_digest_that_a_killed_process_left_is_not_read(leaves: str, few: str, answered: list[int]) -> None:
    ask(few, leaves)
    assert_of_oracle(few, FEW, FIRST_DAYS)
    assert answered == [3]
    made_anew(few, [])
    assert ask(few, "SELECT count() FROM access_digest_facts WHERE made = 5") == [[0]]
    assert ask(few, "SELECT count() FROM access_digest_days WHERE made = 5") == [[0]]


def test_void_half_of_a_digest_goes_with_an_erasure(few: str) -> None:
    ask(few, "INSERT INTO access_digest_facts (made, day, visitors) VALUES (5, 1, [7])")
    with closing(open_sink(few)) as sink:
        sink.erase("nobody")
    assert len(days_with_facts(few)) == 3


def test_two_processes_may_make_the_same_digest(few: str, answered: list[int]) -> None:
    copied = "SELECT * REPLACE (made + 1 AS made) FROM"
    ask(few, f"INSERT INTO access_digest_facts {copied} access_digest_facts")
    ask(few, f"INSERT INTO access_digest_days {copied} access_digest_days")
    assert_of_oracle(few, FEW, FIRST_DAYS)
    before = numbers(few)
    assert digest(few, now=NOW).digests == 0
    assert numbers(few) == before[::2]
    assert_of_oracle(few, FEW, FIRST_DAYS)
    assert answered == [3, 3]


def test_two_processes_may_make_digests_at_once(clickhouse: ClickHouseDatabases, answered: list[int]) -> None:
    url = clickhouse.new_database()
    write_to_store(url, FEW, COUNTS)
    others: list[int] = []
    made = digest(url, now=NOW, progress=after_day(1, lambda: others.append(digest(url, now=NOW).digests)))
    assert (made.digests, others) == (1, [2])
    assert_of_oracle(url, FEW, FIRST_DAYS)
    assert answered == [3]


def test_digests_with_another_key_do_not_count(few: str, answered: list[int]) -> None:
    ask(few, "INSERT INTO access_digest_key VALUES ('')")  # of another process that came first
    assert_of_oracle(few, FEW, FIRST_DAYS)
    made_anew(few, [FIRST, SECOND, THIRD])
    assert_of_oracle(few, FEW, FIRST_DAYS)
    assert answered == [0, 3]


def test_digests_of_a_table_that_was_made_anew_do_not_count(few: str) -> None:
    for table in ("access_records_view", "access_records_lines", "access_records"):
        ask(few, f"DROP TABLE {table} SYNC")
    records = [{**record, "url.path": "/anew"} for record in FEW]
    write_to_store(few, records, [])
    assert_of_oracle(few, records, FIRST_DAYS)


@pytest.mark.parametrize("day", [FIRST, SECOND, THIRD], ids=["a day before", "the day", "a day after"])
def test_report_that_read_a_digest_which_is_dropped_meanwhile_is_refused(day: date, few: str) -> None:
    """It counts the visitors of earlier days, too."""

    def drop(steps: int) -> None:
        if steps == 3:
            made = dict(numbers(few))[day_number(day)]
            ask(few, f"ALTER TABLE access_digest_facts DROP PARTITION ID '{made}'")

    asked: dict[str, Any] = {"since": SECOND, "until": SECOND}
    refused = nullcontext() if day == THIRD else pytest.raises(UnreadableError, match="Ask again")
    with refused:
        report(few, **asked, seen=drop)
    assert_of_oracle(few, FEW, FIRST_DAYS)


def part(first: int, last: int, deletion: int = 0, content: str = "", level: int | None = None) -> Part:
    return Part(first, last, last - first if level is None else level, deletion, content or f"{first}-{last}")


@pytest.mark.parametrize(
    ("before", "now", "same"),
    [
        ([part(1, 1), part(3, 3)], [part(1, 3)], True),
        ([part(1, 1), part(3, 3), part(7, 7)], [part(1, 3), part(7, 7)], True),
        ([part(1, 1, content="a")], [part(1, 1, 9, content="a")], True),
        ([part(1, 1, content="a")], [part(1, 1, 9, content="b")], False),
        ([part(1, 1, content="a")], [part(1, 1, content="b")], False),
        ([part(1, 1, content="a")], [part(1, 1, content="b", level=1)], True),
        ([part(1, 1), part(3, 3, level=5)], [part(1, 3)], False),
        ([part(1, 1), part(3, 3)], [part(1, 3, 9)], False),
        ([part(1, 1), part(3, 3)], [part(1, 4)], False),
        ([part(2, 2), part(3, 3)], [part(1, 3)], False),
        ([part(1, 1)], [part(1, 1), part(2, 2)], False),
        ([part(1, 1), part(2, 2)], [part(1, 1)], False),
        ([part(1, 1), part(2, 2)], [part(1, 2), part(3, 3)], False),
    ],
)
def test_parts_have_the_same_records_if_they_were_only_merged(before: list[Part], now: list[Part], same: bool) -> None:
    assert only_merged(before, now) is same


def test_digest_command_without_clickhouse_connect_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "cookie_consent.report.digests.clickhouse")
    monkeypatch.setitem(sys.modules, "clickhouse_connect.driver.exceptions", None)
    assert main(["digest", "--access-log", "clickhouse://127.0.0.1:1/none"]) == 2
    assert 'this needs clickhouse-connect: pip install "cookie-consent[clickhouse]"' in capsys.readouterr().err


def test_digest_and_compact_make_digests_of_a_database(
    clickhouse: ClickHouseDatabases, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    url = clickhouse.new_database()
    write_to_store(url, FEW, COUNTS)
    place = f"{url}?spill={tmp_path}"
    assert main(["digest", "--access-log", place, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["digests"] == len(days_with_facts(url)) == 3
    assert main(["compact", "--access-log", place]) == 0
    assert capsys.readouterr().out == "0 digests of days made.\n"


def test_database_without_records_has_no_digests(
    clickhouse: ClickHouseDatabases, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["digest", "--access-log", clickhouse.new_database()]) == 2
    assert "has never kept access records" in capsys.readouterr().err
