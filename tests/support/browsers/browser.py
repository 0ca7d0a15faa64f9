"""How browsers store cookies and send forms, written from the standards and not from the package."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

_MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
_DELIMITERS = {0x09, *range(0x20, 0x30), *range(0x3B, 0x41), *range(0x5B, 0x61), *range(0x7B, 0x7F)}


@dataclass(frozen=True)
class StoredCookie:
    """A cookie that a browser stores."""

    name: bytes
    value: bytes
    expiry: float | None = field(default=None, compare=False)
    """When it ends (seconds since 1970); None for a session cookie."""


def stored_cookie(field: bytes, now: float) -> StoredCookie | None:
    """Return the cookie that a browser stores for a Set-Cookie field (RFC 6265bis sections 5.6 and 5.7), or None."""
    if any(byte <= 0x08 or 0x0A <= byte <= 0x1F or byte == 0x7F for byte in field):
        return None
    name_value, *attributes = field.split(b";")
    name, equals, value = name_value.partition(b"=")
    if not equals:
        name, value = b"", name
    name, value = name.strip(b" \t"), value.strip(b" \t")
    if not (name or value) or len(name + value) > 4096:
        return None
    expiry = _expiry(attributes, now)
    return None if expiry is not None and expiry <= now else StoredCookie(name, value, expiry)


def _expiry(attributes: list[bytes], now: float) -> float | None:
    """Return when a cookie ends; None for a session cookie."""
    max_age = expires = None
    for attribute in attributes:
        name, _, value = attribute.partition(b"=")
        name, value = name.strip(b" \t").lower(), value.strip(b" \t")
        if len(value) > 1024:
            continue
        if name == b"max-age" and re.fullmatch(rb"-?[0-9]*", value) and value:
            digits = value.lstrip(b"-")
            seconds = min(int(digits), 34_560_000) if digits else 0
            max_age = now + seconds if seconds > 0 and not value.startswith(b"-") else float("-inf")
        elif name == b"expires":
            date = parse_date(value)
            expires = expires if date is None else date
    return max_age if max_age is not None else expires


def parse_date(text: bytes) -> float | None:
    """Return a cookie date (section 5.1.1) in seconds since 1970."""
    tokens = bytes(byte if byte not in _DELIMITERS else 0x20 for byte in text).split(b" ")
    found: dict[str, tuple[int, ...]] = {}
    for token in filter(None, tokens):
        for part, read in _PARTS.items():
            if part not in found and (numbers := read(token)):
                found[part] = numbers
                break
    if len(found) < len(_PARTS):
        return None
    (day,), (month,), (year,) = found["day"], found["month"], found["year"]
    return _seconds(year + (1900 if 70 <= year <= 99 else 2000 if year <= 69 else 0), month, day, *found["time"])


def _numbers(pattern: bytes) -> Callable[[bytes], tuple[int, ...] | None]:
    def read(token: bytes) -> tuple[int, ...] | None:
        found = re.match(pattern + rb"(?![0-9])", token)
        return found and tuple(map(int, found.groups()))

    return read


def _month(token: bytes) -> tuple[int, ...] | None:
    name = token[:3].decode("latin-1").lower()
    return (_MONTHS.index(name) + 1,) if name in _MONTHS else None


_PARTS: dict[str, Callable[[bytes], tuple[int, ...] | None]] = {
    "time": _numbers(rb"([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})"),
    "day": _numbers(rb"([0-9]{1,2})"),
    "month": _month,
    "year": _numbers(rb"([0-9]{2,4})"),
}


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int) -> float | None:
    if year < 1601 or hour > 23 or minute > 59 or second > 59:
        return None
    if not 1 <= day <= calendar.monthrange(year, month)[1]:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))


class _Forms(HTMLParser):
    """Collects the forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self._by_id: dict[str, Form] = {}
        self._outside: list[tuple[str, str, str]] = []
        """Buttons outside of their form: the id of the form, name and value."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.forms.append(Form(given["action"], given["method"], [], [], {}))
            self._by_id[given.get("id", "")] = self.forms[-1]
        elif tag == "input" and given["type"] == "hidden":
            self.forms[-1].hidden.append((given["name"], given["value"]))
        elif tag == "button" and "name" in given and "form" in given:
            self._outside.append((given["form"], given["name"], given["value"]))
        elif tag == "button" and "name" in given:
            self.forms[-1].buttons.append((given["name"], given["value"]))
            self.forms[-1].addresses[given["value"]] = given.get("formaction", self.forms[-1].action)

    def close(self) -> None:
        super().close()
        for id_, name, value in self._outside:
            self._by_id[id_].buttons.append((name, value))


@dataclass(frozen=True)
class Form:
    """A form of a page.

    Args:
        action: the address that it is sent to.
        method: the HTTP method.
        hidden: its hidden fields.
        buttons: the names and values of its buttons.
        addresses: the value of a button -> the address that it sends to.
    """

    action: str
    method: str
    hidden: list[tuple[str, str]]
    buttons: list[tuple[str, str]]
    addresses: dict[str, str]

    def pressed(self, value: str) -> str:
        """Return the body that the browser sends for the button with this value."""
        return urlencode([*self.hidden, next(button for button in self.buttons if button[1] == value)])


def forms(html: str) -> list[Form]:
    """Return the forms of a page."""
    parser = _Forms()
    parser.feed(html)
    parser.close()
    return parser.forms
