"""The text that a visitor answered: rendered again for the record, and restored word for word years later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.clock import seconds_of
from cookie_consent.decision.decision import Decision
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.records import ShownText
from cookie_consent.pages.assets import assets
from cookie_consent.pages.pages import NOTICES, KeptSummary, Pages
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.pages.wording import write_day
from cookie_consent.policy.parts import Cookie, Feature
from cookie_consent.policy.policy import Card

SURFACES = ("banner", "again", "settings", "box", "card", "page", "opt_out")
"""The kinds of pages and boxes on which a visitor can answer."""
_FORM_VALUES = re.compile(r'(name="(?:once|answered|first|card)" value=")[^"]*')
"""What differs between two forms that say the same."""
_MARKS = ("⟦answered before⟧", "⟦valid until⟧")
"""Placeholders in the stored text of a settings page, for the two dates that differ between visitors."""
_UNKNOWN_DATE = "…"
"""Replaces the dates in the text of a refusal, whose record does not name an earlier answer."""
_NO_DAY = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp())
"""The time of the answer while a text is rendered. No policy contains the date of this day, nor of the day on which
such an answer expires."""
_NO_VISITOR = KeptSummary(consent_id="", records=0, visitor_id="", takes_requests=True)
"""Stands for the visitor's own data on a settings page: a stored text must not contain an id."""


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """The text that a visitor answered.

    Args:
        html: the exact text.
        prevailing_html: the same text in the prevailing language.
    """

    html: str
    prevailing_html: str


@dataclass(frozen=True, slots=True)
class Surface:
    """The page or box that a visitor answers on.

    Args:
        kind: one of `SURFACES`.
        feature: the feature that needs consent, for a box or page about one.
        missing: the ids of the purposes that a page asks for.
        notice: the name of the message on a settings page; see `Pages.settings`.
        counts_on: the hosts that a settings page names; see `Pages.settings`.
        own_cookies: our own cookies, which a settings page lists.
        card: what a card is about; None for other kinds.
        title: the title that the app gave a card; "" for none.
        reloads: whether a card had the page loaded again.
    """

    kind: str
    feature: Feature | None = None
    missing: tuple[str, ...] = ()
    notice: str = ""
    counts_on: tuple[str, ...] = ()
    own_cookies: tuple[Cookie, ...] = ()
    card: Card | None = None
    title: str = ""
    reloads: bool = False


def render_evidence(
    pages: Pages,
    decision: Decision,
    surface: Surface,
    *,
    base: str,
    language: str,
    answered_before: int | None,
) -> ShownText:
    """Return the text that a visitor was shown, as the ledger stores it.

    `decision` is the one when it was shown. If the form was opened before a newer answer than `answered_before`, it
    showed other dates than the record has: those stay in the text.
    """
    dates: list[float] = []
    record = decision.record
    if record is not None:
        if record.decided_at != answered_before:
            dates = [record.decided_at, record.expires_at]
        decision = replace(decision, record=replace(record, decided_at=_NO_DAY))
    if surface.notice not in NOTICES:
        surface = replace(surface, notice="")

    def render(tag: str) -> str:
        text = _render_undated(pages, decision, surface, base, tag)
        return _fill_dates(text, dates, tag) if dates else text

    return ShownText(
        surface=surface.kind,
        feature=surface.feature.id if surface.feature else None,
        html=render(language),
        prevailing_html=render(decision.policy.site.prevailing_language),
        build=hash_sources(),
    )


def _render_undated(pages: Pages, decision: Decision, surface: Surface, base: str, language: str) -> str:
    """Return a text with marks for what differs between visitors. It is cached for all who see the same."""
    record = decision.record
    answers = (record.policy, tuple(record.answers.items()), record.overridden_by) if record else None
    key = (
        decision.policy,
        decision.status,
        decision.signals,
        tuple(decision.reasons.values()),
        answers,
        surface.kind,
        surface.feature and surface.feature.id,
        surface.card and surface.card.id,
        surface.title,
        surface.reloads,
        surface.missing,
        surface.notice,
        surface.counts_on,
        tuple((cookie.name, cookie.duration) for cookie in surface.own_cookies),
        base,
        language,
    )
    known = pages.evidence.get(key)
    if known is not None:
        return known
    html = _render(pages, decision, surface, base=base, language=language, next_path="")
    text = _FORM_VALUES.sub(r"\1", html)
    if record is not None:
        text = text.replace(write_day(record.decided_at, language), _MARKS[0])
        text = text.replace(write_day(record.expires_at, language), _MARKS[1])
    # A mount path can come from the client: a long one must not fill the cache.
    return text if len(base) > LONGEST_KEPT else pages.evidence.keep(key, text, len(text))


def _render(pages: Pages, decision: Decision, surface: Surface, **where: Any) -> str:
    if surface.kind in ("banner", "again"):
        options = QuestionOptions(again=surface.kind == "again")
        return pages.banner(decision, options=options, **where).decode()
    if surface.kind == "settings":
        return pages.settings(
            decision,
            own_cookies=surface.own_cookies,
            counts_on=surface.counts_on,
            kept=_NO_VISITOR,
            notice=surface.notice,
            **where,
        )
    if surface.kind == "opt_out":
        return pages.page("do_not_sell.html", decision, **where)
    if surface.card is not None:
        return pages.card(decision, card=surface.card, title=surface.title, reloads=surface.reloads, **where)
    if surface.kind == "box" and surface.feature is not None:
        return pages.box(decision, feature=surface.feature, **where)
    return pages.unavailable(decision, missing=surface.missing, feature=surface.feature, **where)


async def explain(ledger: Ledger, record: Mapping[str, Any]) -> ExplainedText | None:
    """Return the text that was shown for a record (EDPB Guidelines 05/2020, paragraph 108).

    Args:
        ledger: the ledger with the record, and with the texts that it cites.
        record: the record, as the ledger returns it.

    Returns:
        None if the site showed no text: the answer came from a program of the site's own, or from a signal.
    """
    if not record.get("text"):
        return None
    dates: list[float] = []
    if record["answered_before"]:
        before = seconds_of(record["answered_before"])
        dates = [before, before + seconds_of(record["expires_at"]) - seconds_of(record["decided_at"])]
    html = await ledger.text(record["text"])
    prevailing_html = await ledger.text(record["prevailing_text"])
    return ExplainedText(
        _fill_dates(html or "", dates, record["language"]),
        _fill_dates(prevailing_html or "", dates, record["prevailing_language"]),
    )


@cache
def hash_sources() -> str:
    """Return a hash of the templates, scripts and style sheets that questions are made of; 16 hexadecimal digits."""
    # Sorted: the order of a folder differs between machines.
    templates = sorted((Path(__file__).parent / "templates").glob("*.html"))
    parts = [*(template.read_bytes() for template in templates), *(asset.content for asset in assets().values())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _fill_dates(text: str, dates: list[float], language: str) -> str:
    """Return a text with two dates in place of the marks, or with signs that they are not known."""
    for number, mark in enumerate(_MARKS):
        day = write_day(dates[number], language) if dates else _UNKNOWN_DATE
        text = text.replace(mark, day)
    return text
