"""Walks through a whole document: where elements are that load something, or whose content is no HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from cookie_consent.base.html.syntax import NAMED, REST, SPACE, STATES, compiled, within

_NAMES = "|".join(
    (
        *("script", "iframe", "style", "title", "textarea", "xmp", "noembed", "noframes"),  # with text
        *("frame", "img", "input", "video", "audio", "source", "track", "link", "form", "embed", "object"),
        "/?template",
    )
)
_NEXT = compiled(
    rf"""(?>(?: [^<]++ | < (?! !-- | (?: {_NAMES} ) {NAMED} ) (?:
        /? [a-z] [^{SPACE}/>]*+ {REST}
      | (?: ! | \? | / (?! [a-z] ) ) [^>]*+ >
      | (?! [a-z!?/] ) ) )*)
    < (?: !-- | (?P<name> {_NAMES} ) (?P<rest> {REST} ) )"""
)
"""The next comment or element of interest, behind text and other tags. A tag that never ends is the document's end."""


class Element(NamedTuple):
    """An element as it stands in a document.

    Args:
        name: its name in lowercase. The end of a template is "/template".
        rest: what follows the name in its tag.
        start: the position of its tag.
        begin: the position after its tag.
        end: the position at which its text ends.
        is_open: whether its text never ends.
    """

    name: str
    rest: bytes
    start: int
    begin: int
    end: int
    is_open: bool


def elements(document: bytes) -> Iterator[Element]:
    """Yield the elements of interest outside comments."""
    at = 0
    while match := _NEXT.match(document, at):
        begin = at = match.end()
        name = (match["name"] or b"").lower().decode()
        state = name if name in STATES else "done"
        if not name:
            state = "comment"
            at -= len(b"--")  # of its beginning, as in "<!-->"
        while state not in ("tag", "done", ""):
            state, at = within(state, document, at)
        if name:
            yield Element(name, match["rest"], match.start("name") - len(b"<"), begin, at, not state)
