"""Parses Content-Security-Policies as browsers do.

Section numbers in this package refer to CSP Level 3, https://www.w3.org/TR/CSP3/.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from cookie_consent.base.caching import Headers

ENFORCED, REPORTED = b"content-security-policy", b"content-security-policy-report-only"
CHILD, DEFAULT, SCRIPT, STYLE, WORKER = b"child-src", b"default-src", b"script-src", b"style-src", b"worker-src"
REPORT_TO, REPORT_URI = b"report-to", b"report-uri"
NONE = b"'none'"
_FALLBACKS = {
    b"base-uri": (),
    b"form-action": (),
    b"frame-src": (CHILD, DEFAULT),
    b"script-src-attr": (SCRIPT, DEFAULT),
    b"script-src-elem": (SCRIPT, DEFAULT),
    b"style-src-attr": (STYLE, DEFAULT),
    b"style-src-elem": (STYLE, DEFAULT),
    WORKER: (CHILD, SCRIPT, DEFAULT),
}
"""Directive -> its fallbacks. The first one present applies if the directive is missing (section 6.8.3)."""
_WORD = re.compile(rb"[^\t\n\f\r ]+")


class ParsedPolicy:
    """A policy as browsers parse it: the first directive of each name counts, if it is ASCII (section 2.2.1)."""

    def __init__(self, serialized: bytes) -> None:
        self._parts = serialized.split(b";")
        self._places: dict[bytes, int] = {}
        for place, part in enumerate(self._parts):
            name = _WORD.search(part)
            if name and part.isascii():
                self._places.setdefault(name[0].lower(), place)

    def has(self, directive: bytes) -> bool:
        """Return whether the policy has a directive of this name."""
        return directive in self._places

    def holding(self, directive: bytes) -> bytes | None:
        """Return the directive that applies for another: itself or its first present fallback, or None."""
        names = (directive, *_FALLBACKS.get(directive, (DEFAULT,)))
        return next((name for name in names if name in self._places), None)

    def words(self, directive: bytes) -> list[bytes]:
        """Return the source expressions that apply for a directive."""
        holding = self.holding(directive)
        return [] if holding is None else _WORD.findall(self._parts[self._places[holding]])[1:]

    def serialized(self) -> bytes:
        """Return the policy as a header field's value."""
        return b";".join(self._parts)

    def write(self, directive: bytes, words: list[bytes]) -> None:
        """Replace the source expressions of a directive, or add the directive at the end."""
        if directive not in self._places:
            # A policy may end with ";", which leaves an empty part to use.
            if _WORD.search(self._parts[-1]):
                self._parts.append(b" ")
            self._parts[-1] += directive
            self._places[directive] = len(self._parts) - 1
        place = self._places[directive]
        name = _WORD.findall(self._parts[place])[0]  # in the app's spelling
        before = self._parts[place].partition(name)[0]
        self._parts[place] = before + b" ".join([name, *words])


def parsed(value: bytes) -> list[ParsedPolicy]:
    """Return the policies in one header field, which commas part."""
    return [ParsedPolicy(policy) for policy in value.split(b",")]


def has_policy(headers: Headers) -> bool:
    """Return whether a response has a Content-Security-Policy, enforced or report-only."""
    return any(name.lower() in (ENFORCED, REPORTED) for name, _ in headers)


def header_policies(headers: Headers) -> list[bytes]:
    """Return the Content-Security-Policies of a response, enforced or report-only."""
    return [value for name, value in headers if name.lower() in (ENFORCED, REPORTED)]


def lowered(words: Iterable[bytes]) -> set[bytes]:
    """Return source expressions in lowercase, as hosts and keywords are compared."""
    return {word.lower() for word in words}
