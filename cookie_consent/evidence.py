"""What was shown when an answer was given: made again as it stood there, and told years later, word for word."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from cookie_consent.assets import assets
from cookie_consent.decision import Decision
from cookie_consent.ledgers import Ledger
from cookie_consent.pages import NOTICES, Asking, Kept, Pages
from cookie_consent.parts import Cookie, Feature
from cookie_consent.proof import Shown
from cookie_consent.timestamps import seconds_of
from cookie_consent.wording import written_day

SURFACES = ("banner", "again", "settings", "box", "page")
"""Where answers are given."""
_OF_ONE_FORM = re.compile(r'(name="(?:once|answered)" value=")[^"]*')
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)
_LOADED = re.compile(r"</?main>|<link [^>]*>|<script [^>]*></script>")
_DIALOG = re.compile(r"<(/?)dialog\b")
_MARKS = ("⟦answered before⟧", "⟦valid until⟧")
"""Stand in the kept text of a settings page for the two dates that are each visitor's own."""

_UNKNOWN_DATE = "…"
"""Stands for the dates of a refusal that no record names, since it stands alone."""

_NOBODYS = Kept(consent_id="", records=0, visitor_id="", takes_requests=True)
"""Stands in place of what a settings page says of the visitor's own records: no id may be in a text."""


class _Where(TypedDict):
    base: str
    language: str
    next_path: str


@dataclass(frozen=True, slots=True)
class Explained:
    """What was shown when an answer was given.

    Args:
        html: the very text.
        prevailing_html: the same in the prevailing language.
    """

    html: str
    prevailing_html: str


@dataclass(frozen=True, slots=True)
class Surface:
    """What a visitor answers on.

    Args:
        kind: one of `SURFACES`.
        feature: the feature that needs consent, on a box or page.
        missing: the ids of the purposes that a page asks for.
        notice: the name of the message over a settings page; see `Pages.settings`.
    """

    kind: str
    feature: Feature | None = None
    missing: tuple[str, ...] = ()
    notice: str = ""


def shown(  # noqa: PLR0913 (all that the text is made from)
    pages: Pages,
    decision: Decision,
    surface: Surface,
    *,
    base: str,
    language: str,
    own_cookies: tuple[Cookie, ...],
    answered_before: int | None,
) -> Shown:
    """Return what a visitor was shown, as it is kept.

    Args:
        pages: made it.
        decision: what held when it was shown.
        surface: what the visitor answered on.
        base: the address of the settings page.
        language: the language that it was shown in.
        own_cookies: see `Pages.settings`.
        answered_before: when the answer before was given; None for none. The dates of another, which a form that lay
            open showed, stay in the text.
    """
    kind, feature = surface.kind, surface.feature

    def in_language(tag: str) -> str:
        where = _Where(base=base, language=tag, next_path="")
        if kind in ("banner", "again"):
            text = pages.banner(decision, asking=Asking(again=kind == "again"), **where).decode()
        elif kind == "settings":
            notice = surface.notice if surface.notice in NOTICES else ""
            text = pages.settings(decision, own_cookies=own_cookies, kept=_NOBODYS, notice=notice, **where)
        elif kind == "box" and feature is not None:
            text = pages.unavailable_box(decision, feature=feature, **where)
        else:
            text = pages.unavailable(decision, missing=surface.missing, feature=feature, **where)
        return _without_what_is_the_visitors(text, answered_before, pages.lifetime, tag)

    html, prevailing = in_language(language), decision.policy.site.prevailing_language
    return Shown(
        surface=kind,
        feature=feature.id if feature else None,
        html=html,
        prevailing_html=html if prevailing == language else in_language(prevailing),
        build=build(),
    )


async def explain(ledger: Ledger, record: Mapping[str, Any]) -> Explained | None:
    """Return what was shown when a record was made (EDPB Guidelines 05/2020, paragraph 108).

    Args:
        ledger: keeps the record, and what it cites.
        record: the record, as the ledger returns it.

    Returns:
        None where the site has not shown it itself: the answer came from a program of its own, or by a signal.
    """
    if not record.get("text"):
        return None
    texts = [await ledger.text(record[name]) for name in ("text", "prevailing_text")]
    dates = _dates(record)
    languages = (record["language"], record["prevailing_language"])
    html, prevailing = (
        _filled(text or "", [written_day(date, language) for date in dates])
        for text, language in zip(texts, languages, strict=True)
    )
    return Explained(html, prevailing)


def body_of(html: str) -> str:
    """Return what a text shows, to be shown inside of another page: without what belongs to a page as a whole."""
    inside = _BODY.search(html)
    # An open dialog would lie over the page around it.
    return _DIALOG.sub(r"<\1div", _LOADED.sub("", inside[1] if inside else html))


@cache
def build() -> str:
    """Return the hash of what questions are made of: templates, script, style; 16 hexadecimal digits."""
    templates = sorted((Path(__file__).parent / "templates").glob("*.html"))
    parts = [*(template.read_bytes() for template in templates), *(asset.content for asset in assets().values())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _without_what_is_the_visitors(text: str, answered: int | None, lifetime: timedelta, language: str) -> str:
    text = _OF_ONE_FORM.sub(r"\1", text)
    if answered is not None:
        for date, mark in zip((answered, answered + lifetime.total_seconds()), _MARKS, strict=True):
            text = text.replace(written_day(date, language), mark)
    return text


def _dates(record: Mapping[str, Any]) -> list[float]:
    """Return when the answer before was given, and until when it was valid, if there was one."""
    if not record["answered_before"]:
        return []
    before = seconds_of(record["answered_before"])
    return [before, before + seconds_of(record["expires_at"]) - seconds_of(record["decided_at"])]


def _filled(text: str, dates: list[str]) -> str:
    for mark, date in zip(_MARKS, dates or [_UNKNOWN_DATE] * len(_MARKS), strict=True):
        text = text.replace(mark, date)
    return text
