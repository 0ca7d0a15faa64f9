"""Tests of segments: filters, small segments, and what the command and the exports make of them."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode
from xml.etree.ElementTree import Element

import pytest

from cookie_consent.cli.frame import GOOD, WRONG_USAGE
from cookie_consent.cli.main import main
from cookie_consent.report import FIGURES, Question
from cookie_consent.report.export.terminal import as_text
from cookie_consent.report.page.page import live_page, page
from cookie_consent.report.settings import Goals
from cookie_consent.report.where import MOST_FILTERS, parse_filter, without_few
from tests.report.test_report_page import all_of, figures, text, tree
from tests.report.test_report_sessions import NOON, record, reported
from tests.report.test_serve_report import Maker
from tests.support.asgi import Reply, call
from tests.support.report_records import ALL_LISTS, Record, line
from tests.support.report_sample import sample_report

DAY = NOON.date()


def visits(people: int, browser: str, *, since: float = 0, **more: Any) -> list[Record]:
    """A view and, a minute later, another by each of so many people."""
    return [
        record(since + minute, path, visitor__id=f"{browser}-{number}", user_agent__name=browser, uid=uid, **more)
        for number in range(people)
        for minute, path in ((0, "/"), (1, "/next"))
        if (uid := f"{browser}-{number}-{since}-{path}")
    ]


def filtered(tmp_path: Path, *records: Record, **asked: Any) -> dict[str, Any]:
    return reported(tmp_path, *records, **{"threshold": 5, **asked})


# Small segments


@pytest.mark.parametrize("people", [0, 1, 4])
def test_segment_with_fewer_visitors_than_the_threshold_tells_nothing(people: int, tmp_path: Path) -> None:
    records = [*visits(people, "Firefox"), *visits(6, "Chrome")]
    made = filtered(tmp_path, *records, where=(("browser", "Firefox"),), compare=True, lists=ALL_LISTS)
    assert made["small_groups"] == {"threshold": 5, "merged": 0, "withheld": True}
    assert made["range"]["where"] == [["browser", "Firefox"]]
    assert {name for name, rows in made.items() if isinstance(rows, list) and rows} == {
        "by_day", "by_step", "by_hour", "consent_by_day",
    }  # fmt: skip
    assert numbers_in({name: part for name, part in made.items() if name not in ("range", "small_groups")}) == []
    assert [row["day"] for row in made["by_day"]] == [str(DAY)]
    assert len(made["by_hour"]) == 24
    assert {figure.name for figure in FIGURES if not figure.of_goal} < set(made)


def numbers_in(value: Any, name: str = "") -> list[Any]:
    """Return the numbers in a report, without the hours of the day."""
    if isinstance(value, dict):
        return [number for name, part in value.items() for number in numbers_in(part, name)]
    if isinstance(value, list):
        return [number for part in value for number in numbers_in(part)]
    return [value] if isinstance(value, (int, float)) and name != "hour" else []


def test_segment_as_large_as_the_threshold_has_its_figures(tmp_path: Path) -> None:
    made = filtered(
        tmp_path, *visits(5, "Firefox"), *visits(6, "Chrome"), where=(("browser", "Firefox"),), lists="pages"
    )
    assert (made["visitors"], made["sessions"], made["views"]) == (5, 5, 10)
    assert made["small_groups"]["withheld"] is False
    assert made["pages"][0]["views"] == 5


def test_day_of_a_segment_with_few_visitors_tells_nothing(tmp_path: Path) -> None:
    records = [*visits(6, "Firefox"), *visits(2, "Firefox", since=1440)]
    asked = {"since": DAY - timedelta(days=1), "until": DAY + timedelta(days=1)}
    shown = [row["visitors"] for row in filtered(tmp_path, *records, **asked)["by_day"]]
    assert shown == [0, 6, 2]
    of_segment = filtered(tmp_path, *records, **asked, where=(("page", "/next"),))["by_day"]
    assert [(row["visitors"], row["sessions"], row["views"]) for row in of_segment] == [
        (0, 0, 0), (6, 6, 6), (None, None, None),
    ]  # fmt: skip


def test_hour_of_a_segment_with_few_visitors_tells_nothing(tmp_path: Path) -> None:
    records = [*visits(6, "Firefox"), *visits(1, "Firefox", since=120)]
    assert filtered(tmp_path, *records)["by_hour"][14] == {"hour": 14, "views": 2, "sessions": 1}
    made = filtered(tmp_path, *records, where=(("browser", "Firefox"),), lists=ALL_LISTS)
    assert made["by_hour"][12] == {"hour": 12, "views": 12, "sessions": 6}
    assert made["by_hour"][14] == {"hour": 14, "views": None, "sessions": None}
    assert [row["views"] for row in made["by_step"]][12:15] == [12, 0, None]
    for shown in (page(made), as_text(made)):
        assert "Days and hours of fewer have no numbers." in shown


def test_hour_in_which_few_sessions_of_a_segment_began_tells_nothing(tmp_path: Path) -> None:
    records = [record(50, "/", visitor__id="Firefox-0"), *visits(6, "Firefox", since=70)]
    made = filtered(tmp_path, *records, where=(("page", "/next"),))
    assert [made["by_hour"][hour]["sessions"] for hour in (11, 12, 13)] == [0, None, 5]
    assert [row["sessions"] for row in made["by_step"]][11:14] == [0, None, 5]


def test_earlier_period_of_a_segment_with_few_visitors_tells_nothing(tmp_path: Path) -> None:
    records = [*visits(6, "Firefox"), *visits(4, "Firefox", since=-1440)]
    made = filtered(tmp_path, *records, where=(("browser", "Firefox"),), compare=True)
    assert made["visitors"] == 6
    assert made["compare"]["visitors"] is None
    assert made["compare"]["session_seconds"] == {"median": None, "mean": None}


def test_whole_report_tells_totals_of_one_visitor_as_before(tmp_path: Path) -> None:
    made = filtered(tmp_path, *visits(1, "Firefox"))
    assert (made["visitors"], made["views"]) == (1, 2)


# Sessions


def test_filter_by_source_takes_whole_sessions_also_over_midnight(tmp_path: Path) -> None:
    late = {"at": NOON.replace(hour=23, minute=50)}
    records = [
        record(0, "/first", **late, http__request__referrer="https://news.example"),
        record(15, "/second", **late),
        record(20, "/third", **late, record__kind="request", http__route="/{page}"),
        record(120, "/direct", **late),
    ]
    asked = {"where": (("source", "news.example"),), "threshold": 1}
    first = reported(tmp_path, *records, **asked, lists="pages routes")
    assert ([row["path"] for row in first["pages"]], first["sessions"]) == (["/first"], 1)
    # The session began on the day before, and its views are of two days.
    second = reported(
        tmp_path, *records, **asked, since=DAY + timedelta(days=1), until=DAY + timedelta(days=1), lists="pages routes"
    )
    assert ([row["path"] for row in second["pages"]], second["sessions"]) == (["/second"], 0)
    assert sum(row["requests"] for row in second["routes"]) == 2


@pytest.mark.parametrize(
    ("where", "paths"),
    [
        ((("page", "/names"),), ["/names"]),
        ((("page", "/names*"),), ["/names", "/names/ann"]),
        ((("page", "/names"), ("page", "/shop")), ["/names", "/shop"]),
        ((("entry", "/names"),), ["/names", "/names/ann"]),
        ((("page", "/na"),), []),
        ((("page", "/names"), ("browser", "Opera")), []),
    ],
)
def test_filter_by_page_counts_views_of_this_page_alone(where: Any, paths: list[str], tmp_path: Path) -> None:
    records = [
        record(0, "/names", visitor__id="ann"),
        record(1, "/names/ann", visitor__id="ann"),
        record(0, "/names", visitor__id="bob", uid="bob-1"),
        record(1, "/shop", visitor__id="bob", uid="bob-2"),
        record(2, "/shop", visitor__id="eve", uid="eve"),
    ]
    if ("page", "/shop") not in where:
        records = records[:2]
    assert [row["path"] for row in reported(tmp_path, *records, where=where, lists="pages")["pages"]] == paths


# Wrong filters


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (
            "google.com",
            r"write KEY=VALUE, like source=google.com\. The keys are source, channel, campaign, entry, p",
        ),
        ("sauce=google.com", r'"sauce" is no key\. The keys are source, channel, campaign'),
        ("source=", "source needs a value of up to 1,000 characters"),
        ("source=a\0", "without control ones"),
        ("source=" + "a" * 1001, "up to 1,000 characters"),
        ("source=\udcff", "without control ones"),
        ("returning=maybe", "returning is yes or no: whether the visitor has a record on a day before the first one"),
        (
            "channel=cpc",
            "channel is one of search, paid search, social, mail, campaign, other site, direct and unknown",
        ),
        ("device=phone", r"device is one of pc, mobile, tablet, other and \(unknown\)\."),
        ("page=names", 'page is a path, like "/names"; "/names\\*" is every path that begins with it'),
        ("entry=*", "entry is a path"),
    ],
)
def test_wrong_filter_is_refused_with_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=f"where: .*{says}"):
        parse_filter(text)


def test_key_of_which_a_session_has_one_may_not_stand_twice() -> None:
    with pytest.raises(
        ValueError, match=r"device stands twice, and a session has one\. page, event and property may\."
    ):
        Question(DAY, DAY, where=(("device", "pc"), ("page", "/a"), ("page", "/b"), ("device", "mobile")))


def test_filters_are_limited_in_number() -> None:
    Question(DAY, DAY, where=(("page", "/"),) * MOST_FILTERS)
    with pytest.raises(ValueError, match="where: 10 filters at most"):
        Question(DAY, DAY, where=(("page", "/"),) * (MOST_FILTERS + 1))


# The live page


def get(maker: Maker, *where: str, **asked: str) -> Reply:
    query = urlencode({**asked, "where": where}, doseq=True)
    return call(maker.app(), "GET", "/", query=query.encode())


def question_of(address: str | None) -> dict[str, list[str]]:
    assert address is not None
    assert address.startswith("?"), "it stays on the page, wherever that is mounted"
    return parse_qs(address[1:], strict_parsing=True)


def links_of(html: str, figure: str) -> dict[str, list[str]]:
    """Return the filters that a click on a row of a figure gives, by the row's name."""
    links: list[Element] = all_of(figures(html)[figure], "a")
    return {text(link): question_of(link.get("href"))["where"] for link in links}


def test_address_of_live_page_has_filters() -> None:
    maker = Maker()
    assert get(maker, "source=google.com", "page=/a=b*").status == 200
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
    maker = Maker()
    reply = get(maker, *where)
    assert (reply.status, maker.asked) == (400, [])
    assert said in reply.text


def test_each_active_filter_has_a_link_that_removes_it() -> None:
    reply = get(Maker(), "source=google.com", "page=/names", host="a.example", compare="previous")
    items = [item for item in all_of(tree(reply.text), "li") if "Remove" in text(item)]
    shown = ["source google.com", "page /names"]
    assert [text(item) for item in items] == [f"{each} Remove {each}" for each in shown]
    left = [question_of(all_of(item, "a")[0].get("href")) for item in items]
    assert [question["where"] for question in left] == [["page=/names"], ["source=google.com"]]
    assert (left[0]["host"], left[0]["compare"], left[0]["period"]) == (["a.example"], ["previous"], ["30d"])


@pytest.mark.slow
def test_click_on_a_row_filters_by_it() -> None:
    html = get(Maker(), "device=pc", "page=/names").text
    rows = links_of(html, "Pages by views")
    assert rows["/whois"] == ["device=pc", "page=/names", "page=/whois"]
    assert "/names" not in rows, "the report is of this page"
    assert links_of(html, "Devices")["mobile"] == ["page=/names", "device=mobile"]
    assert links_of(html, "Other sites that led here")["(direct)"] == ["device=pc", "page=/names", "source=(direct)"]
    campaigns = links_of(html, "Campaigns: source / medium / name")
    assert all(where[-1].count("&") == 2 and where[-1].startswith("campaign=") for where in campaigns.values())
    assert not any("(other)" in rows for rows in (rows, campaigns))


def test_row_that_no_filter_chooses_has_no_link(tmp_path: Path) -> None:
    paths = ("/a", "/x*", "*", "", "/" + "y" * 1000)
    seen = [
        record(n, path, visitor__id=f"v{n}", uid=f"{n}-{place}") for n in range(5) for place, path in enumerate(paths)
    ]
    asked = dict.fromkeys(("period", "from", "to", "host", "compare", "step"), "")
    html = live_page({**asked, "where": []}, filtered(tmp_path, *seen, lists=ALL_LISTS))
    assert links_of(html, "Pages by views") == {"/a": ["page=/a"]}


@pytest.mark.slow
def test_page_of_a_file_has_no_links_to_filters() -> None:
    links = [link.get("href", "") for link in all_of(tree(page(sample_report())), "a")]
    assert not [link for link in links if not link.startswith("#")]


def test_conversion_of_each_arm_of_a_test_can_be_asked(tmp_path: Path) -> None:
    seen = []
    for place, (arm, path) in enumerate([("A", "/a"), ("A", "/paid"), ("B", "/a"), ("B", "/paid"), ("B", "/paid")]):
        visitor = f"v{place}"
        told = {"event.name": "experiment", "event.properties": {"arm": arm}, "record.kind": "event"}
        seen += [record(3 * place, path, visitor__id=visitor), record(3 * place + 1, path, visitor__id=visitor) | told]
    goals = Goals(goals=(("paid", "/paid"),))
    made = {
        arm: filtered(
            tmp_path, *seen, where=(("property", f"experiment:arm={arm}"),), goals=goals, threshold=1, lists=ALL_LISTS
        )
        for arm in "AB"
    }
    assert {arm: (each["sessions"], each["goals"][0]["sessions"]) for arm, each in made.items()} == {
        "A": (2, 1),
        "B": (3, 2),
    }
    html = live_page({**dict.fromkeys(("period", "from", "to", "host", "compare", "step"), ""), "where": []}, made["B"])
    assert links_of(html, "Values of events") == {"experiment: arm = B": ["property=experiment:arm=B"]}


@pytest.mark.parametrize("value", ["arm=B", "experiment:arm", ":arm=B", "experiment:=B"])
def test_property_without_event_or_value_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="where: property is an event, a property and its value, like"):
        parse_filter(f"property={value}")


def test_small_segment_is_shown_as_fewer() -> None:
    report = sample_report(visitors=3)
    report["range"]["where"] = [["source", "a\u202e"], ["device", "pc"]]
    few = without_few(report, (("source", "a"),), 5)
    asked = dict.fromkeys(("period", "from", "to", "host", "compare", "step"), "")
    html = live_page({**asked, "where": ["device=pc"]}, few)
    assert [text(value) for value in all_of(tree(html), "dd")] == ["fewer than 5"]
    assert "All hosts, all pages; only sessions with source a\\u202e, device pc." in html
    assert "Fewer than 5 visitors are in this segment." in text(all_of(tree(html), "main")[0])
    assert figures(html) == {}
    assert as_text(few) == (
        "2026-11-01 to 2026-11-25 (UTC), source a\N{REPLACEMENT CHARACTER}, device pc\n"
        "Fewer than 5 visitors are in this segment. Nothing else is told of so few."
    )


# The command


@pytest.mark.slow
def test_report_command_takes_several_filters(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "access.jsonl"
    log.write_bytes(b"".join(map(line, [*visits(6, "Firefox"), *visits(6, "Chrome")])))
    assert run(log, "--where", "browser=Firefox", "--where", "page=/n*") == GOOD
    out = capsys.readouterr().out
    assert out.startswith(f"{DAY} to {DAY} (UTC), browser Firefox, page /n*\n")
    assert re.search(r"\nvisitors +6\n", out)
    assert "Consent is counted for all visitors" in out


def test_report_command_refuses_a_wrong_filter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(tmp_path / "access.jsonl", "--where", "device=phone")
    assert ended.value.code == WRONG_USAGE
    said = "argument --where: device is one of pc, mobile, tablet, other and (unknown)."
    assert said in capsys.readouterr().err


def run(log: Path, *arguments: str) -> int:
    return main(["report", "--access-log", str(log), "--from", str(DAY), "--to", str(DAY), *arguments])
