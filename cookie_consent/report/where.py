"""Segments: the sessions that a report or an export is about, chosen by filters like "source=google.com"."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any
from urllib.parse import quote_plus

MOST_FILTERS = 10
"""The largest number of filters in a question."""
_LONGEST_VALUE = 1000
_IMPOSSIBLE = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
"""Characters that no value has."""
_CAMPAIGN_PARTS = 3
_PROPERTY = re.compile("[^=]+:[^=]+=.*", re.DOTALL)
_COUNTRY = re.compile("[A-Za-z]{2}")
_TABLES = {
    "records": "records",
    "counts": "counts",
    "sessions": "visits",
    "earlier": "earlier",
    "chosen_sessions": "sessions",
}
_TABLES_OF_SESSIONS = {
    "records": "found",
    "counts": "counts",
    "sessions": "visits",
    "earlier": "earlier",
    "chosen": "chosen",
    "chosen_sessions": "sessions",
    "chosen_records": "records",
}

Where = tuple[tuple[str, str], ...]
"""Filters as keys and values, in the order in which they were given."""


class Scope(Enum):
    """What a filter looks at."""

    RECORDS = "each record"
    SESSIONS = "the session as a whole"
    SEEN = "whether the session has such a record"


class Test(Enum):
    """How a filter compares a column with its value."""

    EQUAL = "equal"
    PREFIX = "prefix"
    SITE = "site"
    NAMED = "named"
    PROPERTY = "property"
    CHANNEL = "channel"
    RETURNING = "returning"


@dataclass(frozen=True, slots=True)
class Key:
    """A property by which sessions can be chosen.

    Args:
        column: the column that has it.
        scope: what a filter by it looks at.
        compared: returns how to compare the column with a value, and with what. Raises ValueError for a wrong value.
    """

    column: str
    scope: Scope
    compared: Callable[[str], tuple[Test, str]]


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as the SQL texts need it. Its value is a parameter there, never text.

    Args:
        key: the key by which it chooses.
        test: how to compare the column with the value.
        parameter: the name of the parameter.
        value: the value of the parameter.
    """

    key: Key
    test: Test
    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The filters of a question.

    Args:
        filters: the filters; all of them hold.
    """

    filters: Sequence[Filter] = ()

    @property
    def of_records(self) -> list[Filter]:
        """The filters by properties of each record."""
        return self._of(Scope.RECORDS)

    @property
    def of_sessions(self) -> list[Filter]:
        """The filters by properties of a session."""
        return self._of(Scope.SESSIONS)

    @property
    def seen(self) -> list[Filter]:
        """The filters by what happened in a session."""
        return self._of(Scope.SEEN)

    @property
    def pages(self) -> list[Filter]:
        """The filters by pages. Only views of these pages count."""
        return [each for each in self.seen if each.key is KEYS["page"]]

    @property
    def tables(self) -> Mapping[str, str]:
        """SQL file -> the temporary table that it makes, in the order of creation.

        If filters look at sessions, sessions are made of all records first. The records of the chosen ones come last.
        """
        return _TABLES_OF_SESSIONS if self.of_sessions or self.seen else _TABLES

    @property
    def tables_of_records(self) -> list[str]:
        """The SQL files that are enough for the records, in their order."""
        if not (self.of_sessions or self.seen):
            return ["records"]
        is_needed = {"counts": False, "chosen_sessions": False}
        is_needed["earlier"] = any(each.test is Test.RETURNING for each in self.filters)
        return [name for name in self.tables if is_needed.get(name, True)]

    @property
    def given(self) -> dict[str, str]:
        """The parameters of the SQL texts."""
        return {each.parameter: each.value for each in self.filters}

    def _of(self, scope: Scope) -> list[Filter]:
        return [each for each in self.filters if each.key.scope is scope]


def parse_filter(text: str) -> tuple[str, str]:
    """Return the key and the value of a filter like "source=google.com".

    Raises:
        ValueError: it is no filter; the message says which ones there are.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"where: write KEY=VALUE, like source=google.com. The keys are {_listed(KEYS)}.")
    segment_of([(key.strip(), value)])
    return key.strip(), value


def segment_of(where: Iterable[tuple[str, str]]) -> Segment:
    """Return the segment of some filters.

    Raises:
        ValueError: a filter is wrong, or there are too many; the message says what is allowed.
    """
    pairs = list(where)
    if len(pairs) > MOST_FILTERS:
        raise ValueError(f"where: {MOST_FILTERS} filters at most.")
    filters = [_filter(key, value, f"where_{number}") for number, (key, value) in enumerate(pairs)]
    for number, (key, _) in enumerate(pairs):
        if key in [earlier for earlier, _ in pairs[:number]] and not may_repeat(key):
            raise ValueError(f"where: {key} stands twice, and a session has one. {_listed(_REPEATED)} may.")
    return Segment(filters)


def may_repeat(key: str) -> bool:
    """Tell whether several filters may have a key: a session sees many pages, but has one source."""
    return KEYS[key].scope is Scope.SEEN


def without_few(figures: Mapping[str, Any], where: Where, threshold: int) -> dict[str, Any]:
    """Return the figures of a segment; without numbers, if it has fewer visitors than the threshold.

    Several filters together can choose one person. Such a report has the same keys, its lists are empty, and it says
    neither whether there is such a person nor anything about them.

    Args:
        figures: all figures, or the totals alone.
        where: the filters. Without any, all figures stay.
        threshold: the fewest visitors of a segment.
    """
    # Nobody and few people look alike, except where a group of one is shown, too.
    if not where or max(figures["visitors"], 1) >= threshold:
        return dict(figures)
    made: dict[str, Any] = {name: value if name in _NO_FIGURES else _withheld(value) for name, value in figures.items()}
    if "small_groups" in made:
        made["small_groups"] = {**made["small_groups"], "merged": 0, "withheld": True}
    return made


def _withheld(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _withheld(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_numbers(row) for row in value if next(iter(row)) in _OF_TIMES]
    return None


def _without_numbers(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if name in _OF_TIMES else None for name, value in row.items()}


_NO_FIGURES = ("range", "compare", "small_groups")
_OF_TIMES = ("day", "from", "hour")
"""The first column of rows that stand for a time."""


def _filter(key: str, value: str, parameter: str) -> Filter:
    if key not in KEYS:
        raise ValueError(f'where: "{key[:100]}" is no key. The keys are {_listed(KEYS)}.')
    if not value or len(value) > _LONGEST_VALUE or _IMPOSSIBLE.search(value):
        raise ValueError(f"where: {key} needs a value of up to {_LONGEST_VALUE:,} characters, without control ones.")
    try:
        test, compared = KEYS[key].compared(value)
    except ValueError as error:
        raise ValueError(f"where: {key} is {error}.") from None
    return Filter(KEYS[key], test, parameter, compared)


def _source(value: str) -> tuple[Test, str]:
    if value == "(direct)":
        return Test.EQUAL, ""
    if "://" in value or value == "(internal)":
        return Test.EQUAL, value
    return Test.SITE, value.lower().removeprefix("www.")


def _channel(value: str) -> tuple[Test, str]:
    if value not in _CHANNELS:
        raise ValueError(f"one of {_listed(_CHANNELS)}")
    return Test.CHANNEL, value


def _returning(value: str) -> tuple[Test, str]:
    if value not in ("yes", "no"):
        raise ValueError("yes or no: whether the visitor has a record on a day before the first one")
    return Test.RETURNING, value


def _campaign(value: str) -> tuple[Test, str]:
    if value.count("&") == _CAMPAIGN_PARTS - 1:
        return Test.EQUAL, value
    return Test.NAMED, quote_plus(value)


def _property(value: str) -> tuple[Test, str]:
    if not _PROPERTY.fullmatch(value):
        raise ValueError('an event, a property and its value, like "signup:plan=basic"')
    return Test.PROPERTY, value


def _path(value: str) -> tuple[Test, str]:
    if not value.startswith("/"):
        raise ValueError('a path, like "/names"; "/names*" is every path that begins with it')
    return (Test.PREFIX, value[:-1]) if value.endswith("*") else (Test.EQUAL, value)


def _family(value: str) -> tuple[Test, str]:
    return Test.EQUAL, "" if value == "(unknown)" else value


def _device(value: str) -> tuple[Test, str]:
    if value not in _DEVICES:
        raise ValueError(f"one of {_listed(_DEVICES)}")
    return _family(value)


def _country(value: str) -> tuple[Test, str]:
    if value != "(unknown)" and not _COUNTRY.fullmatch(value):
        raise ValueError('a code of ISO 3166-1, like "JP", or "(unknown)"')
    return _family(value.upper() if _COUNTRY.fullmatch(value) else value)


def _as_written(value: str) -> tuple[Test, str]:
    return Test.EQUAL, value


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"


_CHANNELS = ("search", "paid search", "social", "mail", "campaign", "other site", "direct", "unknown")
_DEVICES = ("pc", "mobile", "tablet", "other", "(unknown)")
KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "source": Key("referrer", Scope.SESSIONS, _source),
        "channel": Key("referrer", Scope.SESSIONS, _channel),
        "campaign": Key("campaign", Scope.SESSIONS, _campaign),
        "entry": Key("entry_path", Scope.SESSIONS, _path),
        "page": Key("path", Scope.SEEN, _path),
        "event": Key("event", Scope.SEEN, _as_written),
        "property": Key("properties", Scope.SEEN, _property),
        "returning": Key("visitor", Scope.SESSIONS, _returning),
        "device": Key("device", Scope.RECORDS, _device),
        "browser": Key("browser", Scope.RECORDS, _family),
        "os": Key("os", Scope.RECORDS, _family),
        "country": Key("country", Scope.RECORDS, _country),
        "host": Key("host", Scope.RECORDS, _as_written),
    }
)
"""Name of a key -> the key."""
_REPEATED = [name for name in KEYS if may_repeat(name)]
