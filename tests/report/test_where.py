"""Tests of segments: filters, small segments, and what the command and the live page make of them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from cookie_consent.cli.frame import GOOD, WRONG_USAGE
from cookie_consent.cli.main import main
from cookie_consent.report import FIGURES, Question, report
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.where import MOST_FILTERS, parse_filter, segment_of, without_few
from tests.report.test_serve_report import REAL, Maker
from tests.support.asgi import call
from tests.support.report_records import NOON, Record, line, record
from tests.support.report_sample import sample_report

DAY = NOON.date()
MINUTES_OF_DAY = 24 * 60


def visits(people: int, browser: str, *, since: float = 0) -> list[Record]:
    """A view and, a minute later, another by each of so many people."""
    return [
        record(since + minute, path, visitor__id=f"{browser}-{number}", user_agent__name=browser)
        for number in range(people)
        for minute, path in ((0, "/"), (1, "/next"))
    ]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of one day's visitors with three browsers, of whom some come again, or came before."""
    log = tmp_path_factory.mktemp("logs") / "access.jsonl"
    seen = [*visits(4, "Few"), *visits(5, "Enough"), *visits(6, "Many")]
    seen += [*visits(1, "Many", since=120), *visits(2, "Many", since=MINUTES_OF_DAY)]
    seen += visits(4, "Many", since=-7 * MINUTES_OF_DAY)
    log.write_bytes(b"".join(map(line, seen)))
    return log


def report_of(log: Path, browser: str, **asked: Any) -> dict[str, Any]:
    return report(log, **{"since": DAY, "until": DAY, "where": (("browser", browser),), **asked})


def numbers_in(value: Any, name: str = "") -> list[Any]:
    """Return the numbers in a report, without the hours of the day."""
    if isinstance(value, dict):
        return [number for name, part in value.items() for number in numbers_in(part, name)]
    if isinstance(value, list):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, (int, float)) and name != "hour" else []


# Small segments


@pytest.mark.parametrize("browser", ["Nobody", "Few"])
def test_segment_with_fewer_visitors_than_the_threshold_tells_nothing(browser: str, log: Path) -> None:
    made = report_of(log, browser, compare=True)
    assert made["small_groups"] == {"threshold": 5, "merged": 0, "withheld": True}
    assert made["range"]["where"] == [["browser", browser]]
    full = {name for name, rows in made.items() if isinstance(rows, list) and rows}
    assert full == {"by_day", "by_step", "by_hour", "consent_by_day"}
    assert numbers_in({name: part for name, part in made.items() if name not in ("range", "small_groups")}) == []
    assert ([row["day"] for row in made["by_day"]], len(made["by_hour"])) == ([str(DAY)], 24)
    assert {figure.name for figure in FIGURES if not figure.of_goal} < set(made)


def test_segment_as_large_as_the_threshold_has_its_figures(log: Path) -> None:
    made = report_of(log, "Enough")
    assert (made["visitors"], made["sessions"], made["views"], made["pages"][0]["views"]) == (5, 5, 10, 5)
    assert made["small_groups"]["withheld"] is False
    (one,) = report_of(log, "Few", threshold=4)["browsers"]
    assert one == {"browser": "Few", "visitors": 4, "views": 8}


def test_days_and_hours_of_a_segment_with_few_visitors_tell_nothing(log: Path) -> None:
    made = report_of(log, "Many", compare=True, step="hour")
    assert [made["by_hour"][hour]["views"] for hour in (11, 12, 14)] == [0, 12, None]
    assert [made["by_hour"][hour]["sessions"] for hour in (11, 12, 14)] == [0, 6, None]
    assert [row["views"] for row in made["by_step"]][12:15] == [12, 0, None]
    assert (made["visitors"], made["compare"]["visitors"]) == (6, None)
    assert made["compare"]["session_seconds"] == {"median": None, "mean": None}
    assert "Days and hours of fewer have no numbers." in as_text(made)
    days = report_of(log, "Many", until=DAY + timedelta(days=2))["by_day"]
    assert [(row["visitors"], row["views"]) for row in days] == [(6, 14), (None, None), (0, 0)]
    whole = report(log, since=DAY, until=DAY + timedelta(days=1))
    assert (whole["by_hour"][14], whole["by_day"][1]["visitors"]) == ({"hour": 14, "views": 2, "sessions": 1}, 2)


def test_hour_in_which_few_sessions_of_a_segment_began_tells_nothing(tmp_path: Path) -> None:
    log = tmp_path / "access.jsonl"
    seen = [record(50, "/", visitor__id="Many-0"), *visits(6, "Many", since=70)]
    log.write_bytes(b"".join(map(line, seen)))
    made = report(log, since=DAY, until=DAY, where=(("page", "/next"),))
    assert [made["by_hour"][hour]["sessions"] for hour in (11, 12, 13)] == [0, None, 5]


@pytest.mark.parametrize(
    ("visitors", "where", "threshold", "is_withheld"),
    [(4, "a", 5, True), (5, "a", 5, False), (0, "a", 1, False), (0, "a", 2, True), (1, "", 5, False)],
)
def test_numbers_of_few_visitors_are_withheld(visitors: int, where: str, threshold: int, is_withheld: bool) -> None:
    made = without_few(sample_report(visitors=visitors), ((("source", where),) if where else ()), threshold)
    assert made["small_groups"]["withheld"] == is_withheld
    assert (made["visitors"] is None, made["pages"] == []) == (is_withheld, is_withheld)


def test_small_segment_is_shown_as_fewer_in_a_terminal() -> None:
    report = sample_report(visitors=3)
    report["range"]["where"] = [["source", "a\u202e"], ["device", "pc"]]
    assert as_text(without_few(report, (("source", "a"),), 5)) == (
        "2026-11-01 to 2026-11-25 (UTC), source a\N{REPLACEMENT CHARACTER}, device pc\n"
        "Fewer than 5 visitors are in this segment. Nothing else is told of so few."
    )


# Filters


@pytest.mark.parametrize(
    ("text", "test", "value"),
    [
        ("source=www.News.example", "site", "news.example"),
        ("source=http://www.news.example", "equal", "http://www.news.example"),
        ("source=" + "a" * 1000, "site", "a" * 1000),
        ("source=(direct)", "equal", ""),
        ("source=(internal)", "equal", "(internal)"),
        ("campaign=a b", "named", "a+b"),
        ("campaign=a&b&c", "equal", "a&b&c"),
        ("entry=/a", "equal", "/a"),
        ("page=/a=b*", "prefix", "/a=b"),
        ("device=(unknown)", "equal", ""),
        ("browser= Firefox", "equal", " Firefox"),
        ("country=jp", "equal", "JP"),
        ("country=(unknown)", "equal", ""),
        ("returning=yes", "returning", "yes"),
        ("property=a:b=c=d", "property", "a:b=c=d"),
    ],
)
def test_filter_is_what_a_column_is_compared_with(text: str, test: str, value: str) -> None:
    (one,) = segment_of([parse_filter(text)]).filters
    assert (one.test.replace("known", "equal").replace("country", "equal"), one.value) == (test, value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("google.com", r"write KEY=VALUE, like source=google.com\. The keys are source, channel, campaign, entry, p"),
        ("sauce=google.com", r'"sauce" is no key\. The keys are source, channel, campaign'),
        ("source=", "source needs a value of up to 1,000 characters"),
        ("source=a\0", "without control ones"),
        ("source=" + "a" * 1001, "up to 1,000 characters"),
        ("source=\udcff", "without control ones"),
        ("returning=maybe", "returning is yes or no: whether the visitor has a record on a day before the first one"),
        ("channel=cpc", "channel is one of search, paid search, social, mail, campaign, other site, direct and u"),
        ("device=phone", r"device is one of pc, mobile, tablet, other and \(unknown\)\."),
        ("page=names", 'page is a path, like "/names"; "/names\\*" is every path that begins with it'),
        ("entry=*", "entry is a path"),
        ("country=Japan", "country is a code"),
        ("country=(other)", "country is a code"),
        ("property=a=B", "property is an event, a property and its value"),
        ("property=e:a", "property is an event, a property and its value"),
        ("property=:a=B", "property is an event, a property and its value"),
        ("property=e:=B", "property is an event, a property and its value"),
    ],
)  # fmt: skip
def test_wrong_filter_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"where: .*{says}"):
        parse_filter(text)


@pytest.mark.parametrize(
    ("where", "says"),
    [
        ([("device", "pc"), ("page", "/a"), ("device", "other")], "device stands twice, and a session has"),
        ([("page", "/")] * (MOST_FILTERS + 1), "where: 10 filters at most"),
    ],
)  # fmt: skip
def test_filters_that_do_not_go_together_are_refused(where: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Question(DAY, DAY, where=tuple(where))
    Question(DAY, DAY, where=tuple(where[:2] * (MOST_FILTERS // 2) if "/" in where[0] else where[:2]))


def test_address_of_live_page_has_filters() -> None:
    maker = Maker()
    query = urlencode({"where": ["source=google.com", "page=/a=b*"]}, doseq=True).encode()
    assert call(maker.app(), "GET", "/", query=query).status == 200
    assert maker.asked[0]["where"] == (("source", "google.com"), ("page", "/a=b*"))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (["sauce=x"], "is no key. The keys are source"),
        (["page=/"] * 1000, "where: 10 filters at most"),
        (["page=/\0"], "where: page needs a value of up to 1,000 characters, without control ones."),
    ],
)
def test_wrong_filter_of_live_page_is_explained(where: list[str], said: str) -> None:
    reply = call(REAL, "GET", "/", query=urlencode({"where": where}, doseq=True).encode())
    assert (reply.status, said in reply.text) == (400, True)


def run(log: Path, *arguments: str) -> int:
    return main(["report", "--access-log", str(log), "--from", str(DAY), "--to", str(DAY), *arguments])


def test_report_command_takes_several_filters(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(log, "--where", "browser=Many", "--where", "page=/n*") == GOOD
    out = capsys.readouterr().out
    assert out.startswith(f"{DAY} to {DAY} (UTC), browser Many, page /n*\n")
    assert re.search(r"\nvisitors +6\n", out)
    assert "Consent is counted for all visitors" in out


def test_report_command_refuses_a_wrong_filter(log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(log, "--where", "device=phone")
    assert ended.value.code == WRONG_USAGE
    said = "argument --where: device is one of pc, mobile, tablet, other and (unknown)."
    assert said in capsys.readouterr().err
