"""Render a report as one HTML file, for screen and paper, that loads nothing and runs no script."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote_plus, urlencode

from markupsafe import Markup

from cookie_consent.base.clock import time_zone
from cookie_consent.report.figures import OTHER, SECTIONS, Figure, Row
from cookie_consent.report.page.formatting import TEMPLATES, visible
from cookie_consent.report.page.panels import Panel, list_panels, parts_of, show_courses
from cookie_consent.report.question import PREVIOUS, parse_day
from cookie_consent.report.where import MOST_FILTERS, may_repeat, segment_of

_STYLE = (Path(__file__).parent / "report.css").read_text(encoding="utf-8")
STYLE_SOURCE = f"'sha256-{b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'"
"""The source for `style-src` in a Content-Security-Policy: the hash of the page's only style sheet."""
POLICY = f"default-src 'none'; style-src {STYLE_SOURCE}; img-src data:; base-uri 'none'; form-action 'none'"
"""The page's own Content-Security-Policy. No text from a record can load or run anything under it."""
_BRIEFS = (("pages",), ("referrers",), ("campaigns", "entry_pages"), ("countries", "devices"))
"""The lists whose first rows are on the first screen. Of several, the first one that has rows is shown."""
_OPTIONAL = ("success", "places")
"""The sections that are not there without any figure."""

# Safe as Markup: this is a file of the package, not text from a record.
TEMPLATES.globals.update(style=Markup(_STYLE), parts_of=parts_of, other=OTHER)  # noqa: S704
TEMPLATES.globals["short"] = lambda value: f"{value:.2f}".rstrip("0").rstrip(".")

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
    panels = list_panels(report) if report and not report["small_groups"]["withheld"] else []
    return TEMPLATES.get_template("report.html").render(
        policy=policy,
        asked=asked,
        filters=filter_links(asked) if asked else [],
        ranges=range_links(report, asked) if asked and report else [],
        problem=problem,
        report=report,
        courses=show_courses(report) if report and panels else [],
        briefs=[_choose_list(panels, names) for names in _BRIEFS if panels],
        sections=_list_sections(panels),
        link=lambda panel, row: row_link(asked, panel.figure, row),
    )


def _list_sections(panels: Sequence[Panel]) -> list[tuple[str, str, list[Panel]]]:
    """Return the id, the title and the panels of each section."""
    sections = []
    for name, title in SECTIONS.items():
        of_section = [panel for panel in panels if panel.figure.section == name]
        if of_section and (name not in _OPTIONAL or any(not panel.is_empty for panel in of_section)):
            sections.append((name, title, of_section))
    return sections


def _choose_list(panels: Sequence[Panel], names: Sequence[str]) -> Panel:
    by_name = {panel.figure.name: panel for panel in panels}
    return next((by_name[name] for name in names if by_name[name].rows), by_name[names[-1]])


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
