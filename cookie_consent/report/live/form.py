"""The form of the live page, and the question that it asks."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from cookie_consent.report.question import LAST_DAYS, Question, parse_day
from cookie_consent.report.where import parse_filter

FIELDS = ("period", "from", "to", "host", "compare", "step")


def form_values(query: Mapping[str, str]) -> dict[str, str]:
    """Return the values of the form's fields, from the query string.

    A range up to today has a period, like "7d". It is still one up to today when the page's address is opened later.
    """
    values = {name: query.get(name, "").strip() for name in FIELDS}
    if values["from"] or values["to"]:
        values["period"] = ""
    elif not values["period"]:
        values["period"] = f"{LAST_DAYS}d"
    return values


def question_from_form(asked: Mapping[str, Any], time_zone: str, now: float, today: date) -> dict[str, Any]:
    """Return the arguments of the report that a form asks for.

    Args:
        asked: the result of `form_values`, and filters, "where", each like "source=google.com".
        time_zone: the site's time zone, by its IANA name.
        now: seconds since 1970.
        today: the day, in that time zone.

    Raises:
        ValueError: the form cannot be answered; the message says what is allowed.
    """
    since, until = _days(asked, today)
    arguments: dict[str, Any] = {
        "since": since,
        "until": until,
        "host": asked["host"] or None,
        "where": tuple(map(parse_filter, asked["where"])),
        "time_zone": time_zone,
        "step": asked["step"] or None,
    }
    question = Question(**arguments)
    if asked["compare"]:
        question.earlier(asked["compare"], now)
    return {**arguments, "compare": asked["compare"] or None}


def _days(asked: Mapping[str, str], today: date) -> tuple[date, date]:
    if period := asked["period"]:
        last = "yesterday" if period == "yesterday" else "today"
        return _day("Period", period, today), _day("Period", last, today)
    return _day("From", asked["from"] or f"{LAST_DAYS}d", today), _day("To", asked["to"] or "today", today)


def _day(name: str, text: str, today: date) -> date:
    try:
        return parse_day(text, today)
    except ValueError as error:
        raise ValueError(f"{name}: {error}.") from None
