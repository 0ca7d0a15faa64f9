"""How a page asks, and the marks in cached HTML for what differs between pages and visitors."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from markupsafe import Markup, escape

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.decision.decision import Decision

IN_FIELD, IN_LINK = "\0field\0", "\0link\0"
"""Marks for the return path in cached HTML. No policy contains a NUL."""
FORM_ID = Markup("\0form_id\0")
"""Mark for the form id. It is unique to a page, so that a form sent twice is recognised."""
ANSWERED = Markup("\0answered\0")
"""Mark for the time of the answer that the question shows."""
FIRST = Markup("\0first\0")
"""Mark for whether the question is the first of a visit: "1" or nothing. The answer sends it back."""
ARRIVED = Markup("\0arrived\0")
"""Mark for the referrer, on the buttons that may allow tracing."""
REFERRER = "referrer"
"""The parameter with the origin that the visitor came from, in forms that may allow tracing."""


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    """How a page asks the question.

    Args:
        reloads: whether the page has to be reloaded after a grant.
        again: whether the visitor opened the question, to see or change the answer.
        referrer: the origin of the site that the visitor came from; "" for none.
        by_script: whether the script reported Global Privacy Control, possibly without a header field. The form then
            reports it too.
        shared: in a page that is the same for everybody, the name without prefix of the cookie that tells what holds;
            "" in other pages.
        asks_first: whether such a page may show the question only after the server was asked.
        first: whether it is the first question of a visit: the visitor came from elsewhere.
        form_id: the id of the form; None for a new one.
    """

    reloads: bool = False
    again: bool = False
    referrer: str = ""
    by_script: bool = False
    shared: str = ""
    asks_first: bool = False
    first: bool = False
    form_id: bytes | None = None


DEFAULT_OPTIONS = QuestionOptions()
"""How most pages ask."""


def banner_values(
    decision: Decision, base: str, next_path: str, options: QuestionOptions, form_id: bytes
) -> dict[bytes, bytes]:
    """Return the values for the marks in a cached question."""
    in_field, in_link = escaped_path(next_path)
    arrived = Markup()
    if options.referrer:  # a button adds it to the answer, in case the answer allows tracing
        arrived = Markup(' formaction="{}?{}={}"').format(base, REFERRER, quote(options.referrer, safe=""))
    return {
        b"field": in_field,
        b"link": in_link,
        b"form_id": form_id,
        b"answered": b"%d" % answered_at(decision),
        b"first": b"1" if options.first else b"",
        b"arrived": arrived.encode("ascii", "xmlcharrefreplace"),
    }


def escaped_path(next_path: str) -> tuple[bytes, bytes]:
    """Return an ASCII path, escaped for an attribute and quoted for the query of a link."""
    return _written(next_path) if len(next_path) <= LONGEST_KEPT else _written.__wrapped__(next_path)


@lru_cache(maxsize=512)
def _written(next_path: str) -> tuple[bytes, bytes]:
    return escape(next_path).encode("ascii", "xmlcharrefreplace"), quote(next_path).encode()


def answered_at(decision: Decision) -> int:
    """Return when the shown answer was given, in seconds since 1970; 0 without an answer."""
    return decision.record.decided_at if decision.record else 0
