"""Tests of `cookie-consent report`: tables, JSON, CSV, the page, and wrong arguments."""

from __future__ import annotations

import argparse
import csv
import io
import json
import os
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cookie_consent.cli.frame import GOOD, WRONG_USAGE
from cookie_consent.cli.main import main
from cookie_consent.cli.report import REPORT, report_arguments
from cookie_consent.report import FIGURES, report
from cookie_consent.report.engines import duckdb_files
from cookie_consent.report.export.csv_files import NAMES, as_csv, plain
from cookie_consent.report.export.terminal import as_text, table
from cookie_consent.report.settings import Goals
from cookie_consent.sinks import optional
from cookie_consent.sinks.files.closed_files import counts_path
from tests.support.report_records import NOON, line, record

Capture = pytest.CaptureFixture[str]
DAY = NOON.date()
ESCAPES = "/\x1b]0;gotcha\x07\u202e"
"""A path with control characters that a terminal obeys."""


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONSENT_ACCESS_LOG", raising=False)


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


def parsed(*arguments: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    REPORT.add_to(parser)
    return parser.parse_args(arguments)


def run(*arguments: str) -> int:
    return main(["report", "--from", str(DAY), "--to", str(DAY), "--threshold", "1", *arguments])


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.slow
def test_json_is_the_report_on_one_line(access_log: Path, capsys: Capture) -> None:
    assert run("--access-log", str(access_log), "--json", "--compare", "previous") == GOOD
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    made = json.loads(out)
    wanted = report(access_log, since=DAY, until=DAY, threshold=1, compare=True)
    assert made.pop("range").keys() == wanted.pop("range").keys()
    assert made == wanted
    assert (made["views"], made["compare"]["views"]) == (2, 0)


@pytest.mark.slow
def test_tables_show_numbers_for_people(access_log: Path, capsys: Capture) -> None:
    assert run("--access-log", str(access_log)) == GOOD
    out = capsys.readouterr().out
    assert out.startswith("2026-11-10 to 2026-11-10 (UTC)\nThese records stand for 25 % of 8 pages that people saw; ")
    assert "\nPages by views\npath " in out
    first_page = re.search(r"^First pages of sessions\n(.*)\n(.*)$", out, re.MULTILINE)
    assert first_page
    assert first_page[1].split()[:3] == ["path", "sessions", "bounces"]
    assert first_page[2].split()[:3] == ["/訪問", "1", "0"]
    assert "before" not in out.splitlines()[3]
    assert "Rows of fewer than" not in out, "the threshold of 1 joins none"


@pytest.mark.slow
def test_tables_say_how_many_small_groups_were_joined(access_log: Path) -> None:
    with access_log.open("ab") as file:
        file.write(line(record(2, "/訪問", visitor__id="bob")))
    made = report(access_log, since=DAY, until=DAY, threshold=2)
    merged = made["small_groups"]["merged"]
    assert merged > 0
    assert made["pages"]
    assert as_text(made).endswith(
        f"Rows of fewer than 2 visitors are joined as (other), or left out: {merged}.\n"
        "Totals, days and hours may stand for fewer."
    )


@pytest.mark.slow
def test_first_report_has_no_rows_of_zeros_and_says_how_to_see_the_lists(access_log: Path, capsys: Capture) -> None:
    arguments = ["--access-log", str(access_log), "--to", str(DAY + timedelta(days=3))]
    assert main(["report", *arguments]) == GOOD
    out = capsys.readouterr().out
    tables = out.partition("By day")[2].splitlines()
    rows = [words[1:] for row in tables if (words := row.split()) and words[0].replace("-", "").isdecimal()]
    assert len(rows) == 3
    assert all(set(row) - {"0", "-"} for row in rows)
    assert "Days and hours in which nothing was counted are left out." in out
    assert out.endswith(
        "Each row of the other lists would stand for fewer than 5 visitors. They are left out.\n"
        "While only you try the site, see them with: --threshold 1\n"
    )
    assert main(["report", *arguments, "--threshold", "1"]) == GOOD
    out = capsys.readouterr().out
    assert "\nPages by views\n" in out
    assert "--threshold" not in out


@pytest.mark.slow
def test_report_of_an_empty_log_has_totals_alone(tmp_path: Path, capsys: Capture) -> None:
    log = tmp_path / "access.jsonl"
    log.touch()
    assert run("--access-log", str(log)) == GOOD
    out = capsys.readouterr().out
    assert ["visitors", "0"] in [row.split() for row in out.splitlines()]
    assert "By day" not in out
    assert "By hour" not in out


@pytest.mark.slow
def test_tables_do_not_speak_of_days_and_hours_if_none_is_left_out(made: dict[str, Any]) -> None:
    busy = {name: [hour for hour in made[name] if hour["views"]] for name in ("by_hour", "by_step")}
    assert "are left out" in as_text(made)
    assert "are left out" not in as_text({**made, **busy})


@pytest.mark.slow
@pytest.mark.each_value(at_most=1)
@pytest.mark.parametrize("step", ["week", "hour", "day", "month"])
def test_tables_count_by_the_step(access_log: Path, capsys: Capture, step: str) -> None:
    assert run("--access-log", str(access_log), "--from", str(DAY), "--to", str(DAY), "--step", step) == GOOD
    titles = [line for line in capsys.readouterr().out.splitlines() if line.startswith("By ")]
    assert titles[:2] == [f"By {step}", "By hour of the day"]


@pytest.mark.slow
def test_tables_show_comparison_and_unknown_share(access_log: Path, capsys: Capture) -> None:
    arguments = (
        "--access-log",
        str(access_log),
        "--where",
        "page=/*",
        "--host",
        "SITE.example",
        "--compare",
        "previous",
    )
    assert run(*arguments) == GOOD
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "2026-11-10 to 2026-11-10 (UTC), host SITE.example, page /*"
    assert lines[1] == "For what share of all pages that people saw these records stand is not known."
    assert lines[2].startswith("Compared with 3 November 2026. Of these days there are no records:")
    assert lines[3] == "Consent is counted for all visitors: its counts know no segment."
    assert lines[5].split() == ["range", "before"]
    assert ["visitors", "1", "0"] in [line.split() for line in lines]
    assert ["bounce_rate", "0.0", "-"] in [line.split() for line in lines]


def test_counts_have_days_of_the_time_zone(access_log: Path, capsys: Capture) -> None:
    """The counts of the fixture are of the morning: in Tokyo the evening, in Honolulu the day before."""
    for zone, day in (("Asia/Tokyo", DAY), ("Pacific/Honolulu", DAY - timedelta(days=1))):
        chosen = ("--from", str(day), "--to", str(day), "--time-zone", zone)
        assert run("--access-log", str(access_log), *chosen, "--json") == GOOD
        made = json.loads(capsys.readouterr().out)
        assert (made["share"]["views"], made["consent"]["asked"], made["by_day"][0]["all_views"]) == (8, 3, 8)


@pytest.mark.slow
def test_control_characters_in_tables_are_replaced(made: dict[str, Any]) -> None:
    text = as_text(made)
    assert "/�]0;gotcha��" in text
    assert all(sign.isprintable() or sign == "\n" for sign in text)


@pytest.mark.slow
def test_control_characters_in_csv_and_json_are_escaped(
    access_log: Path, made: dict[str, Any], capsys: Capture
) -> None:
    assert run("--access-log", str(access_log), "--threshold", "1", "--json") == GOOD
    in_json = capsys.readouterr().out
    in_csv = as_csv(made, "pages").replace("\r\n", "\n")
    for out in (in_json, in_csv):
        assert "/\\u001b]0;gotcha\\u0007\\u202e" in out
        assert all(sign.isprintable() or sign == "\n" for sign in out)


def test_wide_space_between_words_is_shown() -> None:
    assert table([{"campaign": "春\u3000セール"}]).splitlines()[1] == "春\u3000セール"


def test_table_columns_fit_their_widest_cell() -> None:
    rows = [
        {"path": "/訪問", "views": 1_000, "x": None},
        {"path": "/e\u0301", "views": 2, "x": 0.5},
        {"path": "a" * 90, "views": 3, "x": 1},
    ]
    lines = table(rows).splitlines()
    assert lines[0] == f"{'path':60}  views    x"
    assert lines[1] == f"/訪問{' ' * 55}  1,000    -"
    assert lines[2] == f"/e\u0301{' ' * 58}      2  0.5"
    assert lines[3] == f"{'a' * 59}…      3    1"


@pytest.mark.slow
def test_csv_folder_has_one_file_for_each_figure(access_log: Path, tmp_path: Path, capsys: Capture) -> None:
    folder = tmp_path / "new" / "figures"
    assert run("--access-log", str(access_log), "--csv", str(folder), "--compare", "previous") == GOOD
    assert capsys.readouterr().out == f"{len(NAMES)} files in {folder}.\n"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.csv" for name in ("totals", *(figure.name for figure in FIGURES))
    }
    totals = rows_of((folder / "totals.csv").read_text("utf-8"))
    assert [(row["from"], row["views"], row["share"]) for row in totals] == [
        ("2026-11-10", "2", "0.25"),
        ("2026-11-03", "0", ""),
    ]
    (language,) = rows_of((folder / "consent_by_language.csv").read_text("utf-8"))
    assert language["language"] == "ja"
    assert "signal" not in language
    assert (folder / "events.csv").read_text("utf-8") == ""


@pytest.mark.slow
def test_csv_escapes_spreadsheet_formulas(made: dict[str, Any]) -> None:
    assert rows_of(as_csv(made, "campaigns"))[0]["source"] == "'=SUM(1)"
    assert rows_of(as_csv(made, "campaigns"))[0]["medium"] == "a,b"
    for begins in ("+", "-", "@", "＝"):
        assert plain(f"{begins}1") == f"'{begins}1"


@pytest.mark.slow
def test_html_page_is_written(access_log: Path, tmp_path: Path, capsys: Capture) -> None:
    file = tmp_path / "report.html"
    assert run("--access-log", str(access_log), "--html", str(file)) == GOOD
    assert capsys.readouterr().out == f"{file} is written.\n"
    assert file.read_text("utf-8").startswith("<!doctype html>")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "Name the access log: --access-log URL"),
        (["--access-log", "missing.jsonl"], "there is no file missing.jsonl"),
        (["--access-log", "mq://127.0.0.1"], '"mq://" cannot be read'),
        (["--access-log", "x", "--to", "2026-01-01"], "is no day before"),
        (["--access-log", "x", "--time-zone", "Tokyo"], 'there is no time zone "Tokyo". Write a name of the IANA'),
        (["--access-log", "x", "--policy", "missing.toml"], "missing.toml cannot be read: No such file"),
        (["--access-log", "x", "--json", "--html", "y"], "Name one form"),
        (["--access-log", "x", "--csv", "y", "--html", "z"], "Name one form"),
    ],
)
def test_unusable_log_range_or_form_is_wrong_usage(arguments: list[str], says: str, capsys: Capture) -> None:
    assert run(*arguments) == WRONG_USAGE
    assert says in capsys.readouterr().err


@pytest.mark.parametrize("form", ["--html", "--csv"])
def test_report_does_not_overwrite_access_log(form: str, access_log: Path, tmp_path: Path, capsys: Capture) -> None:
    kept, link = access_log.read_bytes(), tmp_path / "link"
    link.hardlink_to(access_log)
    for place in (access_log, tmp_path / "." / ".." / tmp_path.name / access_log.name, link, counts_path(access_log)):
        assert run("--access-log", f"file://{access_log}", form, str(place)) == WRONG_USAGE
        assert f"{place} is a file of the access log itself. Name another." in capsys.readouterr().err
    assert access_log.read_bytes() == kept


@pytest.mark.parametrize("form", ["--html", "--csv"])
@pytest.mark.slow
def test_unwritable_file_is_named(form: str, access_log: Path, tmp_path: Path, capsys: Capture) -> None:
    place = access_log / "not a folder"
    assert run("--access-log", str(access_log), form, str(place)) == WRONG_USAGE
    assert f"{place} cannot be written: {os.strerror(20)}." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--from", "0d", "'0d' is no day: write it as 2026-11-25, yesterday, or 7d"),
        ("--limit", "0", "'0' is no whole number from 1 to 10,000"),
        ("--limit", "10001", "'10001' is no whole number from 1 to 10,000"),
        ("--threshold", "many", "'many' is no whole number from 1 to 1,000,000"),
        ("--memory", "much", '\'much\' is no size of a memory: write it as "512MB" or "2GB"'),
        ("--memory", "1MB", "'1MB' is too little: 64MB at least"),
    ],
)
def test_invalid_option_value_is_refused(option: str, value: str, says: str, capsys: Capture) -> None:
    with pytest.raises(SystemExit) as ended:
        parsed(option, value)
    assert ended.value.code == WRONG_USAGE
    assert says in capsys.readouterr().err


@pytest.mark.slow
def test_report_uses_default_or_given_memory(
    access_log: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = list[str]()
    connect = optional.duckdb_connection

    def connected(given: Mapping[str, Any]) -> Any:
        taken.append(given["memory_limit"])
        return connect(given)

    monkeypatch.setattr(duckdb_files, "duckdb_connection", connected)
    monkeypatch.setattr(duckdb_files, "default_memory", lambda: 512_000_000)
    for more in ([], ["--memory", "128MB"]):
        assert run("--access-log", str(access_log), "--json", *more) == GOOD
    assert taken == ["512000000B", "128000000B"]


def test_default_range_is_the_last_thirty_days() -> None:
    now = NOON.timestamp()

    def days(*arguments: str) -> tuple[Any, Any]:
        asked = report_arguments(parsed(*arguments), now)
        return asked["since"], asked["until"]

    assert days() == (DAY - timedelta(days=29), DAY)
    assert days("--to", "2026-03-31") == (date(2026, 3, 2), date(2026, 3, 31))
    assert days("--to", "0001-01-05") == (date.min, date(1, 1, 5))
    assert days("--from", "2026-11-09") == (date(2026, 11, 9), DAY)
    assert days("--from", "yesterday") == (date(2026, 11, 9), DAY)
    assert days("--from", "7d", "--to", "yesterday") == (date(2026, 11, 4), date(2026, 11, 9))


def test_goals_are_those_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert report_arguments(parsed(), NOON.timestamp())["goals"] == Goals()
    Path("consent.toml").write_text('[goals.paid]\nevent = "paid"\n')
    assert report_arguments(parsed(), NOON.timestamp())["goals"] == Goals((("paid", "event:paid"),))


def test_time_zone_is_that_of_the_option_or_of_the_policy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    late = datetime(2026, 11, 10, 20, tzinfo=UTC).timestamp()

    def asked(*arguments: str) -> tuple[str, date]:
        made = report_arguments(parsed(*arguments), late)
        return made["time_zone"], made["until"]

    monkeypatch.chdir(tmp_path)
    assert asked() == ("UTC", date(2026, 11, 10))
    Path("consent.toml").write_text('[site]\ntime_zone = "Asia/Tokyo"\n')
    Path("other.toml").write_text('[site]\ntime_zone = "America/New_York"\n')
    assert asked() == ("Asia/Tokyo", date(2026, 11, 11))
    assert asked("--policy", "other.toml") == ("America/New_York", date(2026, 11, 10))
    assert asked("--time-zone", "Asia/Kolkata") == ("Asia/Kolkata", date(2026, 11, 11))
