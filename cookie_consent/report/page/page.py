"""Render a report as one HTML file, for screen and paper, that loads nothing and runs no script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote_plus, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from cookie_consent.base.clock import time_zone
from cookie_consent.report.figures import OTHER, SECTIONS, Figure, Row
from cookie_consent.report.page.charts import PATTERNS, strip
from cookie_consent.report.page.formatting import (
    comparison_in_words,
    count,
    days,
    decimal,
    few_visitors,
    left_out,
    may_be_fewer,
    moment,
    percent,
    seconds,
    visible,
)
from cookie_consent.report.page.shown import Shown, show_figures, show_visitors
from cookie_consent.report.question import PREVIOUS, parse_day
from cookie_consent.report.where import MOST_FILTERS, may_repeat, segment_of

_TEMPLATES = Path(__file__).parent
_STYLE = (_TEMPLATES / "report.css").read_text(encoding="utf-8")
STYLE_SOURCE = f"'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""The source for `style-src` in a Content-Security-Policy: the hash of the page's only style sheet."""
POLICY = f"default-src 'none'; style-src {STYLE_SOURCE}; img-src data:; base-uri 'none'; form-action 'none'"
"""The page's own Content-Security-Policy. No text from a record can load or run anything under it."""
_COMPARISONS = (("", "nothing"), ("previous", "the time before"), ("year", "the year before"))
_STEPS = (("", "what fits"), ("hour", "hours"), ("day", "days"), ("week", "weeks"), ("month", "months"))
"""What the form offers: value and text."""
_BRIEFS = (("pages",), ("referrers",), ("campaigns", "entry_pages"), ("countries", "devices"))
"""The lists whose first rows are on the first screen. Of several, the first one that has rows is shown."""
_BRIEF_ROWS = 5
_FIRST_ROWS = 10
"""Rows of a list that are seen in an open section. The others are opened."""
_TITLES = {
    "pages": "Pages",
    "referrers": "Sources",
    "campaigns": "Campaigns",
    "entry_pages": "First pages",
    "countries": "Countries",
    "devices": "Devices",
}
"""The titles of these lists there."""
_NUMBERS = (
    ("Visitors", count, "visitors"),
    ("Sessions", count, "sessions"),
    ("Views", count, "views"),
    ("Views per session", decimal, "views_per_session"),
    ("Bounce rate", percent, "bounce_rate"),
    ("Session, median", seconds, "median"),
)
"""The numbers at the top of the page: name, format and key."""
_NOTHING = "Nothing of this in this time, or of too few visitors."
_FEW = 0.0005
_UNKNOWN = "is not known, and nothing is estimated for the rest."
_OF_GOALS = (
    "A session that reached a goal counts once. The steps of a funnel are taken in their order: sessions count what "
    "was done within one session, visitors what was done over all of theirs."
)
_OF_REQUESTS = (
    "All recorded requests, not only pages. “(no route)” is no route of the site: the missing pages explain it."
)

_environment = Environment(
    loader=FileSystemLoader(_TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
# Safe as Markup: this is a file of the package, not text from a record.
_environment.globals.update(style=Markup(_STYLE), patterns=PATTERNS)  # noqa: S704
_environment.globals.update(comparisons=_COMPARISONS, steps=_STEPS, titles=_TITLES, other=OTHER, nothing=_NOTHING)
_environment.globals.update(first_rows=_FIRST_ROWS, brief_rows=_BRIEF_ROWS)


Asked: TypeAlias = Mapping[str, str | Sequence[str]]
"""The form's values. "where" is a list of filters like "source=google.com"."""
Link: TypeAlias = dict[str, str | bool]
"""The text and the address of a link to another report, and what the template asks about it besides."""
_OF_PATHS = ("page", "entry")
_PERIODS = {"today": "Today", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "12 months"}
"""Period up to today -> its name."""


def page(report: Mapping[str, Any]) -> str:
    """Return a report as an HTML page, to open from a file, mail or print.

    Args:
        report: the result of `cookie_consent.report.report`.
    """
    return _render(POLICY, None, "", report)


def live_page(asked: Asked | None, report: Mapping[str, Any] | None, problem: str = "") -> str:
    """Return a report with a form that asks for another one.

    The page has no Content-Security-Policy of its own: send one as a header.

    Args:
        asked: the form's values: "period", "from", "to", "host", "compare" and "step", and a list of filters, "where",
            each like "source=google.com"; None for no form.
        report: the report; None if there is none.
        problem: why there is none.
    """
    return _render("", asked, problem, report)


def _render(policy: str, asked: Asked | None, problem: str, report: Mapping[str, Any] | None) -> str:
    shown = {} if report is None else _make_context(report, asked)
    return _environment.get_template("report.html").render(
        policy=policy,
        asked=asked,
        filters=filter_links(asked) if asked else [],
        ranges=range_links(report, asked) if asked and report else [],
        problem=problem,
        report=report,
        **shown,
    )


def _make_context(report: Mapping[str, Any], asked: Asked | None) -> dict[str, Any]:
    range_ = report["range"]
    is_withheld = report["small_groups"]["withheld"]
    figures = [] if is_withheld else show_figures(report)
    return {
        "title": f"Visits, {days(range_['from'], range_['to'])}",
        "about": _describe_range(range_),
        "compared": comparison_in_words(report),
        "left_out": left_out(report),
        "numbers": _list_numbers(report),
        "share": few_visitors(report) if is_withheld else _describe_share(report),
        "meter": strip([("solid", report["share"]["share"])]) if report["share"]["share"] is not None else "",
        "main": None if is_withheld else show_visitors(report),
        "briefs": [_choose_list(figures, names) for names in _BRIEFS if figures],
        "sections": _list_sections(report, figures),
        "link": lambda shown, row: row_link(asked, shown.figure, row),
        "small_groups": "" if is_withheld else _describe_small_groups(report),
        "made": moment(range_["generated_at"], range_["time_zone"]),
    }


def _list_sections(report: Mapping[str, Any], figures: Sequence[Shown]) -> list[dict[str, Any]]:
    """Return the sections that have figures: goals and countries are not there without any."""
    notes = {"success": _OF_GOALS, "consent": _describe_consent(report), "answers": _OF_REQUESTS}
    sections = []
    for name, title in SECTIONS.items():
        of_section = [shown for shown in figures if shown.figure.section == name]
        is_used = name not in ("success", "places") or any(not shown.is_empty for shown in of_section)
        if of_section and is_used:
            note = notes.get(name, "")
            sections.append({"id": name, "title": title, "note": note, "figures": of_section})
    return sections


def _choose_list(figures: Sequence[Shown], names: Sequence[str]) -> Shown:
    by_name = {shown.figure.name: shown for shown in figures}
    return next((by_name[name] for name in names if by_name[name].rows), by_name[names[-1]])


def _describe_consent(report: Mapping[str, Any]) -> str:
    """Say what share of the answers is a yes, and of what the counts are."""
    figures = report["consent"]
    said = ["Counts of pages on which the question was asked, not of people: nobody is traced to make them."]
    if figures["granted_of_answers"] is not None:
        share = f"{percent(figures['granted_of_answers'])} of the answers are a yes to all"
        of_all = figures["granted_of_questions"]
        said.insert(0, f"{share}." if of_all is None else f"{share}; {percent(of_all)} of the pages with the question.")
    if report["range"]["where"]:
        said.append("They are of all pages and visitors, also where the report is of some.")
    return " ".join(said)


def _describe_range(range_: Mapping[str, Any]) -> str:
    host = f"The host {visible(range_['host'])}" if range_["host"] else "All hosts"
    filters = ", ".join(f"{key} {visible(value)}" for key, value in range_["where"])
    pages = f"all pages; only sessions with {filters}" if filters else "all pages"
    return f"{host}, {pages}. Days and hours are in {range_['time_zone']}."


def _list_numbers(report: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the numbers at the top: of each its name and value, how it changed, and what it was before."""
    if report["small_groups"]["withheld"]:
        return [_number("Visitors", f"fewer than {report['small_groups']['threshold']}")]
    now = {**report, "median": report["session_seconds"]["median"]}
    before = report["compare"] and {**report["compare"], "median": report["compare"]["session_seconds"]["median"]}
    return [_compare_number(now, before, name, said, key) for name, said, key in _NUMBERS]


def _number(name: str, value: str, change: str = "", earlier: str = "") -> dict[str, str]:
    return {"name": name, "value": value, "change": change, "earlier": earlier}


def _compare_number(
    report: Row, before: Row | None, name: str, said: Callable[[float | None], str], key: str
) -> dict[str, str]:
    now = report[key]
    if not before:
        return _number(name, said(now))
    then = before[key]
    if now is None or then is None:
        return _number(name, said(now), "nothing to compare with")
    is_share = said is percent
    if not then and not is_share:
        return _number(name, said(now), "none before" if now else "none before either")
    change = _describe_change(now, then, is_share=is_share)
    return _number(name, said(now), change or "as before,", f"from {said(then)}" if change else said(then))


def _describe_change(now: float, then: float, *, is_share: bool) -> str:
    """Describe how a number has changed; "" for hardly at all.

    That of a share is in points: a percentage of a percentage would mislead.
    """
    change = now - then if is_share else now / then - 1
    if abs(change) < _FEW:
        return ""
    size = f"{abs(change) * 100:.1f} points" if is_share else percent(abs(change))
    return f"{'up' if change > 0 else 'down'} {size}"


def _describe_share(report: Mapping[str, Any]) -> str:
    """Say what share of all page views has a record."""
    share = report["share"]
    was = report["compare"] and report["compare"]["share"]["share"]
    if report["range"]["where"]:
        return f"All pages that people saw are not counted by session: for which share the records stand {_UNKNOWN}"
    if share["views"] is None:
        return f"There are no counts of all pages that people saw: for which share the records stand {_UNKNOWN}"
    if share["share"] is None:
        return "People saw no pages in this time."
    return (
        f"The records stand for {percent(share['share'])} of {count(share['views'])} pages that people saw; nothing is "
        f"estimated for the rest.{'' if was is None else f' Before, it was {percent(was)}.'}"
    )


def _describe_small_groups(report: Mapping[str, Any]) -> str:
    small = report["small_groups"]
    if small["threshold"] == 1:
        return ""  # no group is too small
    joined = "1 was" if small["merged"] == 1 else f"{count(small['merged'])} were"
    return (
        f"No row of a list stands for fewer than {small['threshold']} visitors: smaller ones are joined into “(other)”,"
        f" or left out where that is too few as well ({joined}). {may_be_fewer(report)}"
    )


# The links of the live page: to other ranges, to a comparison, and those that add and remove filters.


def address_of(asked: Asked, **changes: str | Sequence[str]) -> str:
    """Return the address of the report that a form asks for, with some values changed."""
    fields = {**asked, **changes}
    # A period stays one up to today whenever the address is opened.
    left_out = ("from", "to") if fields["period"] else ()
    return "?" + urlencode(
        {name: value for name, value in fields.items() if value and name not in left_out}, doseq=True
    )


def filter_links(asked: Asked) -> list[Link]:
    """Return a link for each filter of a report, that removes it, and the value of the filter."""
    where = list(asked["where"])
    links: list[Link] = []
    for place, text in enumerate(where):
        address = address_of(asked, where=where[:place] + where[place + 1 :])
        links.append({"text": visible(text.replace("=", " ", 1)), "address": address, "value": text})
    return links


def range_links(report: Mapping[str, Any], asked: Asked) -> list[Link]:
    """Return links to common ranges up to the day of the report, and to a comparison; with the filters it has."""
    made = datetime.fromisoformat(report["range"]["generated_at"])
    today = made.astimezone(time_zone(report["range"]["time_zone"])).date()
    shown = (report["range"]["from"], report["range"]["to"])
    links: list[Link] = []
    for period, name in _PERIODS.items():
        is_shown = shown == (parse_day(period, today).isoformat(), today.isoformat())
        # The step is left out: it may be too small for another range.
        links.append({"text": name, "address": address_of(asked, period=period, step=""), "is_shown": is_shown})
    text = "Without comparison" if asked["compare"] else "Compare with the time before"
    address = address_of(asked, compare="" if asked["compare"] else PREVIOUS)
    return [*links, {"text": text, "address": address, "is_shown": False}]


def row_link(asked: Asked | None, figure: Figure, row: Row) -> str:
    """Return the address of the report of a row alone; "" if there is none, or if it is this report."""
    if asked is None or not figure.filter or row[figure.other or figure.names[0].key] == OTHER:
        return ""
    key = figure.filter
    value = _value_of(figure, row)
    where = [text for text in asked["where"] if may_repeat(key) or text.partition("=")[0] != key]
    text = f"{key}={value}"
    if text in asked["where"] or len(where) >= MOST_FILTERS or not _is_filter(key, value):
        return ""
    return address_of(asked, where=[*where, text])


def _value_of(figure: Figure, row: Row) -> str:
    if figure.filter == "returning":
        return "yes" if row["name"] == "Returning" else "no"
    if figure.is_encoded:
        return "&".join(quote_plus(row[column.key] or "") for column in figure.names)
    if figure.filter == "property":
        return f"{row['event']}:{row['property']}={row['value']}"
    return str(row[figure.names[0].key])


def _is_filter(key: str, value: str) -> bool:
    """Tell whether a filter chooses the row with this value: not of a path that is too long, or that ends in a *."""
    try:
        segment_of([(key, value)])
    except ValueError:
        return False
    return not (key in _OF_PATHS and value.endswith("*"))
