"""Reads and validates events that pages report: a download, the time on a page, or whatever the site counts."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from cookie_consent.tracing.access_record import origin_of

LARGEST_EVENT = 4096
"""Bytes of a body, far below the 64 KiB that browsers send at most when a page is left (Fetch, "keepalive")."""
_LONGEST_PATH = 1024
_LONGEST_VISIBLE = 7 * 24 * 60 * 60 * 1000
_MAX_PROPERTIES, _LONGEST_KEY, _LONGEST_TEXT = 10, 40, 200
_LARGEST_WHOLE = 2**53 - 1
"""Programs differ in how they read larger integers (RFC 7493, section 2.2)."""
_NAME = re.compile(r"[a-z0-9_.:-]{1,64}")
_PATH = re.compile(r"/(?!/)[!-~]*")
_NEVER_IN_PATHS = re.compile(r"[?#\\]")
_UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Some databases cannot store NUL, and UTF-8 cannot encode lone surrogates."""

Properties = Mapping[str, str | float | bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened on a page.

    Args:
        name: what happened, such as "download".
        path: the path of the page, percent-decoded.
        query: the query of the page as the browser has it. The access record keeps only allowed parameters.
        properties: further facts that the page reports.
        referrer: the origin of the referring site, or "".
        duration_ms: how long it took, in milliseconds, or None.
        purpose: the id of another purpose that it needs besides tracing, or "".
        asked: whether it is a view of a page that had the question, which was counted when it was sent.
    """

    name: str
    path: str
    query: str = ""
    referrer: str = ""
    properties: Properties = field(default_factory=dict)
    duration_ms: float | None = None
    purpose: str = ""
    asked: bool = False


def read_event(given: Mapping[str, Any]) -> Event:
    """Read an event from a JSON object.

    Raises:
        ValueError: it is no valid event. The message says what is wrong.
    """
    unknown = sorted(given.keys() - _CHECKS.keys())
    if unknown:
        raise ValueError(f"There is no {unknown[0][:40]!r} in an event. Known: {', '.join(_CHECKS)}.")
    for key, (is_valid, remedy) in _CHECKS.items():
        if key in given and not is_valid(given[key]):
            raise ValueError(f'"{key}": {remedy}')
    for key in ("name", "path"):
        if key not in given:
            raise ValueError(f'"{key}" is missing: {_CHECKS[key][1]}')
    return Event(**{**given, "path": unquote(given["path"])})


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _is_path(value: Any) -> bool:
    """Return whether a value is a percent-encoded path as browsers send it, without "." and ".." segments."""
    if not isinstance(value, str) or not _PATH.fullmatch(value) or _NEVER_IN_PATHS.search(value):
        return False
    path = unquote(value)
    return len(path) <= _LONGEST_PATH and "\0" not in path and {".", ".."}.isdisjoint(path.split("/"))


def _is_text(value: Any, longest: int = _LONGEST_TEXT) -> bool:
    return isinstance(value, str) and len(value) <= longest and not _UNSTORABLE.search(value)


def _is_query(value: Any) -> bool:
    return _is_text(value, _LONGEST_PATH)


def _is_origin(value: Any) -> bool:
    return isinstance(value, str) and origin_of(value) == value.lower() != ""


def _is_yes_or_no(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and abs(value) <= _LARGEST_WHOLE


def _is_time(value: Any) -> bool:
    return _is_number(value) and not isinstance(value, bool) and 0 <= value <= _LONGEST_VISIBLE


def _are_properties(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and len(value) <= _MAX_PROPERTIES
        and all(
            key and _is_text(key, _LONGEST_KEY) and (_is_number(item) or _is_text(item)) for key, item in value.items()
        )
    )


_CHECKS: dict[str, tuple[Callable[[Any], bool], str]] = {
    "name": (_is_name, "Write 1 to 64 of a-z, 0-9 and _ . : - as in download."),
    "path": (
        _is_path,
        f"Write the path of the page as location.pathname has it, at most {_LONGEST_PATH} characters, "
        "without query and fragment.",
    ),
    "query": (_is_query, f"Write the query of the page, at most {_LONGEST_PATH} characters."),
    "properties": (
        _are_properties,
        f"Write an object of at most {_MAX_PROPERTIES} texts (at most {_LONGEST_TEXT} characters), numbers (finite, "
        f"whole ones up to 2^53) and booleans, by names of at most {_LONGEST_KEY} characters.",
    ),
    "duration_ms": (_is_time, "Write milliseconds, at most those of a week."),
    "purpose": (_is_text, "Write the id of a purpose."),
    "referrer": (_is_origin, "Write an origin, as in https://search.example."),
    "asked": (_is_yes_or_no, "Write true or false."),
}
