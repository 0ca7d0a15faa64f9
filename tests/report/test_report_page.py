"""Tests of the report's page: its texts, tables and charts, and that it loads and runs nothing."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import date, timedelta
from functools import cache, lru_cache
from typing import Any
from xml.etree.ElementTree import Element

import html5lib
import pytest

from cookie_consent.report.figures import FIGURES as FIGURE_ROWS
from cookie_consent.report.figures import SECTIONS
from cookie_consent.report.page.formatting import (
    day,
    days,
    decimal,
    long_step,
    milliseconds,
    moment,
    percent,
    seconds,
    short_step,
    visible,
)
from cookie_consent.report.page.page import POLICY, STYLE_SOURCE, live_page, page
from cookie_consent.report.page.shown import show_figures
from tests.support.report_sample import compared_report, empty_report, sample_report

FIGURES = 1 + sum(not shown.is_empty for shown in show_figures(sample_report()))
"""The chart at the top, and the figures of the sections that have something."""
HOSTILE = "<script>alert(1)</script>\"'&<b onclick=x>{{ 7 * 7 }}\u202eevil\x07\ud800"
SHOWN = "<script>alert(1)</script>\"'&<b onclick=x>{{ 7 * 7 }}\\u202eevil\\x07\\ud800"
COHORTS = "New visitors by week (from Monday), and how many came again in the weeks after"
LONG = "/" + "very-long-" * 100


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


def text(element: Element) -> str:
    return " ".join("".join(element.itertext()).split())


def first(root: Element, **attributes: str) -> Element:
    return next(element for element in root.iter() if attributes.items() <= dict(element.attrib).items())


def text_of_class(html: str, kind: str) -> str:
    return text(first(tree(html), **{"class": kind}))


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
    found = first(tree(html), **{"class": "numbers"})
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


@pytest.mark.slow
def test_page_has_every_figure() -> None:
    titles = list(figures(sample_page()))
    assert len(titles) == len(set(titles)) == FIGURES
    assert titles[:5] == [
        "Visitors by day",
        "Views by day",
        "Sessions by day",
        "All pages by day, recorded or not",
        "By hour of the day",
    ]


@pytest.mark.slow
def test_each_figure_is_a_table_and_each_chart_has_one_below() -> None:
    found = figures(sample_page())
    for title, figure in found.items():
        order = [name(child) for child in figure if name(child) in ("svg", "details", "table")]
        assert order in (["svg", "details"], ["svg", "svg", "details"], ["table"], ["table", "details"]), title
        for picture in (child for child in figure if name(child) == "svg"):
            assert (picture.get("role"), text(picture[0])) == ("img", title)
            assert "The table below has all numbers." in text(picture[1])
        assert {each.get("aria-labelledby") for each in all_of(figure, "table")} == {all_of(figure, "h3")[0].get("id")}
        assert {cell.get("scope") for cell in all_of(figure, "th")} == {"col", "row"}
        width = {len(row) for row in table(figure)}
        assert len(width) == 1, title
    assert len([figure for figure in found.values() if figure.find("{http://www.w3.org/2000/svg}svg") is not None]) > 5


def test_sections_are_closed_and_name_their_figures() -> None:
    root = tree(sample_page())
    parts = [element for element in root.iter() if element.get("class") == "section"]
    assert [text(all_of(part, "h2")[0]) for part in parts] == [*SECTIONS.values()]
    for part in parts:
        assert (name(part), part.get("open")) == ("details", None)
        titles = [text(title) for title in all_of(part, "h3")]
        assert text(part[0][1]).split(" · ") == titles


def test_each_row_of_figures_is_shown() -> None:
    shown = {each.figure.name.partition("-")[0] for each in show_figures(sample_report())}
    assert {figure.name for figure in FIGURE_ROWS} - shown == {"by_day", "by_step"}
    assert {"views", "sessions", "share"} <= shown, "the columns of the steps"


def test_list_shows_ten_rows_and_opens_the_others() -> None:
    pages = figures(sample_page())["Pages by views"]
    first, others = all_of(pages, "table")
    assert (len(all_of(first, "tr")), len(all_of(others, "tr"))) == (11, 4)
    assert text(all_of(pages, "summary")[0]) == "3 more: Pages by views"
    assert table(pages)[6] == ["/whois/terms", "540", "377", "–"]


def test_funnel_goals_and_refusals_are_shares_too() -> None:
    found = figures(sample_page())
    assert [row[-1] for row in table(found["Funnel buy, by sessions"])] == ["Of the first step", "100 %", "10 %"]
    assert table(found["order, by day"])[1] == ["Sun, 1 Nov 2026", "12", "90", "13 %"]
    answers = table(found["Asked and answered by day"])
    assert answers[0][-2:] == ["Yes, of answers", "No, of answers"]
    assert answers[1][-2:] == ["55 %", "40 %"]
    for title in ("order, by day", "Asked and answered by day"):
        assert len([child for child in found[title] if name(child) == "svg"]) == 2


def test_withheld_days_of_a_segment_are_gaps_and_no_zeros() -> None:
    report = sample_report(range={**sample_report()["range"], "where": [["device", "pc"]]})
    for key in ("visitors", "sessions", "views"):
        report["by_step"][3][key] = None
    report["by_step"][4]["visitors"] = 0
    shown = figures(page(report))["Visitors by day"]
    assert [each.get("x") for each in shown.iter() if each.get("class") == "gap"][1:] == ["12.000%"]
    assert [text(sample) for sample in all_of(shown, "li")] == ["Fewer than 5 visitors"]
    assert [row[1] for row in table(shown)[4:6]] == ["–", "0"]


@pytest.mark.slow
def test_ids_are_unique_and_references_resolve() -> None:
    root = tree(page(compared_report()))
    ids = [found for element in root.iter() if (found := element.get("id"))]
    assert len(ids) == len(set(ids))
    references = [
        found
        for element in root.iter()
        for key in ("aria-labelledby", "aria-describedby")
        if (found := element.get(key))
    ]
    links = [(link.get("href") or "").removeprefix("#") for link in all_of(root, "a")]
    assert set(references) | set(links) <= set(ids)


@pytest.mark.slow
def test_page_loads_and_runs_nothing() -> None:
    for report in (compared_report(), empty_report(), with_text_everywhere(HOSTILE)):
        root = tree(page(report))
        for element in root.iter():
            assert name(element) not in {"script", "img", "iframe", "object", "base", "form"}
            for key, value in element.attrib.items():
                assert key != "style"
                assert not key.startswith("on")
                assert key not in ("href", "src") or value.startswith("#") or value == "data:,"
        assert len(all_of(root, "style")) == 1
        assert "@import" not in (all_of(root, "style")[0].text or "")


@pytest.mark.slow
def test_content_security_policy_allows_only_the_style_of_the_page() -> None:
    html = sample_page()
    (style,) = re.findall(r"<style>(.*?)</style>", html, re.DOTALL)
    assert f"'sha256-{b64encode(hashlib.sha256(style.encode()).digest()).decode()}'" == STYLE_SOURCE
    meta = first(tree(html), **{"http-equiv": "Content-Security-Policy"})
    assert meta.get("content") == POLICY
    others = ["default-src 'none'", "img-src data:", "base-uri 'none'", "form-action 'none'"]
    assert sorted(POLICY.split("; ")) == sorted([*others, f"style-src {STYLE_SOURCE}"])


@pytest.mark.slow
def test_hostile_text_is_escaped_and_invisible_characters_are_shown() -> None:
    html = page(with_text_everywhere(HOSTILE))
    assert html.encode("utf-8")
    assert not set("\u202e\x07\ud800") & set(html)
    found = figures(html)
    assert table(found["Pages by views"])[1][0] == SHOWN
    assert table(found["Campaigns: source / medium / name"])[1][0] == " / ".join([SHOWN] * 3)
    assert SHOWN in text_of_class(html, "about")
    assert "49" not in table(found["Devices"])[1][0]


@pytest.mark.slow
def test_page_says_which_share_of_views_is_recorded() -> None:
    said = text_of_class(sample_page(), "share")
    assert said == ("The records stand for 44 % of 33,042 pages that people saw; nothing is estimated for the rest.")
    before = text_of_class(page(compared_report()), "share")
    assert before.endswith("estimated for the rest. Before, it was 40 %.")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"share": {"views_recorded": None, "views": None, "share": None}},
            "There are no counts of all pages that people saw: for which share the records stand is not known, and "
            "nothing is estimated for the rest.",
        ),
        ({"share": {"views_recorded": 0, "views": 0, "share": None}}, "People saw no pages in this time."),
        (
            {"range": {**sample_report()["range"], "where": [["page", "/names"]]}},
            "All pages that people saw are not counted by session: for which share the records stand is not known, and "
            "nothing is estimated for the rest.",
        ),
    ],
)
@pytest.mark.slow
def test_page_says_why_it_gives_no_share(changes: dict[str, Any], said: str) -> None:
    assert text_of_class(page(sample_report(**changes)), "share") == said


@pytest.mark.slow
def test_share_table_shows_recorded_and_all_views() -> None:
    title = "All pages by day, recorded or not"
    shares = figures(sample_page())[title]
    assert table(shares)[:2] == [
        ["Day", "Pages with a record", "All pages that people saw", "Share recorded"],
        ["Sun, 1 Nov 2026", "240", "552", "43 %"],
    ]
    days = sample_report()["by_day"]
    uncounted = dict.fromkeys(("all_views_recorded", "all_views"))
    shares = figures(page(sample_report(by_day=[{**days[0], **uncounted}, *days[1:]])))[title]
    assert table(shares)[1] == ["Sun, 1 Nov 2026", "–", "–", "–"]
    assert title not in figures(page(sample_report(range={**sample_report()["range"], "where": [["page", "/names"]]})))


@pytest.mark.slow
def test_views_told_by_scripts_do_not_change_share_of_day() -> None:
    (day, *others) = sample_report()["by_day"]
    found = figures(page(sample_report(by_day=[{**day, "views": 9 * day["all_views"]}, *others])))
    assert table(found["Views by day"])[:2] == [["Day", "Views"], ["Sun, 1 Nov 2026", "4,968"]]
    assert table(found["All pages by day, recorded or not"])[1] == ["Sun, 1 Nov 2026", "240", "552", "43 %"]


@pytest.mark.slow
def test_page_starts_with_the_totals() -> None:
    assert numbers(sample_page()) == {
        "Visitors": ["2,066"],
        "Sessions": ["2,416"],
        "Views": ["14,556"],
        "Views per session": ["6.0"],
        "Bounce rate": ["41 %"],
        "Session, median": ["1 min 14 s"],
    }


@pytest.mark.slow
def test_totals_show_change_since_the_days_before() -> None:
    html = page(compared_report())
    assert {key: said[1] for key, said in numbers(html).items()} == {
        "Visitors": "up 25 % from 1,650",
        "Sessions": "up 11 % from 2,171",
        "Views": "up 32 % from 11,000",
        "Views per session": "up 19 % from 5.1",
        "Bounce rate": "down 2.7 points from 44 %",
        "Session, median": "up 21 % from 1 min 1 s",
    }
    assert "Compared with 7 to 31 October 2026." in text_of_class(html, "about")


@pytest.mark.parametrize(
    ("changes", "visitors", "bounces"),
    [
        ({"visitors": 1650, "bounce_rate": 0.44}, "as before, 1,650", "as before, 44 %"),
        ({"visitors": 825, "bounce_rate": 0.5}, "down 50 % from 1,650", "up 6.0 points from 44 %"),
        ({"bounce_rate": None}, "up 25 % from 1,650", "nothing to compare with"),
    ],
)
@pytest.mark.slow
def test_change_is_shown_in_words(changes: dict[str, Any], visitors: str, bounces: str) -> None:
    said = numbers(page(compared_report(**changes)))
    assert (said["Visitors"][1], said["Bounce rate"][1]) == (visitors, bounces)


@pytest.mark.slow
def test_change_from_zero_has_no_percentage() -> None:
    nothing = {**compared_report()["compare"], "views": 0, "views_per_session": None}
    said = numbers(page(compared_report(compare=nothing)))
    assert (said["Views"][1], said["Views per session"][1]) == ("none before", "nothing to compare with")
    assert numbers(page(compared_report(compare=nothing, views=0)))["Views"] == ["0", "none before either"]


def test_figures_without_data_are_named() -> None:
    html = page(empty_report())
    found = figures(html)
    assert list(found) == ["Visitors by day"]
    assert text(found["Visitors by day"]).endswith("Nothing of this in this time, or of too few visitors.")
    said = [text(element) for element in tree(html).iter() if element.get("class") == "nothing"]
    lists, parts = said[1:5], said[5:]
    assert lists == ["Nothing of this in this time, or of too few visitors."] * 4
    assert parts[0] == (
        "Nothing in this time, or of too few visitors: Views by day; Sessions by day; All pages by day, recorded or "
        "not; By hour of the day."
    )
    assert len(parts) == len(SECTIONS) - 2, "no goals and no countries"
    assert [said[0] for said in numbers(html).values()] == ["0", "0", "0", "–", "–", "–"]


def brief_lists(html: str) -> dict[str, list[str]]:
    """Return the texts of the lists on the first screen, by their headings."""
    lists = [element for element in tree(html).iter() if element.get("class") == "brief"]
    return {text(each[0]): [text(row) for row in all_of(each, "li")] for each in lists}


def test_first_screen_has_four_lists_of_five_rows() -> None:
    assert brief_lists(page(sample_report(countries=[]))) == {
        "Pages Views": ["/ 3,920", "/names 3,105", "/whois 2,411", "/offices 902", "/tour 611"],
        # Without the joined ones.
        "Sources Sessions": ["(direct) 1,210", "www.google.com 611", "news.example 204", "duckduckgo.com 88"],
        "Campaigns Sessions": ["newsletter / email / november 240", "partner.example / banner 61"],
        "Devices Visitors": ["mobile 960", "pc 801", "tablet 92", "other 6"],
    }


def test_first_screen_has_first_pages_if_there_are_no_campaigns_and_countries_if_they_are_known() -> None:
    assert list(brief_lists(page(sample_report(campaigns=[]))))[2:] == ["First pages Sessions", "Countries Visitors"]


def test_lists_on_first_screen_lead_to_the_whole_ones() -> None:
    root = tree(sample_page())
    lists = [element for element in root.iter() if element.get("class") == "brief"]
    links = [(link.get("href"), text(link)) for each in lists for link in all_of(each, "a")]
    assert links[0] == ("#pages", "More of “Pages by views”")
    assert [to for to, _ in links] == ["#pages", "#referrers", "#campaigns", "#countries"]


def test_rows_of_live_page_filter_by_page_and_by_kind_of_visitor() -> None:
    asked = {"from": "2026-11-01", "to": "2026-11-25", "host": "", "compare": "", "step": "", "period": "", "where": []}
    html = live_page(asked, sample_report())
    days = "?from=2026-11-01&to=2026-11-25&where="
    found = figures(html)

    def links(title: str) -> list[str | None]:
        return [link.get("href") for link in all_of(found[title], "a")]

    assert links("New and returning visitors") == [f"{days}returning%3Dno", f"{days}returning%3Dyes"]
    assert links("Slow pages") == [f"{days}page%3D%2Fwhois", f"{days}page%3D%2F"]
    assert links("From page to page") == [f"{days}page%3D%2F", f"{days}page%3D%2Fnames"]
    # A page that is missing was not seen in any session.
    assert links("Missing pages (404), and where visitors came from") == []
    briefs = [element for element in tree(html).iter() if element.get("class") == "brief"]
    assert all_of(briefs[3], "a")[0].get("href") == f"{days}country%3DJP"


def test_live_page_leads_to_common_ranges() -> None:
    asked = {"period": "", "from": "2026-11-01", "to": "2026-11-25", "host": "a.example", "compare": "previous",
             "step": "hour", "where": ["device=pc"]}  # fmt: skip
    kept = "&host=a.example&compare=previous&where=device%3Dpc"
    in_tokyo = {**sample_report()["range"], "generated_at": "2026-11-25T15:02:11.042Z", "time_zone": "Asia/Tokyo"}
    links = {
        text(link): link.get("href")
        for link in all_of(
            first(tree(live_page(asked, sample_report(range=in_tokyo))), **{"aria-label": "Ranges and comparison"}), "a"
        )
    }
    assert list(links) == ["Today", "7 days", "30 days", "90 days", "12 months", "Without comparison"]
    assert links["Today"] == f"?period=today{kept}"
    alone = "?from=2026-11-01&to=2026-11-25&host=a.example&step=hour&where=device%3Dpc"
    assert links["Without comparison"] == alone
    compared = live_page({**asked, "compare": ""}, sample_report())
    assert "compare=previous" in compared.partition("Compare with the time before")[0].rpartition("<a")[2]
    assert links["12 months"] == f"?period=365d{kept}"


def test_range_that_is_shown_is_marked() -> None:
    asked = {"from": "2026-11-19", "to": "2026-11-25", "host": "", "compare": "", "step": "", "period": "", "where": []}
    week = {**sample_report()["range"], "from": "2026-11-19", "to": "2026-11-25"}
    root = tree(live_page(asked, sample_report(range=week)))
    assert [text(link) for link in root.iter() if link.get("aria-current")] == ["7 days"]


@pytest.mark.each_value(at_most=2)
@pytest.mark.parametrize("length", [1, 400, 3661])
@pytest.mark.slow
def test_range_of_any_length_is_drawn(length: int) -> None:
    begin = date(2020, 1, 1)
    by_day = [
        {
            "day": (begin + timedelta(n)).isoformat(),
            "visitors": n % 7,
            "sessions": n % 9,
            "views": n,
            "all_views_recorded": n,
            "all_views": 2 * n,
        }
        for n in range(1, length + 1)
    ]
    views = figures(page(sample_report(by_day=by_day)))["Views by day"]
    assert len(table(views)) == length + 1
    assert not [element for element in views.iter() if element.get("class") == "hover"] or length == 1


@pytest.mark.slow
def test_campaign_row_joins_source_medium_and_name() -> None:
    campaigns = figures(sample_page())["Campaigns: source / medium / name"]
    assert [row[0] for row in table(campaigns)[1:]] == [
        "newsletter / email / november",
        "partner.example / banner",
        "(other)",
    ]


@pytest.mark.slow
def test_page_shows_counts_of_consent_answers() -> None:
    found = figures(sample_page())
    assert table(found["What was answered"]) == [
        [
            "Pages",
            "Asked",
            "Yes to all",
            "No",
            "Partly",
            "Not answered",
            "Taken back",
            "Changes of an earlier answer",
            "Refused by the browser's signal",
            "Yes, of answers",
            "Yes, of questions",
        ],
        ["All pages with the question", "6,598", "2,824", "2,032", "319", "1,423", "44", "0", "460", "55 %", "43 %"],
    ]
    assert len(table(found["Asked and answered by day"])) == 26
    assert table(found["Visits that began with the question"]) == [
        [
            *("Visits", "Asked", "Answered on the first page", "Answered later", "Ignored"),
            "Settings opened",
        ],
        ["Visits that began with it", "5,498", "2,587", "2,588", "323", "164"],
    ]
    assert table(found["Consent by purpose"])[1] == ["analytics", "5,100", "2,193", "1,581", "42", "0", "1,071", "54 %"]
    assert "55 % of the answers are a yes to all; 43 % of the pages with the question." in sample_page()
    assert "of all pages and visitors" not in sample_page()
    assert "They are of all pages and visitors" in page(
        sample_report(range={**sample_report()["range"], "where": [["page", "/names"]]})
    )


@pytest.mark.parametrize(
    ("merged", "said"),
    [
        (0, "too few as well (0 were)."),
        (1, "too few as well (1 was)."),
        (1700, "too few as well (1,700 were)."),
    ],
)
@pytest.mark.slow
def test_footer_says_how_many_small_groups_were_merged(merged: int, said: str) -> None:
    footer = all_of(
        tree(page(sample_report(small_groups={"threshold": 5, "merged": merged, "withheld": False}))), "footer"
    )[0]
    assert "No row of a list stands for fewer than 5 visitors: " in text(footer)
    assert f"{said} Totals, days and hours may stand for fewer." in text(footer)
    assert "Made on 25 November 2026, 14:02 UTC." in text(footer)


@pytest.mark.slow
def test_footer_does_not_speak_of_small_groups_if_none_are_merged() -> None:
    footer = all_of(tree(page(sample_report(small_groups={"threshold": 1, "merged": 0, "withheld": False}))), "footer")[
        0
    ]
    assert "fewer than" not in text(footer)
    assert "no record is written. Made on" in text(footer)


@pytest.mark.slow
def test_live_page_form_keeps_the_question() -> None:
    asked = {
        "from": "2026-11-01",
        "to": '"><b>',
        "host": "a.example",
        "compare": "year",
        "step": "week",
        "period": "",
        "where": ['source="x"'],
    }
    root = tree(live_page(asked, None))
    fields = {field.get("name"): field.get("value") for field in all_of(root, "input")}
    fields |= {field.get("name"): selected(field) for field in all_of(root, "select")}
    assert {**fields, "period": ""} == {**asked, "where": 'source="x"'}
    assert [label.get("for") for label in all_of(root, "label")] == ["from", "to", "host", "compare", "step"]
    assert not [meta for meta in all_of(root, "meta") if meta.get("http-equiv")]


def test_live_page_shows_the_error() -> None:
    asked = {"from": "", "to": "", "host": "", "compare": "", "step": "", "period": "", "where": ()}
    root = tree(live_page(asked, None, "From: write a day like 2026-11-25."))
    assert text(first(root, role="alert")) == "From: write a day like 2026-11-25."
    assert [selected(field) for field in all_of(root, "select")] == ["", ""]
    assert (text(all_of(root, "title")[0]), all_of(root, "nav"), all_of(root, "footer")) == ("Report", [], [])
    assert all_of(tree(live_page(None, None, "No.")), "form") == []


def formatted_values() -> Iterator[tuple[str, str]]:
    """Pairs of a formatted value and what it should be."""
    yield from zip(map(percent, (None, 0, 1, 0.43, 0.004, 0.000001, 0.9999, 0.995)), PERCENT, strict=True)
    yield from zip(map(seconds, (None, 4.21, 9.96, 42.4, 74, 3600, 7500)), SECONDS, strict=True)
    yield from zip(map(milliseconds, (None, 0.84, 312.2, 1300)), MILLISECONDS, strict=True)
    yield from zip(map(decimal, (None, 6.02, 1234.56)), ("–", "6.0", "1,234.6"), strict=True)
    yield days("2026-11-01", "2026-11-01"), "1 November 2026"
    yield days("2026-11-01", "2026-11-25"), "1 to 25 November 2026"
    yield days("2026-10-26", "2026-11-25"), "26 October to 25 November 2026"
    yield days("2025-12-26", "2026-01-25"), "26 December 2025 to 25 January 2026"
    yield day("2026-11-01"), "1 November 2026"
    yield short_step("2026-11-01", "day"), "1 Nov"
    yield long_step("2026-11-01", "day"), "Sun, 1 Nov 2026"
    yield moment("2026-11-25T09:02:11.042Z", "UTC"), "25 November 2026, 09:02 UTC"
    yield moment("2026-11-25T19:02:11.042Z", "Asia/Tokyo"), "26 November 2026, 04:02 Asia/Tokyo"
    yield visible(""), "–"
    yield visible("a\u2066b\x7f\x85\u00a0\t"), "a\\u2066b\\x7f\\x85\\xa0\\x09"
    yield visible("/ドメイン/é"), "/ドメイン/é"


PERCENT = ("–", "0 %", "100 %", "43 %", "0.4 %", "0.1 %", "99.9 %", "99.5 %")
SECONDS = ("–", "4.2 s", "10.0 s", "42 s", "1 min 14 s", "1 h 0 min", "2 h 5 min")
MILLISECONDS = ("–", "0.8 ms", "312 ms", "1.3 s")


def test_values_are_formatted_for_people() -> None:
    assert [shown for shown, _ in formatted_values()] == [expected for _, expected in formatted_values()]


def test_page_names_the_time_zone() -> None:
    in_tokyo = page(sample_report(range={**sample_report()["range"], "time_zone": "Asia/Tokyo"}))
    assert "Days and hours are in Asia/Tokyo." in in_tokyo
    assert "Days and hours are in UTC." in sample_page()


def test_comparison_is_drawn_behind_and_in_tables() -> None:
    found = figures(page(compared_report()))
    views = found["Views by day"]
    assert [text(sample) for sample in all_of(views, "li")] == ["Views", "Views, 7 to 31 October 2026"]
    assert table(views)[0] == ["Day", "Views", "Views, 7 to 31 October 2026"]
    drawn = [path.get("class") for path in views.iter() if path.get("class") in ("outline", "solid")]
    assert drawn[-2:] == ["outline", "solid"]
    assert table(found["Pages by views"])[0][:4] == ["Page", "Views", "Views before", "Visitors"]
    assert table(found["Pages by views"])[5][2] == "–"


def test_longer_and_shorter_earlier_period_is_drawn_as_far_as_it_fits() -> None:
    full = compared_report()
    for steps in (full["compare"]["by_step"][:20], full["compare"]["by_step"] * 2):
        rows = table(figures(page({**full, "compare": {**full["compare"], "by_step": steps}}))["Views by day"])
        assert len(rows) == 26
        assert [row[2] == "–" for row in rows[1:]] == [place >= len(steps) for place in range(25)]


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
    day = sample_report()["by_step"][0]
    steps = [{**day, "from": begin} for begin in begins]
    range_ = {**sample_report()["range"], "step": step}
    found = figures(page(sample_report(by_step=steps, range=range_)))
    views = found[f"Views by {step}"]
    assert [row[0] for row in table(views)] == [head, *names]
    assert bool(all_of(views, "figcaption")) == note
    assert f"All pages by {step}, recorded or not" in found


def test_axis_of_hours_shows_the_day_at_midnight() -> None:
    assert [short_step(time, "hour") for time in ("2026-11-02T00:00+09:00", "2026-11-02T13:00+09:00")] == [
        "2 Nov",
        "13:00",
    ]


def test_cohorts_are_a_table_of_eight_weeks_at_most() -> None:
    weeks = [f"week_{number}" for number in range(1, 60)]
    cohorts = [{"week": "2026-11-02", "visitors": 40, **dict.fromkeys(weeks, 10)}]
    shown = figures(page(sample_report(retention=cohorts)))[COHORTS]
    assert table(shown)[1] == ["2 November 2026", "40", *["25 %"] * 8]


def test_lines_do_not_cut_columns() -> None:
    hours = figures(sample_page())["By hour of the day"]
    assert not [path for path in hours.iter() if path.get("class") == "halo"]
