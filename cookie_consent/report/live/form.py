"""What the form of the live page asks for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta

from cookie_consent.report.page.formatting import is_seen
from cookie_consent.report.question import Question

LAST_DAYS = 30
"""So many days until today are shown to those who ask for no others."""
_LONGEST_HOST = 253
"""RFC 1035, section 2.3.4, without the final dot."""
_LONGEST_PATH = 1000


def asked_for(query: Mapping[str, str], today: date) -> dict[str, str]:
    """Return what stands in the form's fields: what was asked for, and what is usual where nothing was.

    Args:
        query: the parameters of the address.
        today: the day, in UTC.
    """
    return {
        "from": query.get("from", "") or (today - timedelta(days=LAST_DAYS - 1)).isoformat(),
        "to": query.get("to", "") or today.isoformat(),
        "host": query.get("host", "").strip(),
        "path": query.get("path", "").strip(),
        "compare": query.get("compare", ""),
    }


def question_of(asked: Mapping[str, str]) -> tuple[Question, bool]:
    """Return what a form asks for, and whether it is to be compared with the days before.

    Args:
        asked: as `asked_for` returns it.

    Raises:
        ValueError: it cannot be answered; says what would be right.
    """
    host, path = asked["host"], asked["path"]
    if not all(map(is_seen, host + path)) or len(host) > _LONGEST_HOST or len(path) > _LONGEST_PATH:
        raise ValueError(
            f"Host and path: up to {_LONGEST_HOST} and {_LONGEST_PATH:,} characters that can be seen, like "
            "www.example.jp and /news/."
        )
    if asked["compare"] not in ("", "previous"):
        raise ValueError('Compare: "previous", or nothing.')
    question = Question(_day("From", asked["from"]), _day("To", asked["to"]), host or None, path or None)
    if asked["compare"]:
        question.before()
    return question, bool(asked["compare"])


def _day(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name}: write a day like 2026-11-25.") from None
