"""What was shown when an answer was given: made again as it stood there, and told years later, word for word."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from cookie_consent.base.dates import seconds_of
from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.decision.decision import Decision
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.records import Shown
from cookie_consent.policy.parts import Cookie, Feature
from cookie_consent.visitors.pages.assets import assets
from cookie_consent.visitors.pages.pages import NOTICES, Asking, Kept, Pages
from cookie_consent.visitors.pages.wording import written_day

SURFACES = ("banner", "again", "settings", "box", "page", "opt_out")
"""Where answers are given."""
_OF_ONE_FORM = re.compile(r'(name="(?:once|answered)" value=")[^"]*')
_BODY = re.compile(r"<body[^>]*>(.*)</body>", re.DOTALL)
_LOADED = re.compile(r"</?main>|<link [^>]*>|<script [^>]*></script>")
_DIALOG = re.compile(r"<(/?)dialog\b")
_MARKS = ("⟦answered before⟧", "⟦valid until⟧")
"""Stand in the kept text of a settings page for the two dates that are each visitor's own."""

_UNKNOWN_DATE = "…"
"""Stands for the dates of a refusal that no record names, since it stands alone."""

_NO_DAY = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp())
"""Stands for when an answer was given while a text is made: no policy says this day, nor the one on which it ends."""
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
    record, prevailing = decision.record, decision.policy.site.prevailing_language
    stays = record is not None and record.decided_at != answered_before
    dates = _days_of(record.decided_at, pages.lifetime) if record and stays else []
    known = surface if surface.notice in NOTICES else replace(surface, notice="")
    undated = decision if record is None else replace(decision, record=replace(record, decided_at=_NO_DAY))

    def in_language(tag: str) -> str:
        where = _Where(base=base, language=tag, next_path="")
        text = _made(pages, undated, known, where, own_cookies)
        return _filled(text, [written_day(date, tag) for date in dates]) if dates else text

    html = in_language(language)
    return Shown(
        surface=surface.kind,
        feature=surface.feature.id if surface.feature else None,
        html=html,
        prevailing_html=html if prevailing == language else in_language(prevailing),
        build=build(),
    )


def _made(pages: Pages, decision: Decision, surface: Surface, where: _Where, own_cookies: tuple[Cookie, ...]) -> str:
    """Return a text without what is a visitor's own; it is made once for all who see the same."""
    record, feature = decision.record, surface.feature
    said = (record.policy, tuple(record.answers.items()), record.overruled) if record else None
    state = (decision.policy, decision.status, decision.signals, tuple(decision.purposes.values()), said)
    seen = (surface.kind, feature.id if feature else "", surface.missing, surface.notice)
    cookies = tuple((cookie.name, cookie.duration) for cookie in own_cookies)
    key = (state, decision.should_ask, seen, cookies, where["base"], where["language"])

    def make() -> str:
        text = _OF_ONE_FORM.sub(r"\1", _rendered(pages, decision, surface, where, own_cookies))
        days = _days_of(_NO_DAY, pages.lifetime) if record else []
        for day, mark in zip(days, _MARKS, strict=False):
            text = text.replace(written_day(day, where["language"]), mark)
        return text

    return pages.evidence.get(key, make) if len(where["base"]) <= LONGEST_KEPT else make()


def _rendered(
    pages: Pages, decision: Decision, surface: Surface, where: _Where, own_cookies: tuple[Cookie, ...]
) -> str:
    kind, feature = surface.kind, surface.feature
    if kind in ("banner", "again"):
        return pages.banner(decision, asking=Asking(again=kind == "again"), **where).decode()
    if kind == "settings":
        return pages.settings(decision, own_cookies=own_cookies, kept=_NOBODYS, notice=surface.notice, **where)
    if kind == "opt_out":
        return pages.do_not_sell(decision, **where)
    if kind == "box" and feature is not None:
        return pages.unavailable_box(decision, feature=feature, **where)
    return pages.unavailable(decision, missing=surface.missing, feature=feature, **where)


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


def _days_of(answered_at: int, lifetime: timedelta) -> list[float]:
    """Return when an answer was given, and until when it is valid."""
    return [answered_at, answered_at + lifetime.total_seconds()]


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
