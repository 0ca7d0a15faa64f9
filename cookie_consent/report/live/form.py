"""The form of the live page: its default values, and the question that it asks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta

from cookie_consent.report.page.formatting import is_seen
from cookie_consent.report.question import COMPARISONS, Question
from cookie_consent.report.where import Where, parse_filter

LAST_DAYS = 30
"""The default range: this many days up to today."""
_LONGEST_HOST = 253
"""RFC 1035, section 2.3.4, without the final dot."""


def form_values(query: Mapping[str, str], today: date) -> dict[str, str]:
    """Return the values of the form's fields: from the query string, or defaults.

    Args:
        query: the parameters of the query string.
        today: today's date, in the site's time zone.
    """
    return {
        "from": query.get("from", "") or (today - timedelta(days=LAST_DAYS - 1)).isoformat(),
        "to": query.get("to", "") or today.isoformat(),
        "host": query.get("host", "").strip(),
        "compare": query.get("compare", ""),
        "step": query.get("step", ""),
    }


def question_from_form(
    asked: Mapping[str, str], time_zone: str, where: Sequence[str] = ()
) -> tuple[Question, str | None]:
    """Return the question that a form asks, and with which period to compare; None for none.

    Args:
        asked: the result of `form_values`.
        time_zone: the site's time zone, by its IANA name.
        where: filters, each like "source=google.com".

    Raises:
        ValueError: the form cannot be answered; the message says what is allowed.
    """
    host = asked["host"]
    if not all(map(is_seen, host)) or len(host) > _LONGEST_HOST:
        raise ValueError(f"Host: up to {_LONGEST_HOST} characters that can be seen, like www.example.jp.")
    if asked["compare"] not in ("", *COMPARISONS):
        raise ValueError(f"Compare: one of {', '.join(COMPARISONS)}, or nothing.")
    since, until = _day("From", asked["from"]), _day("To", asked["to"])
    step = asked["step"] or None
    question = Question(since, until, host or None, time_zone=time_zone, step=step, where=_filters(where))
    if asked["compare"]:
        question.earlier(asked["compare"])
    return question, asked["compare"] or None


def _filters(texts: Sequence[str]) -> Where:
    if not all(map(is_seen, "".join(texts))):
        raise ValueError("where: characters that can be seen.")
    return tuple(map(parse_filter, texts))


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: write a day like 2026-11-25.") from None
