"""Segments: the sessions that a report or an export is about, chosen by filters like "source=google.com"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import quote_plus

MOST_FILTERS = 10
"""The largest number of filters in a question."""
_LONGEST_VALUE = 1000
_IMPOSSIBLE = re.compile("[\0-\x1f\x7f\ud800-\udfff]")
"""Characters that no value has."""
_CAMPAIGN_PARTS = 3
_TABLES = {
    "records": "records",
    "viewers": "viewers",
    "counts": "counts",
    "sessions": "visits",
    "earlier": "earlier",
    "chosen_sessions": "sessions",
    "pairs": "pairs",
    "properties": "properties",
}
_TABLES_OF_SESSIONS = {
    "records": "found",
    "counts": "counts",
    "sessions": "visits",
    "earlier": "earlier",
    "chosen": "chosen",
    "chosen_sessions": "sessions",
    "chosen_records": "records",
    "viewers": "viewers",
    "pairs": "pairs",
    "properties": "properties",
}

Where = tuple[tuple[str, str], ...]
"""Filters as keys and values, in the order in which they were given."""
Scope = Literal["records", "sessions", "seen"]
"""What a filter looks at: each record, the session as a whole, or whether the session has such a record."""


@dataclass(frozen=True, slots=True)
class Key:
    """A property by which sessions can be chosen.

    Args:
        column: the column that has it.
        scope: what a filter by it looks at.
        test: how where.sql compares the column with a value.
        pattern: what values look like.
        advice: what values are, for the message about a wrong one.
    """

    column: str
    scope: Scope
    test: str = "equal"
    pattern: str = ".+"
    advice: str = ""


def _one_of(*values: str) -> dict[str, str]:
    return {"pattern": "|".join(map(re.escape, values)), "advice": f"one of {_listed(values)}"}


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
    test: str
    parameter: str
    value: str


@dataclass(frozen=True, slots=True)
class Segment:
    """The filters of a question.

    Args:
        filters: the filters; all of them hold.
    """

    filters: Sequence[Filter] = ()

    def of(self, scope: Scope) -> list[Filter]:
        """Return the filters that look at something."""
        return [each for each in self.filters if each.key.scope == scope]

    @property
    def pages(self) -> list[Filter]:
        """The filters by pages. Only views of these pages count."""
        return [each for each in self.filters if each.key is KEYS["page"]]

    @property
    def tables(self) -> Mapping[str, str]:
        """SQL file -> the temporary table that it makes, in the order of creation.

        If filters look at sessions, sessions are made of all records first. The records of the chosen ones come last.
        """
        return _TABLES_OF_SESSIONS if self.of("sessions") or self.of("seen") else _TABLES

    @property
    def tables_of_records(self) -> list[str]:
        """The SQL files that are enough for the records, in their order."""
        if self.tables is _TABLES:
            return ["records"]
        needed = ["records", "sessions", "chosen", "chosen_records"]
        if any(each.test == "returning" for each in self.filters):
            needed.append("earlier")
        return [name for name in self.tables if name in needed]

    @property
    def given(self) -> dict[str, str]:
        """The parameters of the SQL texts."""
        return {each.parameter: each.value for each in self.filters}


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
    return KEYS[key].scope == "seen"


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


def _filter(name: str, value: str, parameter: str) -> Filter:
    if name not in KEYS:
        raise ValueError(f'where: "{name[:100]}" is no key. The keys are {_listed(KEYS)}.')
    if not value or len(value) > _LONGEST_VALUE or _IMPOSSIBLE.search(value):
        raise ValueError(f"where: {name} needs a value of up to {_LONGEST_VALUE:,} characters, without control ones.")
    key = KEYS[name]
    if not re.fullmatch(key.pattern, value):
        raise ValueError(f"where: {name} is {key.advice}.")
    test, compared = _compared(key.test, value)
    return Filter(key, test, parameter, compared)


def _compared(test: str, value: str) -> tuple[str, str]:
    """Return how where.sql compares a column with a value, and the value that it compares with."""
    match test:
        case "path":
            return ("prefix", value[:-1]) if value.endswith("*") else ("equal", value)
        case "campaign":
            is_whole = value.count("&") == _CAMPAIGN_PARTS - 1
            return ("equal", value) if is_whole else ("named", quote_plus(value))
        case "site" if value not in ("(direct)", "(internal)") and "://" not in value:
            return "site", value.lower().removeprefix("www.")
        case "site":
            return "equal", "" if value == "(direct)" else value
        case "known":
            return "equal", "" if value == _UNKNOWN else value
        case "country":
            return "equal", "" if value == _UNKNOWN else value.upper()
    return test, value


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}"


_UNKNOWN = "(unknown)"
_PATH = {
    "test": "path",
    "pattern": "/.*",
    "advice": 'a path, like "/names"; "/names*" is every path that begins with it',
}
KEYS: Mapping[str, Key] = MappingProxyType(
    {
        "source": Key("referrer", "sessions", "site"),
        "channel": Key(
            "channel",
            "sessions",
            **_one_of("search", "paid search", "social", "mail", "campaign", "other site", "direct", "unknown"),
        ),
        "campaign": Key("campaign", "sessions", "campaign"),
        "entry": Key("entry_path", "sessions", **_PATH),
        "page": Key("path", "seen", **_PATH),
        "event": Key("event", "seen"),
        "property": Key(
            "properties",
            "seen",
            "property",
            "[^=]+:[^=]+=.*",
            'an event, a property and its value, like "signup:plan=basic"',
        ),
        "returning": Key(
            "visitor",
            "sessions",
            "returning",
            "yes|no",
            "yes or no: whether the visitor has a record on a day before the first one",
        ),
        "device": Key("device", "records", "known", **_one_of("pc", "mobile", "tablet", "other", _UNKNOWN)),
        "browser": Key("browser", "records", "known"),
        "os": Key("os", "records", "known"),
        "country": Key(
            "country",
            "records",
            "country",
            r"[A-Za-z]{2}|\(unknown\)",
            f'a code of ISO 3166-1, like "JP", or "{_UNKNOWN}"',
        ),
        "host": Key("host", "records"),
    }
)
"""Name of a key -> the key."""
_REPEATED = [name for name in KEYS if may_repeat(name)]
