"""Values, names and sentences of a report as people read them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from babel.dates import format_date
from babel.numbers import format_compact_decimal
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cookie_consent.base.clock import HOUR, time_zone
from cookie_consent.report.figures import Figure, Kind, Row
from cookie_consent.texts.locales import country_name, is_country

NOTHING = "–"
"""Shown in place of a missing figure."""
_LOCALE = "en_GB"
_DAY = "d MMMM y"
_MINUTE = 60


def visible(value: object) -> str:
    r"""Return a text with invisible and text-turning characters written as escapes, like "\u202e" and "\x07".

    Args:
        value: a value from a record; None and "" become a dash.
    """
    if value is None or value == "":
        return NOTHING
    return "".join(sign if is_seen(sign) else _escape(sign) for sign in str(value))


def is_seen(sign: str) -> bool:
    """Tell whether a character is safe to show.

    The wide space of Japanese is, although Python calls it not printable.
    """
    return sign.isprintable() or sign == "\N{IDEOGRAPHIC SPACE}"


def _escape(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode() if ord(sign) > 0x7F else f"\\x{ord(sign):02x}"


def percent(share: float) -> str:
    """Format a share of 1 in percent. Only exactly 0 and 1 read as 0 % and 100 %."""
    if 0 < share < 0.01 or 0.99 < share < 1:
        shown = min(max(math.floor(share * 1000) / 10, 0.1), 99.9)
        return f"{shown:.1f} %"
    return f"{share:.0%}".replace("%", " %")


def compact(value: float) -> str:
    """Format a round number for an axis, like "15K"."""
    return str(format_compact_decimal(value, locale=_LOCALE, fraction_digits=1))


def _number(value: float) -> str:
    return f"{value:,.3f}".rstrip("0").rstrip(".")


def _seconds(value: float) -> str:
    """Format a time span in seconds, like "4.2 s", "1 min 14 s" or "2 h 5 min"."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // HOUR:,} h {whole % HOUR // _MINUTE} min"


def _milliseconds(value: float) -> str:
    """Format a request's duration in milliseconds, like "4.2 ms", "312 ms" or "1.3 s"."""
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.1f} s"


def _dated(iso: str, pattern: str) -> str:
    """Format the day of an ISO time by a pattern of Unicode (UTS #35), like "d MMMM y"."""
    return format_date(date.fromisoformat(iso[:10]), pattern, locale=_LOCALE)


def day(iso: str) -> str:
    """Format an ISO date, like "1 November 2026"."""
    return _dated(iso, _DAY)


def days(first: str, last: str) -> str:
    """Format a range of ISO dates, like "1 to 25 November 2026". Month and year are not repeated."""
    if first == last:
        return day(first)
    pattern = "d" if first[:7] == last[:7] else "d MMMM" if first[:4] == last[:4] else _DAY
    return f"{_dated(first, pattern)} to {day(last)}"


def moment(rfc3339: str, zone: str) -> str:
    """Format an RFC 3339 time in a time zone, like "25 November 2026, 14:02 UTC"."""
    local = datetime.fromisoformat(rfc3339).astimezone(time_zone(zone))
    return f"{day(local.date().isoformat())}, {local:%H:%M} {zone}"


def _country(code: object) -> str:
    return country_name(str(code), "en") if is_country(str(code)) else visible(code)


_FORMATS: Mapping[Kind, Callable[[Any], str]] = {
    "text": visible,
    "time": day,
    "country": _country,
    "count": "{:,.0f}".format,
    "decimal": "{:,.1f}".format,
    "percent": percent,
    "seconds": _seconds,
    "ms": _milliseconds,
    "number": _number,
}


def format_value(kind: Kind, value: Any) -> str:
    """Format a value of a column; a missing one is a dash."""
    return NOTHING if value is None else _FORMATS[kind](value)


def name_of(figure: Figure, row: Row) -> str:
    """Return the name of a row: its names, joined."""
    first, *others = figure.names
    name = format_value(first.kind, row[first.key])
    for separator, column in zip(figure.between, others, strict=True):
        if value := row[column.key]:
            name += separator + format_value(column.kind, value)
    return name


def short_step(iso: str, step: str) -> str:
    """Format the begin of a step for an axis, like "1 Nov", "13:00" or "Nov". Midnight is a day, January has a year."""
    if step == "hour" and iso[11:16] != "00:00":
        return iso[11:16]
    if step == "month":
        return _dated(iso, "MMM y" if iso[5:7] == "01" else "MMM")
    return _dated(iso, "d MMM")


def long_step(iso: str, step: str) -> str:
    """Format the begin of a step in full, like "Sun, 1 Nov 2026, 13:00 (UTC+09:00)" or "November 2026"."""
    if step == "month":
        return _dated(iso, "MMMM y")
    name = _dated(iso, "EEE, d MMM y")
    offset = "" if iso[16:] == "+00:00" else iso[16:]
    return f"{name}, {iso[11:16]} (UTC{offset})" if step == "hour" else name


_HEADS = {"hour": "Hour", "day": "Day", "week": "Week from", "month": "Month"}


def steps_of(rows: Sequence[Row], step: str) -> tuple[str, list[str], list[str]]:
    """Return the heading of steps, and the short label and the full name of each."""
    if rows and "hour" in rows[0]:
        names = [f"{row['hour']:02}:00" for row in rows]
        return "Hour", names, names
    begins = [row.get("from") or row["day"] for row in rows]
    return _HEADS[step], [short_step(begin, step) for begin in begins], [long_step(begin, step) for begin in begins]


TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
"""The templates in this folder."""
TEMPLATES.globals.update(
    format=format_value, percent=percent, compact=compact, day=day, days=days, moment=moment, visible=visible
)
TEMPLATES.filters["file_name"] = lambda path: visible(Path(path).name)
