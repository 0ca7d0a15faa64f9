"""The links of the live page: to other ranges, to a comparison, and those that add and remove filters."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeAlias
from urllib.parse import quote_plus, urlencode

from cookie_consent.base.clock import time_zone
from cookie_consent.report.lists import OTHER
from cookie_consent.report.page.figures import Figure, Line
from cookie_consent.report.page.formatting import is_seen, visible
from cookie_consent.report.page.sections import Section
from cookie_consent.report.question import PREVIOUS, parse_day
from cookie_consent.report.where import MOST_FILTERS, may_repeat, segment_of

Asked: TypeAlias = Mapping[str, str | Sequence[str]]
"""The form's values. "where" is a list of filters like "source=google.com"."""


@dataclass(frozen=True, slots=True)
class ActiveFilter:
    """A filter that the report has.

    Args:
        text: what it is, like "source=google.com".
        shown: the same for people.
        without: the address of the report without it.
    """

    text: str
    shown: str
    without: str


def active_filters(asked: Asked) -> list[ActiveFilter]:
    """Return the filters of a report."""
    where = _where(asked)
    return [
        ActiveFilter(text, visible(text.replace("=", " ", 1)), _address(asked, where[:number] + where[number + 1 :]))
        for number, text in enumerate(where)
    ]


def with_links(sections: Sequence[Section], asked: Asked) -> list[Section]:
    """Return the sections with a link in each row by which a report can be filtered.

    Args:
        sections: the sections of a report.
        asked: the values of the form that asked for it.
    """
    return [
        replace(section, figures=[_with_links(figure, asked) for figure in section.figures]) for section in sections
    ]


def _with_links(figure: Figure, asked: Asked) -> Figure:
    if figure.id not in _FILTERED:
        return figure
    key, value = _FILTERED[figure.id]
    return replace(figure, links=[_link(asked, key, value(row)) for row in figure.lines])


def _link(asked: Asked, key: str, value: str) -> str:
    """Return the address of the report of a row alone; "" if there is none, or if it is this report."""
    where, text = _where(asked), f"{key}={value}"
    if not may_repeat(key):
        where = [other for other in where if other.partition("=")[0] != key]
    is_possible = value != OTHER and len(where) < MOST_FILTERS and _is_filter(key, value)
    return _address(asked, [*where, text]) if is_possible and text not in _where(asked) else ""


def _is_filter(key: str, value: str) -> bool:
    """Tell whether a filter chooses the row with this value: not of a path that is too long, or that ends in a *."""
    is_pattern = key in _OF_PATHS and value.endswith("*")
    try:
        segment_of([(key, value)])
    except ValueError:
        return False
    return all(map(is_seen, value)) and not is_pattern


def address_of(asked: Asked) -> str:
    """Return the address of the report that a form asks for."""
    left_out = ("where", "from", "to") if asked["period"] else ("where",)
    fields = {name: value for name, value in asked.items() if name not in left_out and value}
    return "?" + urlencode({**fields, "where": _where(asked)}, doseq=True)


def _address(asked: Asked, where: Sequence[str]) -> str:
    return address_of({**asked, "where": where})


def _where(asked: Asked) -> list[str]:
    return list(asked["where"])


def _column(name: str) -> Callable[[Line], str]:
    return lambda row: str(row[name])


def _campaign(row: Line) -> str:
    if row["source"] == OTHER:
        return OTHER
    return "&".join(quote_plus(row[part] or "") for part in ("source", "medium", "campaign"))


_OF_PATHS = ("page", "entry")
_FILTERED: Mapping[str, tuple[str, Callable[[Line], str]]] = {
    "pages": ("page", _column("path")),
    "exits": ("page", _column("path")),
    "next": ("page", _column("path")),
    "previous": ("page", _column("path")),
    "slow": ("page", _column("path")),
    "kinds": ("returning", lambda row: "yes" if row["name"] == "Returning" else "no"),
    "entries": ("entry", _column("path")),
    "referrers": ("source", _column("referrer")),
    "channels": ("channel", _column("channel")),
    "campaigns": ("campaign", _campaign),
    "devices": ("device", _column("device")),
    "browsers": ("browser", _column("browser")),
    "systems": ("os", _column("os")),
    "countries": ("country", _column("country")),
    "events": ("event", _column("event")),
}
"""Id of a figure -> the key of its filter, and a function that returns the value of a row."""

_PERIODS = {"today": "Today", "7d": "7 days", "30d": "30 days", "90d": "90 days", "365d": "12 months"}
"""Period up to today -> its name."""


@dataclass(frozen=True, slots=True)
class Shortcut:
    """A link to another report.

    Args:
        name: its text.
        link: the address of the report.
        is_shown: whether it is the report that is shown.
    """

    name: str
    link: str
    is_shown: bool


def comparison(asked: Asked) -> Shortcut:
    """Return the same days, compared with the time before; or without a comparison, if there is one.

    Args:
        asked: the values of the form that asked for the report.
    """
    if asked["compare"]:
        return Shortcut("Without comparison", address_of({**asked, "compare": ""}), is_shown=False)
    return Shortcut("Compare with the time before", address_of({**asked, "compare": PREVIOUS}), is_shown=False)


def periods(report: Mapping[str, Any], asked: Asked) -> list[Shortcut]:
    """Return common ranges up to the day on which the report was made, with the filters that it has.

    Args:
        report: the report.
        asked: the values of the form that asked for it.
    """
    made = datetime.fromisoformat(report["range"]["generated_at"])
    today = made.astimezone(time_zone(report["range"]["time_zone"])).date()
    found = []
    for period, name in _PERIODS.items():
        range_ = {"from": parse_day(period, today).isoformat(), "to": today.isoformat()}
        is_shown = all(report["range"][end] == day for end, day in range_.items())
        # The step is left out: it may be too small for another range.
        found.append(Shortcut(name, address_of({**asked, "period": period, "step": ""}), is_shown))
    return found
