"""Tests of the report's page: its texts, tables and charts, and that it loads and runs nothing."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from functools import cache, lru_cache
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import html5lib
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cookie_consent.report.figures import FIGURES, SECTIONS, Column, Figure
from cookie_consent.report.page.formatting import TEMPLATES, days, format_value, long_step, moment, short_step
from cookie_consent.report.page.page import POLICY, STYLE_SOURCE, live_page, page
from cookie_consent.report.page.panels import Panel, choose_marks, draw_chart, list_panels
from tests.support.report_sample import compared_report, empty_report, sample_report

HOSTILE = "<script>alert(1)</script>\"'&<b onclick=x>{{ 7 * 7 }}\u202eevil\x07\ud800"
SHOWN = "<script>alert(1)</script>\"'&<b onclick=x>{{ 7 * 7 }}\\u202eevil\\x07\\ud800"
LONG = "/" + "very-long-" * 100
NOTHING = "Nothing of this in this time, or of too few visitors."
ASKED = {"period": "", "from": "2026-11-01", "to": "2026-11-25", "host": "", "compare": "", "step": "", "where": []}
NO_RECORDS = " there are no records: there were no visits, or they are purged."
IN_SEGMENT = {**sample_report()["range"], "where": [["page", "/names"]]}


@lru_cache(maxsize=4)
def tree(html: str) -> Element:
    """Return the elements of a page as a browser parses it. An error in its HTML raises."""
    parsed: Element = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False).parse(html)
    return parsed


@cache
def sample_page() -> str:
    """Return the page of the sample, which most tests look at."""
    return page(sample_report())


def name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def all_of(root: Element, tag: str) -> list[Element]:
    return [element for element in root.iter() if name(element) == tag]


def of_class(root: Element, kind: str) -> list[Element]:
    return [element for element in root.iter() if kind in element.get("class", "").split()]


def text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def links(root: Element) -> list[tuple[str, str]]:
    return [(text(link), link.get("href", "")) for link in all_of(root, "a")]


def text_of_class(html: str, kind: str) -> str:
    return text(of_class(tree(html), kind)[0])


def figures(html: str) -> dict[str, Element]:
    """Return the figures by their titles."""
    return {text(all_of(figure, "h3")[0]): figure for figure in all_of(tree(html), "figure")}


def table(figure: Element) -> list[list[str]]:
    """Return the head of a figure's table and its rows, also those that are opened apart."""
    head, *rows = [[text(cell) for cell in row if name(cell) in ("th", "td")] for row in all_of(figure, "tr")]
    return [head, *(row for row in rows if row != head)]


def selected(field: Element) -> str:
    return next(str(choice.get("value")) for choice in all_of(field, "option") if "selected" in choice.attrib)


def numbers(html: str) -> dict[str, list[str]]:
    (found,) = of_class(tree(html), "numbers")
    return {text(div[0]): [text(said) for said in div[1:]] for div in found}


def with_text_everywhere(value: str) -> dict[str, Any]:
    """Return a report in which this text stands for every text of a record."""

    def replaced(row: dict[str, Any]) -> dict[str, Any]:
        return {
            key: value if isinstance(said, str) and key not in ("day", "from", "week") else said
            for key, said in row.items()
        }

    report = sample_report()
    lists = {key: [replaced(row) for row in rows] for key, rows in report.items() if isinstance(rows, list)}
    return {**report, **lists, "range": {**report["range"], "host": value}}


def test_each_figure_is_shown_once_as_a_table_and_each_chart_has_one_below() -> None:
    panels = list_panels(sample_report())
    shown = {panel.figure.name.partition("-")[0] for panel in panels}
    assert {figure.name for figure in FIGURES} - shown == {"by_day", "by_step"}
    assert "share" in shown
    found = figures(sample_page())
    full = [panel.figure.title for panel in panels if not panel.is_empty]
    assert [*found] == ["Visitors by day", "Sessions by day", "Views by day", *sorted(full, key=[*found].index)]
    for title, figure in found.items():
        order = [name(child) for child in figure if name(child) in ("svg", "details", "table")]
        assert order in (["svg", "details"], ["svg", "svg", "details"], ["table"], ["table", "details"]), title
        for picture in (child for child in figure if name(child) == "svg"):
            assert (picture.get("role"), text(picture[0])) == ("img", title)
            assert text(picture[1]).endswith(". The table below has all numbers.")
        assert {each.get("aria-labelledby") for each in all_of(figure, "table")} == {all_of(figure, "h3")[0].get("id")}
        assert {cell.get("scope") for cell in all_of(figure, "th")} == {"col", "row"}
        assert len({len(row) for row in table(figure)}) == 1, title


def test_sections_are_closed_and_name_their_figures() -> None:
    parts = of_class(tree(sample_page()), "section")
    assert [text(all_of(part, "h2")[0]) for part in parts] == [*SECTIONS.values()]
    for part in parts:
        assert (name(part), part.get("open")) == ("details", None)
        assert text(part[0][1]).split(" · ") == [text(title) for title in all_of(part, "h3")]


def test_ids_are_unique_and_references_resolve() -> None:
    root = tree(page(compared_report()))
    ids = [found for element in root.iter() if (found := element.get("id"))]
    assert len(ids) == len(set(ids))
    labels = [element.get(key) for element in root.iter() for key in ("aria-labelledby", "aria-describedby")]
    assert {label for label in labels if label} | {to.removeprefix("#") for _, to in links(root)} <= set(ids)


@pytest.mark.parametrize("report", [compared_report(), empty_report(), with_text_everywhere(HOSTILE)])
def test_page_loads_and_runs_nothing(report: dict[str, Any]) -> None:
    root = tree(page(report))
    for element in root.iter():
        assert name(element) not in {"script", "img", "iframe", "object", "base", "form"}
        for key, value in element.attrib.items():
            assert key != "style"
            assert not key.startswith("on")
            assert key not in ("href", "src") or value.startswith("#") or value == "data:,"
    (style,) = all_of(root, "style")
    assert "@import" not in text(style)


def test_content_security_policy_allows_only_the_style_of_the_page() -> None:
    (style,) = re.findall(r"<style>(.*?)</style>", sample_page(), re.DOTALL)
    assert f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" == STYLE_SOURCE
    assert [meta.get("content") for meta in all_of(tree(sample_page()), "meta") if meta.get("http-equiv")] == [POLICY]
    others = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    assert sorted(POLICY.split("; ")) == sorted([*others, f"style-src {STYLE_SOURCE}"])


def test_hostile_text_is_escaped_and_invisible_characters_are_shown() -> None:
    html = page(with_text_everywhere(HOSTILE))
    assert not set("\u202e\x07\ud800") & set(html)
    found = figures(html)
    assert table(found["Pages by views"])[1][0] == SHOWN
    assert table(found["Campaigns: source / medium / name"])[1][0] == " / ".join([SHOWN] * 3)
    assert SHOWN in text_of_class(html, "about")
    files = [{"file": "/logs/\u202e<b>.jsonl", "problem": ""}]
    said = text_of_class(page(sample_report(unreadable_files=files)), "problem")
    assert said.endswith("a file of the access log: it cannot be read. \\u202e<b>.jsonl")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "The records stand for 44 % of 33,042 pages that people saw; nothing is estimated for the rest."),
        ({"share": {"views_recorded": None, "views": None, "share": None}}, "There are no counts of all pages"),
        ({"share": {"views_recorded": 0, "views": 0, "share": None}}, "People saw no pages in this time."),
        ({"range": IN_SEGMENT}, "All pages that people saw are not counted by session"),
        ({"compare": compared_report()["compare"]}, "for the rest. Before, it was 40 %."),
    ],
)
def test_page_says_which_share_of_views_is_recorded(changes: dict[str, Any], said: str) -> None:
    assert said in text_of_class(page(sample_report(**changes)), "share")


SAMPLE = sample_report()
ANSWERS = "What was answered"
SHARES = "All pages by day, recorded or not"
BY_DAY = sample_report()["by_day"]


def with_first_day(**changes: Any) -> dict[str, Any]:
    return sample_report(by_day=[{**BY_DAY[0], **changes}, *BY_DAY[1:]])


@pytest.mark.parametrize(
    ("report", "title", "row", "cells"),
    [
        (SAMPLE, SHARES, 0, "Day|Pages with a record|All pages that people saw|Share recorded"),
        (SAMPLE, SHARES, 1, "Sun, 1 Nov 2026|240|552|43 %"),
        (with_first_day(views=4968), SHARES, 1, "Sun, 1 Nov 2026|240|552|43 %"),
        (with_first_day(views=4968), "Views by day", 1, "Sun, 1 Nov 2026|4,968"),
        (with_first_day(all_views=None, all_views_recorded=None), SHARES, 1, "Sun, 1 Nov 2026|–|–|–"),
        (SAMPLE, "Funnel buy, by sessions", 0, "Step|Sessions|Visitors|Sessions lost since the step before"
         "|Visitors lost since the step before|Of the first step"),
        (SAMPLE, "Funnel buy, by sessions", 2, "goal:order|88|102|815|538|10 %"),
        (SAMPLE, "order, by day", 1, "Sun, 1 Nov 2026|12|90|13 %"),
        (SAMPLE, "Asked and answered by day", 1, "Sun, 1 Nov 2026|110|47|34|5|24|0|0|7|55 %|40 %"),
        (SAMPLE, ANSWERS, 0, "Pages|Asked|Yes to all|No|Partly|Not answered|Taken back|Changes of"
         " an earlier answer|Refused by the browser's signal|Yes, of answers|Yes, of questions"),
        (SAMPLE, ANSWERS, 1, "All pages with the question|6,598|2,824|2,032|319|1,423|44|0|460|55 %|43 %"),
        (SAMPLE, "Visits that began with the question", 1, "Visits that began with it|5,498|2,587|2,588|323|164"),
        (SAMPLE, "Consent by purpose", 1, "analytics|5,100|2,193|1,581|42|0|1,071|54 %"),
        (SAMPLE, "Pages by views", 6, "/whois/terms|540|377|–"),
        (compared_report(), "Pages by views", 0, "Page|Views|Views before|Visitors|Median time on it"),
        (compared_report(), "Pages by views", 5, "/tour|611|–|402|1 min 35 s"),
        (compared_report(), "Views by day", 0, "Day|Views|Views, 7 to 31 October 2026"),
    ],
)  # fmt: skip
def test_table_of_a_figure_has_its_numbers(report: dict[str, Any], title: str, row: int, cells: str) -> None:
    assert table(figures(page(report))[title])[row] == cells.split("|")


def test_new_visitors_are_followed_for_eight_weeks() -> None:
    cohorts = [{"week": "2026-11-02", "visitors": 40, **{f"week_{number}": 10 for number in range(1, 60)}}]
    (shown,) = (panel for panel in list_panels(sample_report(retention=cohorts)) if panel.figure.name == "retention")
    assert (shown.names, len(shown.figure.measures)) == (["2 November 2026"], 9)


def test_counts_know_no_segments() -> None:
    html = page(sample_report(range=IN_SEGMENT))
    of_all = "They are of all pages and visitors"
    assert (SHARES in figures(html), of_all in html, of_all in sample_page()) == (False, True, False)
    assert "55 % of the answers are a yes to all; 43 % of the pages with the question. Counts of" in sample_page()


def test_page_starts_with_the_totals() -> None:
    names = ("Visitors", "Sessions", "Views", "Views per session", "Bounce rate", "Session, median")
    values = ("2,066", "2,416", "14,556", "6.0", "41 %", "1 min 14 s")
    assert numbers(sample_page()) == {name: [value] for name, value in zip(names, values, strict=True)}


@pytest.mark.parametrize(
    ("changes", "name", "said"),
    [
        ({}, "Visitors", "up 25 % from 1,650"),
        ({}, "Views per session", "up 19 % from 5.1"),
        ({}, "Bounce rate", "down 2.7 points from 44 %"),
        ({}, "Session, median", "up 21 % from 1 min 1 s"),
        ({"visitors": 1650}, "Visitors", "as before, 1,650"),
        ({"visitors": 825}, "Visitors", "down 50 % from 1,650"),
        ({"bounce_rate": 0.44}, "Bounce rate", "as before, 44 %"),
        ({"bounce_rate": 0.5}, "Bounce rate", "up 6.0 points from 44 %"),
        ({"bounce_rate": None}, "Bounce rate", "nothing to compare with"),
        ({"compare": {**compared_report()["compare"], "views": 0}}, "Views", "none before"),
        ({"compare": {**compared_report()["compare"], "views": 0}, "views": 0}, "Views", "none before either"),
    ],
)
def test_totals_say_how_they_changed(changes: dict[str, Any], name: str, said: str) -> None:
    assert numbers(page(compared_report(**changes)))[name][1] == said


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, "Compared with 7 to 31 October 2026."),
        ({"recorded_from": None}, "Of these days" + NO_RECORDS),
        (
            {"recorded_from": "2026-10-09"},
            "Of those before 9 October 2026" + NO_RECORDS,
        ),
        ({"recorded_from": None, "visitors": None}, "Compared with 7 to 31 October 2026."),
    ],
)
def test_page_says_with_which_days_it_compares(changes: dict[str, Any], said: str) -> None:
    report = compared_report(compare={**compared_report()["compare"], **changes})
    about = text_of_class(page(report), "about")
    assert about.endswith(said)
    report["compare"]["range"]["to_time"] = "14:02"
    assert "October 2026 until 14:02, since today is not over." in text_of_class(page(report), "about")


def test_figures_without_data_are_named() -> None:
    html = page(empty_report())
    (alone,) = figures(html).items()
    assert (alone[0], text(alone[1])) == ("Visitors by day", f"Visitors by day {NOTHING}")
    lists, parts = [text(each) for each in of_class(tree(html), "nothing")][1:5], of_class(tree(html), "nothing")[5:]
    assert lists == [NOTHING] * 4
    assert text(parts[0]) == (
        "Nothing in this time, or of too few visitors: All pages by day, recorded or not; By hour of the day."
    )
    assert len(parts) == len(SECTIONS) - 2, "no goals and no countries"
    assert [said[0] for said in numbers(html).values()] == ["0", "0", "0", "–", "–", "–"]


def test_report_of_a_small_segment_has_no_figures() -> None:
    html = page(sample_report(small_groups={"threshold": 5, "merged": 0, "withheld": True}))
    assert numbers(html) == {"Visitors": ["fewer than 5"]}
    assert text_of_class(html, "share").startswith("Fewer than 5 visitors are in this segment.")
    assert (figures(html), of_class(tree(html), "section"), of_class(tree(html), "brief")) == ({}, [], [])


def test_first_screen_has_four_lists_of_five_rows_that_lead_to_the_whole_ones() -> None:
    briefs = of_class(tree(page(sample_report(countries=[]))), "brief")
    assert {text(each[0]): [text(row) for row in all_of(each, "li")] for each in briefs} == {
        "Pages Views": ["/ 3,920", "/names 3,105", "/whois 2,411", "/offices 902", "/tour 611"],
        # Without the joined ones.
        "Sources Sessions": ["(direct) 1,210", "www.google.com 611", "news.example 204", "duckduckgo.com 88"],
        "Campaigns Sessions": ["newsletter / email / november 240", "partner.example / banner 61"],
        "Devices Visitors": ["mobile 960", "pc 801", "tablet 92", "other 6"],
    }
    assert links(briefs[0]) == [("More of “Pages by views”", "#pages")]
    others = of_class(tree(page(sample_report(campaigns=[]))), "brief")
    assert [text(each[0]) for each in others][2:] == ["First pages Sessions", "Countries Visitors"]


def test_list_shows_ten_rows_and_opens_the_others() -> None:
    pages = figures(sample_page())["Pages by views"]
    first, others = all_of(pages, "table")
    assert (len(all_of(first, "tr")), len(all_of(others, "tr"))) == (11, 4)
    assert text(all_of(pages, "summary")[0]) == "3 more: Pages by views"
    assert [bar[0].get("width") for bar in of_class(pages, "ray")][:2] == ["100.000%", "79.209%"]


def test_withheld_days_of_a_segment_are_gaps_and_no_zeros() -> None:
    report = sample_report(range={**sample_report()["range"], "where": [["device", "pc"]]})
    report["by_step"][3]["visitors"] = None
    report["by_step"][4]["visitors"] = 0
    shown = figures(page(report))["Visitors by day"]
    assert [each.get("x") for each in of_class(shown, "gap")][1:] == ["12.000%"]
    assert [text(sample) for sample in all_of(shown, "li")] == ["Fewer than 5 visitors"]
    assert [row[1] for row in table(shown)[4:6]] == ["–", "0"]


@pytest.mark.parametrize(
    ("small", "said"),
    [
        (
            {"threshold": 5, "merged": 0},
            "too few as well (0 were). Totals, days and hours may stand for fewer. Made on",
        ),
        ({"threshold": 5, "merged": 1}, "No row of a list stands for fewer than 5 visitors: smaller ones are joined"),
        ({"threshold": 5, "merged": 1}, "too few as well (1 was)."),
        ({"threshold": 5, "merged": 1700}, "too few as well (1,700 were)."),
        ({"threshold": 1, "merged": 0}, "no record is written. Made on 25 November 2026, 14:02 UTC."),
    ],
)
def test_footer_says_how_many_small_groups_were_merged(small: dict[str, int], said: str) -> None:
    (footer,) = all_of(tree(page(sample_report(small_groups={**small, "withheld": False}))), "footer")
    assert said in text(footer)


def test_comparison_is_drawn_behind_and_in_tables() -> None:
    views = figures(page(compared_report()))["Views by day"]
    assert [text(sample) for sample in all_of(views, "li")] == ["Views", "Views, 7 to 31 October 2026"]
    drawn = [path.get("class") for path in views.iter() if path.get("class") in ("outline", "solid")]
    assert drawn[-2:] == ["outline", "solid"]


@pytest.mark.parametrize("length", [20, 50])
def test_earlier_period_of_another_length_is_drawn_as_far_as_it_fits(length: int) -> None:
    report = compared_report()
    report["compare"]["by_step"] = (report["compare"]["by_step"] * 2)[:length]
    rows = table(figures(page(report))["Views by day"])[1:]
    assert [row[2] == "–" for row in rows] == [place >= length for place in range(25)]


@pytest.mark.parametrize(
    ("step", "begins", "head", "names", "note"),
    [
        ("hour", ("2026-11-01T01:00-04:00", "2026-11-01T01:00-05:00", "2026-11-02T00:00+00:00"), "Hour",
         ("Sun, 1 Nov 2026, 01:00 (UTC-04:00)", "Sun, 1 Nov 2026, 01:00 (UTC-05:00)", "Mon, 2 Nov 2026, 00:00 (UTC)"),
         False),
        ("week", ("2026-11-01", "2026-11-02"), "Week from", ("Sun, 1 Nov 2026", "Mon, 2 Nov 2026"), True),
        ("month", ("2026-12-05", "2027-01-01"), "Month", ("December 2026", "January 2027"), True),
    ],
)  # fmt: skip
def test_steps_are_named(step: str, begins: tuple[str, ...], head: str, names: tuple[str, ...], note: bool) -> None:
    steps = [{**sample_report()["by_step"][0], "from": begin} for begin in begins]
    found = figures(page(sample_report(by_step=steps, range={**sample_report()["range"], "step": step})))
    views = found[f"Views by {step}"]
    assert [row[0] for row in table(views)] == [head, *names]
    assert bool(all_of(views, "figcaption")) == note
    assert f"All pages by {step}, recorded or not" in found


# The live page


HERE = "?from=2026-11-01&to=2026-11-25&where="


@pytest.mark.parametrize(
    ("title", "where", "first"),
    [
        ("New and returning visitors", [], [("New", f"{HERE}returning%3Dno"), ("Returning", f"{HERE}returning%3Dyes")]),
        ("From page to page", [], [("/ → /names", f"{HERE}page%3D%2F")]),
        ("First pages of sessions", [], [("/", f"{HERE}entry%3D%2F")]),
        ("Values of events", [], [("order: plan = basic", f"{HERE}property%3Dorder%3Aplan%3Dbasic")]),
        ("Countries, where they are known", [], [("Japan", f"{HERE}country%3DJP")]),
        ("Devices", ["device=pc", "page=/"], [("mobile", f"{HERE}page%3D%2F&where=device%3Dmobile")]),
        ("Missing pages (404), and where visitors came from", [], []),  # not seen in any session
    ],
)  # fmt: skip
def test_rows_of_live_page_filter_by_what_they_name(title: str, where: list[str], first: list[tuple[str, str]]) -> None:
    found = links(figures(live_page({**ASKED, "where": where}, sample_report()))[title])
    assert found[: len(first) or None] == first


def test_row_of_a_campaign_filters_by_all_its_parts() -> None:
    campaigns = links(figures(live_page(ASKED, SAMPLE))["Campaigns: source / medium / name"])
    assert campaigns[1] == ("partner.example / banner", f"{HERE}campaign%3Dpartner.example%26banner%26")


@pytest.mark.parametrize(
    ("where", "path", "is_linked"),
    [
        ([], "/names", True),
        ([], "/names*", False),
        ([], "", False),
        ([], "/" + "n" * 1000, False),
        (["page=/names"], "/names", False),
        (["page=/"], "/names", True),
        ([f"page=/{number}" for number in range(10)], "/names", False),
    ],
)
def test_row_is_linked_if_a_filter_can_choose_it(where: list[str], path: str, is_linked: bool) -> None:
    pages = [{"path": path, "views": 9, "visitors": 9, "median_seconds": None}]
    found = figures(live_page({**ASKED, "where": where}, sample_report(pages=pages)))
    assert bool(links(found["Pages by views"])) == is_linked


def test_live_page_leads_to_common_ranges_and_removes_filters() -> None:
    asked = {**ASKED, "host": "a.example", "compare": "previous", "step": "hour", "where": ["device=pc", "os=iOS"]}
    kept = "&host=a.example&compare=previous&where=device%3Dpc&where=os%3DiOS"
    in_tokyo = {**sample_report()["range"], "generated_at": "2026-11-25T15:02:11.042Z", "time_zone": "Asia/Tokyo"}
    html = live_page(asked, sample_report(range=in_tokyo))
    assert "Days and hours are in Asia/Tokyo." in text_of_class(html, "about")
    ranges, filters, charts = of_class(tree(html), "links")
    assert [name for name, _ in links(ranges)][2:] == ["30 days", "90 days", "12 months", "Without comparison"]
    dates = "?from=2026-11-01&to=2026-11-25&host=a.example"
    assert [to for _, to in links(ranges)][4:] == [
        f"?period=365d{kept}",
        f"{dates}&step=hour&where=device%3Dpc&where=os%3DiOS",
    ]
    assert [name for name, _ in links(charts)] == ["Visitors", "Sessions", "Views"]
    assert links(filters)[0] == ("Remove device pc", f"{dates}&compare=previous&step=hour&where=os%3DiOS")
    alone = links(of_class(tree(live_page(ASKED, sample_report())), "links")[0])
    assert alone[-1] == ("Compare with the time before", "?from=2026-11-01&to=2026-11-25&compare=previous")


@pytest.mark.parametrize(("first", "marked"), [("2026-11-19", ["7 days"]), ("2026-11-18", [])])
def test_range_that_is_shown_is_marked(first: str, marked: list[str]) -> None:
    root = tree(live_page(ASKED, sample_report(range={**sample_report()["range"], "from": first})))
    assert [text(link) for link in root.iter() if link.get("aria-current")] == marked


def test_live_page_form_keeps_the_question() -> None:
    asked = {**ASKED, "to": '"><b>', "host": "a.example", "compare": "year", "step": "week", "where": ['source="x"']}
    root = tree(live_page(asked, None))
    fields = {field.get("name"): field.get("value") for field in all_of(root, "input")}
    fields |= {field.get("name"): selected(field) for field in all_of(root, "select")}
    assert {**fields, "period": ""} == {**asked, "where": 'source="x"'}
    assert [label.get("for") for label in all_of(root, "label")] == ["from", "to", "host", "compare", "step"]
    assert not [meta for meta in all_of(root, "meta") if meta.get("http-equiv")]


def test_live_page_shows_the_error() -> None:
    root = tree(live_page(ASKED, None, "From: write a day like 2026-11-25."))
    assert [text(each) for each in root.iter() if each.get("role") == "alert"] == ["From: write a day like 2026-11-25."]
    assert (text(all_of(root, "title")[0]), all_of(root, "footer")) == ("Report", [])
    assert len(all_of(root, "form")) == 1
    assert all_of(tree(live_page(None, None, "No.")), "form") == []


# Values


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        *[("count", None, "–"), ("count", 0, "0"), ("count", 1234567, "1,234,567"), ("decimal", 1234.56, "1,234.6")],
        *[("percent", None, "–"), ("percent", 0, "0 %"), ("percent", 1, "100 %"), ("percent", 0.43, "43 %")],
        *[("percent", 0.004, "0.4 %"), ("percent", 1e-6, "0.1 %"), ("percent", 0.9999, "99.9 %")],
        *[("percent", 0.995, "99.5 %"), ("percent", 0.01, "1 %"), ("percent", 0.99, "99 %")],
        *[("seconds", 4.21, "4.2 s"), ("seconds", 9.96, "10.0 s"), ("seconds", 42.4, "42 s")],
        ("seconds", 60, "1 min 0 s"),
        *[("seconds", 74, "1 min 14 s"), ("seconds", 3600, "1 h 0 min"), ("seconds", 7500, "2 h 5 min")],
        *[("ms", 0.84, "0.8 ms"), ("ms", 312.2, "312 ms"), ("ms", 1300, "1.3 s"), ("ms", 10, "10 ms")],
        *[("number", 2400.0, "2,400"), ("number", 0.12345, "0.123"), ("number", 10, "10"), ("number", 10.5, "10.5")],
        *[("country", "JP", "Japan"), ("country", "(other)", "(other)"), ("time", "2026-11-01", "1 November 2026")],
        *[("text", "", "–"), ("text", "/ドメイン/é\u3000", "/ドメイン/é\u3000")],
        ("text", "a\u2066b\x7f\x85\u00a0\t", "a\\u2066b\\x7f\\x85\\xa0\\x09"),
    ],
)  # fmt: skip
def test_values_are_formatted_for_people(kind: Any, value: Any, shown: str) -> None:
    assert format_value(kind, value) == shown


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (days("2026-11-01", "2026-11-01"), "1 November 2026"),
        (days("2026-10-26", "2026-11-25"), "26 October to 25 November 2026"),
        (days("2025-11-26", "2026-11-25"), "26 November 2025 to 25 November 2026"),
        (moment("2026-11-25T19:02:11.042Z", "Asia/Tokyo"), "26 November 2026, 04:02 Asia/Tokyo"),
        (short_step("2026-11-01", "day"), "1 Nov"),
        (short_step("2026-11-02T00:00+09:00", "hour"), "2 Nov"),
        (short_step("2026-11-02T13:00+09:00", "hour"), "13:00"),
        (short_step("2026-12-01", "month"), "Dec"),
        (short_step("2027-01-01", "month"), "Jan 2027"),
        (long_step("2026-11-01", "day"), "Sun, 1 Nov 2026"),
    ],
)
def test_times_are_formatted_for_people(said: str, shown: str) -> None:
    assert said == shown


# Charts

NUMBERS = st.none() | st.integers(0, 10**12) | st.floats(0, 10**12)
LABELS = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff"))
STYLES = ("outline", "solid", "line")


def chart(*rows: tuple[Any, ...], kind: Any = "count", styles: tuple[str, ...] = STYLES) -> Element:
    """Return a chart of rows, each with a name and a number for each style."""
    columns = [Column(style, style.title(), kind, style=style) for style in styles]
    figure = Figure("views", "Views", "", (), ())
    numbered = [dict(zip(styles, row[1:], strict=True)) for row in rows]
    names = [row[0] for row in rows]
    drawn = draw_chart(columns, numbered, kind)
    return ElementTree.fromstring(  # noqa: S314 (made by the code that is tested)
        TEMPLATES.get_template("charts.html").module.timeline(Panel(figure, numbered, names, names), drawn)  # type: ignore[attr-defined]
    )


def one_series(style: str, *values: float | None, kind: str = "count") -> Element:
    return chart(*[(f"{place} Nov", value) for place, value in enumerate(values, 1)], kind=kind, styles=(style,))


def paths(drawn: Element, style: str) -> list[str]:
    return [path.get("d", "") for path in of_class(drawn, style)]


@pytest.mark.parametrize(
    ("style", "values", "drawn"),
    [
        ("solid", (10, 40, 20), ["M0.2 100V75H0.8V100ZM1.2 100V0H1.8V100ZM2.2 100V50H2.8V100Z"]),
        ("outline", (40,), ["M0.08 100V0H0.92V100Z"]),
        ("solid", (None, 40, 0), ["M1.2 100V0H1.8V100Z"]),
        ("solid", (None, 0, 0), []),
        ("line", (None, None, None), []),
        ("line", (1, None, 2), ["M0.5 50M2.5 0"]),
        ("line", (1, 2, 0), ["M0.5 50L1.5 0L2.5 100"]),
        ("solid", [1] * 131, ["".join(f"M{n} 100V0H{n + 1}V100Z" for n in range(131))]),
    ],
)
def test_columns_and_lines_show_their_numbers(style: str, values: Any, drawn: list[str]) -> None:
    assert paths(one_series(style, *values), style) == drawn


def test_few_points_of_a_line_are_marked() -> None:
    assert paths(one_series("line", 1, None, 2), "points") == ["M0.5 50h0M2.5 0h0"]
    assert paths(one_series("line", *[1] * 62), "points")
    assert paths(one_series("line", *[1] * 63), "points") == []


def test_description_and_hints_name_the_numbers() -> None:
    drawn = chart(("1 Nov", 10, None, 3), ("2 Nov", 4000, 1200, 3))
    peaks = "Line: at most 3, 1 Nov; Solid: at most 1,200, 2 Nov; Outline: at most 4,000, 2 Nov."
    assert text(drawn[1]) == f"{peaks} The table below has all numbers."
    assert [text(found) for found in of_class(drawn, "hover")] == [
        "1 Nov: line 3, solid –, outline 10",
        "2 Nov: line 3, solid 1,200, outline 4,000",
    ]
    assert len(of_class(one_series("solid", *[1] * 130), "hover")) == 130
    assert of_class(one_series("solid", *[1] * 131), "hover") == []


@pytest.mark.parametrize(
    ("largest", "marks"),
    [
        (0, [0]),
        (1, [0, 1]),
        (3, [0, 1, 2, 3]),
        (40, [0, 10, 20, 30, 40]),
        (41, [0, 20, 40, 60]),
        (999, [0, 500, 1000]),
        (2_451, [0, 1000, 2000, 3000]),
    ],
)
def test_axis_has_round_numbers(largest: int, marks: list[int]) -> None:
    assert choose_marks(largest, 1) == marks


@pytest.mark.parametrize(
    ("kind", "values", "scale"),
    [
        ("count", (0, 7_300_000), ["0", "2M", "4M", "6M", "8M", "1 Nov", "2 Nov"]),
        ("count", (1400,), ["0", "500", "1K", "1.5K", "1 Nov"]),
        ("percent", (0.031, 0.002, None), ["0 %", "1 %", "2 %", "3 %", "4 %", "1 Nov", "2 Nov", "3 Nov"]),
        ("count", [0] * 7, ["0", "1 Nov", "3 Nov", "5 Nov", "7 Nov"]),
        ("count", [0] * 25, ["0", "1 Nov", "6 Nov", "11 Nov", "16 Nov", "21 Nov"]),
    ],
)
def test_axes_are_labelled(kind: str, values: Any, scale: list[str]) -> None:
    assert [text(label) for label in of_class(one_series("line", *values, kind=kind), "scale")] == scale


def test_what_is_not_known_is_a_gap_and_no_zero() -> None:
    gaps = of_class(chart(("1", None, None, None), ("2", None, 40, None), ("3", 3, 0, None)), "gap")
    assert [(gap.get("x"), gap.get("width")) for gap in gaps] == [("0.000%", "33.333%")]
    assert of_class(one_series("line", None, 1, kind="percent"), "gap") == [], "a share of nothing"


def test_parts_of_a_bar_follow_each_other_and_have_a_legend() -> None:
    answers = figures(sample_page())["Consent by language"]
    samples = [(text(sample), sample[0][0].get("class")) for sample in all_of(answers, "li")]
    assert samples == [("Yes to all", "solid"), ("No", "strong"), ("Partly", "hatched"), ("Not answered", "outline")]
    parts = [(part.get("class"), part.get("x"), part.get("width")) for part in of_class(answers, "part")]
    assert parts[:2] == [("part solid", "0.000%", "43.000%"), ("part strong", "43.000%", "31.000%")]
    (yes, *_) = of_class(figures(sample_page())["Consent by device"], "part")
    assert yes.get("width") == "43.000%", "of all who were asked, though other answers have no device"


@example([("day", 5e-324, None, None)])  # its quarter is 0
@given(st.lists(st.tuples(LABELS, NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=200))
def test_any_numbers_make_a_valid_chart(rows: list[tuple[str, Any, Any, Any]]) -> None:
    drawn = chart(*rows)
    assert [name(part) for part in drawn][:2] == ["title", "desc"]
    assert "nan" not in "".join(value for part in drawn.iter() for value in part.attrib.values())
    places = re.findall(r"V(-?[\d.e+]+)H", "".join(paths(drawn, "solid")))
    assert all(0 <= float(place) <= 100 for place in places)
