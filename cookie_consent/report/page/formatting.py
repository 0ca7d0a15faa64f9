"""Format figures and texts for people."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

from babel.dates import format_date

from cookie_consent.base.clock import HOUR, time_zone
from cookie_consent.report.figures import Figure, Kind, Row
from cookie_consent.texts.locales import country_name, is_country

NOTHING = "–"
"""Shown in place of a missing figure."""
_LOCALE = "en_GB"
_DAY = "d MMMM y"
_MINUTE = 60


def few_visitors(report: Mapping[str, Any]) -> str:
    """Say why a report of a small segment has no figures."""
    threshold = report["small_groups"]["threshold"]
    return f"Fewer than {threshold} visitors are in this segment. Nothing else is told of so few."


def visible(value: object) -> str:
    r"""Return a text with invisible and text-turning characters written as escapes, like "\u202e" and "\x07".

    Args:
        value: a value from a record; None and "" become a dash.
    """
    if value is None or value == "":
        return NOTHING
    return "".join(sign if is_seen(sign) else _written_out(sign) for sign in str(value))


def left_out(report: Mapping[str, Any]) -> str:
    """Say which files of the access log are missing in a report, and how many lines of others; "" for none."""
    said: list[str] = []
    names = [visible(Path(each["file"]).name) for each in report["unreadable_files"]]
    if names:
        what = "a file of the access log: it" if len(names) == 1 else f"{len(names)} files of the access log: they"
        said.append(f"This report lacks the records of {what} cannot be read. {', '.join(names)}")
    lines = [f"{visible(Path(each['file']).name)}: {each['lines']:,}" for each in report["unreadable_lines"]]
    if lines:
        said.append(f"Lines that are no records are left out. {', '.join(lines)}")
    return ". ".join(said)


def comparison_in_words(report: Mapping[str, Any]) -> str:
    """Say with which days a report is compared, and for which of them there are no records; "" for none."""
    before = report["compare"]
    if not before:
        return ""
    range_, since = before["range"], before["recorded_from"]
    said = f"Compared with {days(range_['from'], range_['to'])}"
    if range_["to_time"]:
        said = f"{said} until {range_['to_time']}, since today is not over"
    if since == range_["from"] or before["visitors"] is None:
        return f"{said}."
    missing = f"those before {day(since)}" if since else "these days"
    return f"{said}. Of {missing} there are no records: there were no visits, or they are purged."


def may_be_fewer(report: Mapping[str, Any]) -> str:
    """Say which figures may stand for fewer visitors than the threshold. Those of a segment may not."""
    if report["range"]["where"]:
        return "Days and hours of fewer have no numbers."
    return "Totals, days and hours may stand for fewer."


def is_seen(sign: str) -> bool:
    """Tell whether a character is safe to show.

    The wide space of Japanese is, although Python calls it not printable.
    """
    return sign.isprintable() or sign == "\N{IDEOGRAPHIC SPACE}"


def _written_out(sign: str) -> str:
    return sign.encode("ascii", "backslashreplace").decode() if ord(sign) > 0x7F else f"\\x{ord(sign):02x}"


def count(value: float | None) -> str:
    """Format a whole number with thousands separators."""
    return NOTHING if value is None else f"{value:,.0f}"


def decimal(value: float | None) -> str:
    """Format a number with one decimal."""
    return NOTHING if value is None else f"{value:,.1f}"


def number(value: float | None) -> str:
    """Format a number of any size, with its decimals: at most three, and none of a whole number."""
    return NOTHING if value is None else f"{value:,.3f}".rstrip("0").rstrip(".")


def tick(value: float) -> str:
    """Format a round number for an axis, like "15 k"."""
    for size, unit in ((10**9, " bn"), (10**6, " m"), (10**3, " k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def percent(share: float | None) -> str:
    """Format a share of 1 in percent. Only exactly 0 and 1 read as 0 % and 100 %."""
    if share is None:
        return NOTHING
    # "0 %" and "100 %" would say none and all.
    if 0 < share < 0.01 or 0.99 < share < 1:
        shown = min(max(math.floor(share * 1000) / 10, 0.1), 99.9)
        return f"{shown:.1f} %"
    return f"{share:.0%}".replace("%", " %")


def seconds(value: float | None) -> str:
    """Format a time span in seconds, like "4.2 s", "1 min 14 s" or "2 h 5 min"."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < _MINUTE:
        return f"{whole} s"
    if whole < HOUR:
        return f"{whole // _MINUTE} min {whole % _MINUTE} s"
    return f"{whole // HOUR:,} h {whole % HOUR // _MINUTE} min"


def milliseconds(value: float | None) -> str:
    """Format a request's duration in milliseconds, like "4.2 ms", "312 ms" or "1.3 s"."""
    if value is None:
        return NOTHING
    if value < 10:
        return f"{value:.1f} ms"
    return f"{value:,.0f} ms" if value < 1000 else f"{value / 1000:,.1f} s"


def dated(iso: str, pattern: str) -> str:
    """Format the day of an ISO time by a pattern of Unicode (UTS #35), like "d MMMM y"."""
    return format_date(date.fromisoformat(iso[:10]), pattern, locale=_LOCALE)


def day(iso: str) -> str:
    """Format an ISO date, like "1 November 2026"."""
    return dated(iso, _DAY)


def days(first: str, last: str) -> str:
    """Format a range of ISO dates, like "1 to 25 November 2026". Month and year are not repeated."""
    if first == last:
        return day(first)
    pattern = "d" if first[:7] == last[:7] else "d MMMM" if first[:4] == last[:4] else _DAY
    return f"{dated(first, pattern)} to {day(last)}"


def moment(rfc3339: str, zone: str) -> str:
    """Format an RFC 3339 time in a time zone, like "25 November 2026, 14:02 UTC"."""
    local = datetime.fromisoformat(rfc3339).astimezone(time_zone(zone))
    return f"{day(local.date().isoformat())}, {local:%H:%M} {zone}"


def country(code: object) -> str:
    """Return the name of a country."""
    return country_name(str(code), "en") if is_country(str(code)) else visible(code)


FORMATS: Mapping[Kind, Callable[[Any], str]] = {
    "text": visible,
    "time": lambda value: NOTHING if value is None else day(value),
    "country": country,
    "count": count,
    "percent": percent,
    "seconds": seconds,
    "ms": milliseconds,
    "number": number,
}
"""Kind of a column -> a function that formats its values."""


def name_of(figure: Figure, row: Row) -> str:
    """Return the name of a row: its names, joined."""
    first, *others = figure.names
    name = FORMATS[first.kind](row[first.key])
    for separator, column in zip(figure.between, others, strict=True):
        if value := row[column.key]:
            name += separator + FORMATS[column.kind](value)
    return name


def short_step(iso: str, step: str) -> str:
    """Format the begin of a step for an axis, like "1 Nov", "13:00" or "Nov". Midnight is a day, January has a year."""
    if step == "hour" and iso[11:16] != "00:00":
        return iso[11:16]
    if step == "month":
        return dated(iso, "MMM y" if iso[5:7] == "01" else "MMM")
    return dated(iso, "d MMM")


def long_step(iso: str, step: str) -> str:
    """Format the begin of a step in full, like "Sun, 1 Nov 2026, 13:00 (UTC+09:00)" or "November 2026"."""
    if step == "month":
        return dated(iso, "MMMM y")
    name = dated(iso, "EEE, d MMM y")
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
