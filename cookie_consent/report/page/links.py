"""The links of the live page: to other ranges, to a comparison, and those that add and remove filters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import quote_plus, urlencode

from cookie_consent.base.clock import time_zone
from cookie_consent.report.figures import Figure, Row
from cookie_consent.report.lists import OTHER
from cookie_consent.report.page.formatting import visible
from cookie_consent.report.question import PREVIOUS, parse_day
from cookie_consent.report.where import MOST_FILTERS, may_repeat, segment_of

Asked: TypeAlias = Mapping[str, str | Sequence[str]]
"""The form's values. "where" is a list of filters like "source=google.com"."""
_OF_PATHS = ("page", "entry")
_PERIODS = {"today": "Today", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "12 months"}
"""Period up to today -> its name."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link to another report.

    Args:
        text: its text.
        address: the address of the report.
        is_shown: whether it is the report that is shown.
        value: of a filter that the link removes, the filter.
    """

    text: str
    address: str
    is_shown: bool = False
    value: str = ""


def address_of(asked: Asked, **changes: str | Sequence[str]) -> str:
    """Return the address of the report that a form asks for, with some values changed."""
    fields = {**asked, **changes}
    # A period stays one up to today whenever the address is opened.
    left_out = ("from", "to") if fields["period"] else ()
    return "?" + urlencode(
        {name: value for name, value in fields.items() if value and name not in left_out}, doseq=True
    )


def filter_links(asked: Asked) -> list[Link]:
    """Return a link for each filter of a report, that removes it."""
    where = list(asked["where"])
    return [
        Link(
            visible(text.replace("=", " ", 1)), address_of(asked, where=where[:place] + where[place + 1 :]), value=text
        )
        for place, text in enumerate(where)
    ]


def range_links(report: Mapping[str, Any], asked: Asked) -> list[Link]:
    """Return links to common ranges up to the day of the report, and to a comparison; with the filters it has."""
    made = datetime.fromisoformat(report["range"]["generated_at"])
    today = made.astimezone(time_zone(report["range"]["time_zone"])).date()
    shown = (report["range"]["from"], report["range"]["to"])
    links = []
    for period, name in _PERIODS.items():
        is_shown = shown == (parse_day(period, today).isoformat(), today.isoformat())
        # The step is left out: it may be too small for another range.
        links.append(Link(name, address_of(asked, period=period, step=""), is_shown))
    if asked["compare"]:
        return [*links, Link("Without comparison", address_of(asked, compare=""))]
    return [*links, Link("Compare with the time before", address_of(asked, compare=PREVIOUS))]


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
