"""Reads in the text of a script what it stores in the browser, and which hosts it asks."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

COOKIE, STORAGE, REQUEST, LINK, FILE = "cookie", "storage", "request", "link", "file"
"""What a document does: it stores a cookie or a key of the browser's storage, asks another host, links to a page, or
loads a file of its own host that may do any of these."""


class Sight(NamedTuple):
    """Something that a document does in the browser.

    Args:
        kind: one of the kinds above.
        name: the name of the cookie, the key, or the address.
        line: the line of the document, from 1.
        by: the tag or the statement that does it, shortened.
        purposes: the purposes that it waits for, as its tag says.
        field: for a cookie, the text after its name, as in a Set-Cookie field.
        directive: for a request, its directive of a Content-Security-Policy, without "-src"; "" for any.
        asks: whether the script asks what is allowed, so that only a browser tells whether it does it.
    """

    kind: str
    name: str
    line: int
    by: str
    purposes: tuple[str, ...] = ()
    field: str = ""
    directive: str = ""
    asks: bool = False


_LONGEST_SHOWN = 120
_STRING = r"""(?: " (?: [^"\\\n] | \\. )* " | ' (?: [^'\\\n] | \\. )* ' | ` (?: [^`\\] | \\. )* ` )"""
_COMMENT_OR_STRING = re.compile(
    rf"(?P<comment> /\* .*? \*/ | (?<! [:\\] ) // [^\n]* ) | {_STRING}", re.DOTALL | re.VERBOSE
)
_QUOTE = re.compile("[\"'`]")
_TEXT = r"""["'`] (?P<{0}> [^"'`$\n]*? )"""
_NAME = _TEXT.format("name")
_STATEMENTS = {
    COOKIE: (
        r"""\b document \s* (?: \. \s* cookie | \[ \s* ["']cookie["'] \s* \] ) \s* = (?! = ) \s*
        ["'`] \s* (?P<name> [^"'`$=;\n]+? ) \s* = (?P<field> [^\n]* )""",
        rf"""\b cookieStore \s* \. \s* set \s* \( \s* (?: \{{ [^}}]*? \b name \s* : \s* )?
        {_NAME} ["'`] (?P<field> [^\n]* )""",
        rf"""\b Cookies \s* \. \s* set \s* \( \s* {_NAME} ["'`]""",
    ),
    STORAGE: (
        rf"""\b (?: local | session ) Storage \s* \. \s* setItem \s* \( \s* {_NAME} ["'`]""",
        rf"""\b (?: local | session ) Storage \s* \[ \s* {_NAME} ["'`] \s* \] \s* = (?! = )""",
        r"""\b (?: local | session ) Storage \s* \. \s* (?P<name> [A-Za-z_$][\w$]* ) \s* = (?! = )""",
        rf"""\b indexedDB \s* \. \s* open \s* \( \s* {_NAME} ["'`]""",
        rf"""\b caches \s* \. \s* open \s* \( \s* {_NAME} ["'`]""",
    ),
    REQUEST: (
        r"""\b (?: fetch | sendBeacon | importScripts | import | WebSocket | EventSource | (?: Shared )? Worker )
        \s* \( \s* ["'`] (?P<name> (?: (?: https? | wss? ) : )? // [^"'`\s]+ ) """,
        r"""\b open \s* \( \s* ["'`] [A-Za-z]+ ["'`] \s* , \s* ["'`] (?P<name> (?: https? : )? // [^"'`\s]+ )""",
        r"""\. \s* (?: src | srcset ) \s* = \s* ["'`] (?P<name> (?: https? : )? // [^"'`\s]+ )""",
        r"""\b (?: from | import ) \s* ["'] (?P<name> (?: https? : )? // [^"'\s]+ )""",
    ),
}
_PATTERNS = [(kind, re.compile(pattern, re.VERBOSE)) for kind, patterns in _STATEMENTS.items() for pattern in patterns]
_ASKS_FOR_CONSENT = re.compile(r"\b consent \s* \??\. \s* (?: allows | purposes | on )", re.VERBOSE)


def without_comments(code: str) -> str:
    """Return a script without its comments, with all lines where they were."""

    def blank(match: re.Match[str]) -> str:
        return re.sub(r"[^\n]", " ", match[0]) if match["comment"] else match[0]

    return _COMMENT_OR_STRING.sub(blank, code)


def read_script(code: str, first_line: int = 1) -> Iterator[Sight]:
    """Yield what a script does wherever its text says so in one statement.

    Args:
        code: the text of the script.
        first_line: the line of the document that the text begins on.
    """
    plain = without_comments(code)
    asks = _ASKS_FOR_CONSENT.search(plain) is not None
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(plain):
            name = match["name"].strip()
            if name:
                line = first_line + plain.count("\n", 0, match.start())
                field = _QUOTE.split(match.groupdict().get("field") or "")[0]
                yield Sight(kind, name, line, shorten(match[0]), field=field, asks=asks)


def shorten(text: str) -> str:
    """Return a text on one line, for a message."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_SHOWN else f"{line[: _LONGEST_SHOWN - 3]}..."
