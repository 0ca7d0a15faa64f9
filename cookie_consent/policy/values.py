"""Reads the values of a policy file: texts, dates, durations and lists of them.

A reader yields each error that it finds, and returns what it could read, so that all errors are found in one run. It
goes on behind an error: in place of a value that cannot be read, it returns the one that was probably meant, or else a
harmless one.
"""

from __future__ import annotations

from collections.abc import Generator
from datetime import date, datetime, timedelta
from typing import TypeVar

from cookie_consent.policy.errors import PolicyError
from cookie_consent.policy.syntax import parse_duration
from cookie_consent.texts.catalog import Text

Value = TypeVar("Value")
Reading = Generator[PolicyError, None, Value]


def placed(reading: Reading[Value], *, table: str, key: str) -> Reading[Value]:
    """Read on, and fill in the place of each error that has none yet."""
    while True:
        try:
            error = next(reading)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        # An error in a nested table names its own place already.
        yield error if error.table else error.at(table=table, key=key)


def read_all(reading: Reading[Value]) -> tuple[Value, list[PolicyError]]:
    """Return what could be read, and all errors."""
    errors = []
    while True:
        try:
            errors.append(next(reading))
        except StopIteration as end:
            return end.value, errors


def string(value: object) -> Reading[str]:
    """Read a text."""
    if isinstance(value, str):
        return value
    yield PolicyError(f"{value!r} is no text", "Put it in quotes.")
    return ""


def strings(value: object) -> Reading[tuple[str, ...]]:
    """Read a list of texts."""
    if not isinstance(value, list):
        yield PolicyError(f"{value!r} is no list", 'Write it as in ["first", "second"].')
        return ()
    for item in value:
        yield from string(item)
    return tuple(value) if all(isinstance(item, str) for item in value) else ()


def boolean(value: object) -> Reading[bool]:
    """Read true or false."""
    if isinstance(value, bool):
        return value
    yield PolicyError(f"{value!r} is neither true nor false", "Write true or false, without quotes.")
    return str(value).lower() in ("true", "yes", "on", "1")


def true(value: object) -> Reading[bool]:
    """Read the true of `refused = true`."""
    # "refused = false" would read as if a service could allow what the site refuses.
    if value is not True:
        yield PolicyError("a service can only refuse", "Write true, or leave the line out.")
    return True


def texts(value: object) -> Reading[dict[str, str]]:
    """Read a text in several languages."""
    if not isinstance(value, dict):
        yield PolicyError(f"{value!r} is not one text per language", 'Write it as in { en = "…", ja = "…" }.')
        return {}
    found = {}
    for language, text in value.items():
        found[language] = yield from string(text)
    return found


def wording(value: object) -> Reading[Text]:
    """Read a text of the pages: one text, or one for each plural form."""
    return (yield from texts(value)) if isinstance(value, dict) else (yield from string(value))


def duration(value: object) -> Reading[timedelta]:
    """Read a duration."""
    text = yield from string(value)
    try:
        return parse_duration(text)
    except ValueError:
        if isinstance(value, str):
            yield PolicyError(f"{value!r} is no duration", 'Write a whole number and a unit, as in "395 days".')
    # No other duration is longer than this one.
    return timedelta.max


def cookie_duration(value: object) -> Reading[timedelta | None]:
    """Read the lifetime of a cookie."""
    return None if value == "session" else (yield from duration(value))


def day(value: object) -> Reading[date]:
    """Read a date."""
    if isinstance(value, date) and not isinstance(value, datetime):  # a datetime is a date, too
        return value
    yield PolicyError(f"{value!r} is no date", "Write it as in 2026-11-25, without quotes.")
    return date.max


def refusals(value: object) -> Reading[tuple[str, ...] | None]:
    """Read what a signal refuses."""
    if value in ("default", "ignore"):
        return None if value == "default" else ()
    if isinstance(value, str):
        yield PolicyError(f"{value!r} is not valid here", 'Write "default", "ignore" or a list of purposes.')
        return None
    return (yield from strings(value))
