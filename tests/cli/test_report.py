"""Tests of `cookie-consent report`: tables, JSON, CSV, the page, and wrong arguments."""

from __future__ import annotations

import argparse
import csv
import io
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.main import GOOD, WRONG_USAGE
from cookie_consent.cli.report import REPORT, report_arguments
from cookie_consent.report import FIGURES, report
from cookie_consent.report.engines import duckdb_files
from cookie_consent.report.export.csv_files import as_csv, plain
from cookie_consent.report.export.terminal import as_text, table
from cookie_consent.report.settings import Goals
from cookie_consent.sinks import optional
from cookie_consent.sinks.files.closed_files import counts_path
from tests.cli.conftest import Ran, Run
from tests.support.report_records import NOON, line, record

DAY = NOON.date()
ESCAPES = "/\x1b]0;gotcha\x07\u202e"
"""A path with control characters that a terminal obeys."""


@pytest.fixture
def access_log(tmp_path: Path) -> Path:
    """Two views: one with a campaign that is a spreadsheet formula, one with a path that a terminal obeys."""
    return written(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The report of these views, which tests leave as it is."""
    return report(written(tmp_path_factory.mktemp("log")), since=DAY, until=DAY, threshold=1)


def written(folder: Path) -> Path:
    """Write such an access log, with counts, and return its path."""
    path = folder / "access.jsonl"
    records = [record(0, "/訪問", url__query="utm_source=%3DSUM%281%29&utm_medium=a%2Cb"), record(1, ESCAPES)]
    path.write_bytes(b"".join(map(line, records)))
    counts = [("views", 8), ("views_recorded", 2), ("asked", 3), ("granted", 1)]
    counts_path(path).write_bytes(
        b"".join(
            line(
                {
                    "log.record.uid": name,
                    "time": f"{DAY}T09:00:00Z",
                    "count.day": str(DAY),
                    "count.name": name,
                    "count.value": value,
                    "consent.language": "ja",
                }
            )
            for name, value in counts
        )
    )
    return path


def run(cli: Run, log: Path, *arguments: str | Path) -> Ran:
    day = str(DAY)
    return cli("report", "--access-log", log, "--from", day, "--to", day, "--threshold", "1", *arguments)


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.slow
def test_json_is_the_report_on_one_line(access_log: Path, made: dict[str, Any], cli: Run) -> None:
    ran = run(cli, access_log, "--json")
    (said,) = ran.lines
    assert said.pop("range").keys() == made["range"].keys()
    assert (ran.status, said) == (GOOD, {name: figure for name, figure in made.items() if name != "range"})
    assert_escaped(ran.out)


def assert_escaped(out: str) -> None:
    """Check that what controls a terminal is escaped."""
    assert "/\\u001b]0;gotcha\\u0007\\u202e" in out
    assert all(sign.isprintable() or sign == "\n" for sign in out)


@pytest.mark.slow
def test_tables_show_numbers_for_people(access_log: Path, cli: Run) -> None:
    ran = run(cli, access_log)
    assert ran.status == GOOD
    assert ran.out.startswith(
        "2026-11-10 to 2026-11-10 (UTC)\nThese records stand for 25 % of 8 pages that people saw; "
    )
    assert "\nPages by views\npath " in ran.out
    first_page = re.search(r"^First pages of sessions\n(.*)\n(.*)$", ran.out, re.MULTILINE)
    assert first_page
    assert first_page[1].split()[:3] == ["path", "sessions", "bounces"]
    assert first_page[2].split()[:3] == ["/訪問", "1", "0"]
    assert "before" not in ran.out.splitlines()[3]
    assert "Rows of fewer than" not in ran.out, "the threshold of 1 joins none"


@pytest.mark.slow
def test_tables_say_how_many_small_groups_were_joined(access_log: Path) -> None:
    with access_log.open("ab") as file:
        file.write(line(record(2, "/訪問", visitor__id="bob")))
    made = report(access_log, since=DAY, until=DAY, threshold=2)
    merged = made["small_groups"]["merged"]
    assert (merged > 0, bool(made["pages"])) == (True, True)
    assert as_text(made).endswith(
        f"Rows of fewer than 2 visitors are joined as (other), or left out: {merged}.\n"
        "Totals, days and hours may stand for fewer."
    )


@pytest.mark.slow
def test_first_report_has_no_rows_of_zeros_and_says_how_to_see_the_lists(access_log: Path, cli: Run) -> None:
    arguments = ("report", "--access-log", access_log, "--to", str(DAY + timedelta(days=3)))
    out = cli(*arguments).out
    rows = [words[1:] for row in out.partition("By day")[2].splitlines() if (words := row.split())]
    days = [row for row in rows if row and all(cell.replace(".", "").isdecimal() or cell == "-" for cell in row)]
    assert days
    assert all(set(row) - {"0", "-"} for row in days)
    assert "Days and hours in which nothing was counted are left out." in out
    assert out.endswith(
        "Each row of the other lists would stand for fewer than 5 visitors. They are left out.\n"
        "While only you try the site, see them with: --threshold 1\n"
    )
    out = cli(*arguments, "--threshold", "1").out
    assert ("\nPages by views\n" in out, "--threshold" in out) == (True, False)


@pytest.mark.slow
def test_report_of_an_empty_log_has_totals_alone(tmp_path: Path, cli: Run) -> None:
    (tmp_path / "access.jsonl").touch()
    out = run(cli, tmp_path / "access.jsonl").out
    assert ["visitors", "0"] in [row.split() for row in out.splitlines()]
    assert ("By day" in out, "By hour" in out) == (False, False)


@pytest.mark.slow
def test_tables_speak_of_days_and_hours_only_if_some_are_left_out(made: dict[str, Any]) -> None:
    busy = {name: [hour for hour in made[name] if hour["views"]] for name in ("by_hour", "by_step")}
    assert "are left out" in as_text(made)
    assert "are left out" not in as_text({**made, **busy})


@pytest.mark.slow
def test_tables_count_by_the_step(access_log: Path, cli: Run) -> None:
    titles = [line for line in run(cli, access_log, "--step", "week").out.splitlines() if line.startswith("By ")]
    assert titles[:2] == ["By week", "By hour of the day"]


@pytest.mark.slow
def test_tables_show_comparison_and_unknown_share(access_log: Path, cli: Run) -> None:
    chosen = ("--where", "page=/*", "--host", "SITE.example", "--compare", "previous")
    lines = run(cli, access_log, *chosen).out.splitlines()
    assert lines[0] == "2026-11-10 to 2026-11-10 (UTC), host SITE.example, page /*"
    assert lines[1] == "For what share of all pages that people saw these records stand is not known."
    assert lines[2].startswith("Compared with 3 November 2026. Of these days there are no records:")
    assert lines[3] == "Consent is counted for all visitors: its counts know no segment."
    cells = [line.split() for line in lines]
    assert cells[5] == ["range", "before"]
    assert ["visitors", "1", "0"] in cells
    assert ["bounce_rate", "0.0", "-"] in cells


def test_counts_have_days_of_the_time_zone(access_log: Path, cli: Run) -> None:
    """The counts of the fixture are of the morning: in Honolulu of the day before."""
    before = str(DAY - timedelta(days=1))
    ran = run(cli, access_log, "--from", before, "--to", before, "--time-zone", "Pacific/Honolulu", "--json")
    (made,) = ran.lines
    assert (made["share"]["views"], made["consent"]["asked"], made["by_day"][0]["all_views"]) == (8, 3, 8)


@pytest.mark.slow
def test_what_controls_a_terminal_or_a_spreadsheet_is_replaced(made: dict[str, Any]) -> None:
    text = as_text(made)
    assert "/�]0;gotcha��" in text
    assert all(sign.isprintable() or sign == "\n" for sign in text)
    assert_escaped(as_csv(made, "pages").replace("\r\n", "\n"))
    (campaign,) = rows_of(as_csv(made, "campaigns"))
    assert (campaign["source"], campaign["medium"]) == ("'=SUM(1)", "a,b")
    for begins in ("+", "-", "@", "＝"):
        assert plain(f"{begins}1") == f"'{begins}1"


def test_table_columns_fit_their_widest_cell() -> None:
    rows = [
        {"path": "/訪問", "views": 1_000, "x": None},
        {"path": "/e\u0301", "views": 2, "x": 0.5},
        {"path": "a" * 90, "views": 3, "x": 1},
    ]
    assert table(rows).splitlines() == [
        f"{'path':60}  views    x",
        f"/訪問{' ' * 55}  1,000    -",
        f"/e\u0301{' ' * 58}      2  0.5",
        f"{'a' * 59}…      3    1",
    ]
    assert table([{"campaign": "春\u3000セール"}]).splitlines()[1] == "春\u3000セール"


@pytest.mark.slow
def test_csv_folder_has_one_file_for_each_figure(access_log: Path, tmp_path: Path, cli: Run) -> None:
    folder = tmp_path / "new" / "figures"
    ran = run(cli, access_log, "--csv", folder, "--compare", "previous")
    files = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert ran == (GOOD, f"{len(files)} files in {folder}.\n", "")
    assert files.keys() == {f"{name}.csv" for name in ("totals", *(figure.name for figure in FIGURES))}
    assert [(row["from"], row["views"], row["share"]) for row in rows_of(files["totals.csv"])] == [
        ("2026-11-10", "2", "0.25"),
        ("2026-11-03", "0", ""),
    ]
    (language,) = rows_of(files["consent_by_language.csv"])
    assert (language["language"], "signal" in language, files["events.csv"]) == ("ja", False, "")


@pytest.mark.slow
def test_html_page_is_written(access_log: Path, tmp_path: Path, cli: Run) -> None:
    file = tmp_path / "report.html"
    assert run(cli, access_log, "--html", file) == (GOOD, f"{file} is written.\n", "")
    assert file.read_text("utf-8").startswith("<!doctype html>")


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name the access log: --access-log URL"),
        (["--access-log", "missing.jsonl"], "there is no file missing.jsonl"),
        (["--access-log", "mq://127.0.0.1"], '"mq://" cannot be read'),
        (["--access-log", "x", "--to", "2026-01-01", "--from", "2026-01-02"], "is no day before"),
        (["--access-log", "x", "--time-zone", "Tokyo"], 'there is no time zone "Tokyo". Write a name of the IANA'),
        (["--access-log", "x", "--policy", "missing.toml"], "missing.toml cannot be read: No such file"),
        (["--access-log", "x", "--json", "--html", "y"], "Name one form"),
        (["--access-log", "x", "--csv", "y", "--html", "z"], "Name one form"),
        (["--from", "0d"], "'0d' is no day: write it as 2026-11-25, yesterday, or 7d"),
        (["--limit", "0"], "'0' is no whole number from 1 to 10,000"),
        (["--limit", "10001"], "'10001' is no whole number from 1 to 10,000"),
        (["--threshold", "many"], "'many' is no whole number from 1 to 1,000,000"),
        (["--memory", "much"], '\'much\' is no size of a memory: write it as "512MB" or "2GB"'),
        (["--memory", "1MB"], "'1MB' is too little: 64MB at least"),
    ],
)
def test_mistake_is_named(arguments: list[str], says: str, cli: Run) -> None:
    ran = cli("report", *arguments)
    assert (ran.status, ran.out) == (WRONG_USAGE, "")
    assert says in ran.err


@pytest.mark.parametrize("form", ["--html", "--csv"])
def test_report_does_not_overwrite_the_access_log(form: str, access_log: Path, tmp_path: Path, cli: Run) -> None:
    kept, link = access_log.read_bytes(), tmp_path / "link"
    link.hardlink_to(access_log)
    for place in (access_log, tmp_path / ".." / tmp_path.name / access_log.name, link, counts_path(access_log)):
        ran = cli("report", "--access-log", f"file://{access_log}", form, place)
        why = f"{form}: {place} is a file of the access log itself. Name another.\n"
        assert ran == (WRONG_USAGE, "", why)
    assert access_log.read_bytes() == kept


@pytest.mark.parametrize("form", ["--html", "--csv"])
@pytest.mark.slow
def test_unwritable_file_is_named(form: str, access_log: Path, cli: Run) -> None:
    place = access_log / "not a folder"
    ran = run(cli, access_log, form, place)
    assert (ran.status, ran.err) == (WRONG_USAGE, f"{place} cannot be written: {os.strerror(20)}.\n")


# What the arguments mean


def asked(*arguments: str) -> dict[str, Any]:
    """Return what a report is asked for on the evening of the day of the fixture."""
    parser = argparse.ArgumentParser()
    REPORT.add_to(parser)
    return report_arguments(parser.parse_args(arguments), datetime(2026, 11, 10, 20, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("arguments", "since", "until"),
    [
        ([], DAY - timedelta(days=29), DAY),
        (["--to", "2026-03-31"], date(2026, 3, 2), date(2026, 3, 31)),
        (["--to", "0001-01-05"], date.min, date(1, 1, 5)),
        (["--from", "2026-11-09"], date(2026, 11, 9), DAY),
        (["--from", "yesterday"], date(2026, 11, 9), DAY),
        (["--from", "7d", "--to", "yesterday"], date(2026, 11, 4), date(2026, 11, 9)),
    ],
)
def test_default_range_is_the_last_thirty_days(arguments: list[str], since: date, until: date) -> None:
    made = asked(*arguments)
    assert (made["since"], made["until"]) == (since, until)


def test_goals_and_time_zone_are_those_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = asked()
    assert (made["goals"], made["time_zone"], made["until"]) == (Goals(), "UTC", DAY)
    Path("consent.toml").write_text('[goals.paid]\nevent = "paid"\n[site]\ntime_zone = "Asia/Tokyo"\n')
    Path("other.toml").write_text('[site]\ntime_zone = "America/New_York"\n')
    made = asked()
    assert (made["goals"], made["time_zone"]) == (Goals((("paid", "event:paid"),)), "Asia/Tokyo")
    assert made["until"] == DAY + timedelta(days=1)
    assert asked("--policy", "other.toml")["time_zone"] == "America/New_York"
    made = asked("--time-zone", "Asia/Kolkata")
    assert (made["time_zone"], made["until"]) == ("Asia/Kolkata", DAY + timedelta(days=1))


@pytest.mark.slow
def test_report_uses_default_or_given_memory(access_log: Path, cli: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = list[str]()
    connect = optional.duckdb_connection

    def connected(given: Mapping[str, Any]) -> Any:
        taken.append(given["memory_limit"])
        return connect(given)

    monkeypatch.setattr(duckdb_files, "duckdb_connection", connected)
    monkeypatch.setattr(duckdb_files, "default_memory", lambda: 512_000_000)
    for more in ([], ["--memory", "128MB"]):
        assert run(cli, access_log, "--json", *more).status == GOOD
    assert taken == ["512000000B", "128000000B"]
