"""The text that a visitor answered: rendered again for the record, and restored word for word years later."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, TypedDict

from markupsafe import Markup

from cookie_consent.base.bounds import LONGEST_KEPT
from cookie_consent.base.clock import seconds_of
from cookie_consent.decision.decision import Decision
from cookie_consent.ledgers import Ledger
from cookie_consent.ledgers.records import ShownText
from cookie_consent.pages.assets import assets
from cookie_consent.pages.inserted import CardContent
from cookie_consent.pages.pages import NOTICES, KeptSummary, Pages
from cookie_consent.pages.question import QuestionOptions
from cookie_consent.pages.wording import written_day
from cookie_consent.policy.parts import Cookie, Feature
from cookie_consent.policy.policy import Card

SURFACES = ("banner", "again", "settings", "box", "card", "page", "opt_out")
"""The kinds of pages and boxes on which a visitor can answer."""
_OF_ONE_FORM = re.compile(r'(name="(?:once|answered|first|card)" value=")[^"]*')
_MARKS = ("⟦answered before⟧", "⟦valid until⟧")
"""Placeholders in the stored text of a settings page, for the two dates that differ between visitors."""

_UNKNOWN_DATE = "…"
"""Replaces the dates in the text of a refusal, whose record does not name an earlier answer."""

_NO_DAY = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp())
"""The time of the answer while a text is rendered. No policy contains the date of this day, nor of the day on which
such an answer expires."""
_NO_VISITOR = KeptSummary(consent_id="", records=0, visitor_id="", takes_requests=True)
"""Stands for the visitor's own data on a settings page: a stored text must not contain an id."""


class _Where(TypedDict):
    base: str
    language: str
    next_path: str


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
        card: what a card is about; None for other kinds.
        title: the title that the app gave a card; "" for none.
        reloads: whether a card had the page loaded again.
    """

    kind: str
    feature: Feature | None = None
    missing: tuple[str, ...] = ()
    notice: str = ""
    counts_on: tuple[str, ...] = ()
    card: Card | None = None
    title: str = ""
    reloads: bool = False


def shown(  # noqa: PLR0913 (all that the text is made from)
    pages: Pages,
    decision: Decision,
    surface: Surface,
    *,
    base: str,
    language: str,
    own_cookies: tuple[Cookie, ...],
    answered_before: int | None,
) -> ShownText:
    """Return the text that a visitor was shown, as the ledger stores it.

    Args:
        pages: the renderer of the text.
        decision: the decision when it was shown.
        surface: the page or box that the visitor answered on.
        base: the address of the settings page.
        language: the language that it was shown in.
        own_cookies: see `Pages.settings`.
        answered_before: when the earlier answer was given, in seconds since 1970; None for none. If a form was opened
            before a newer answer, it showed other dates than the record has: those stay in the text.
    """
    record, prevailing = decision.record, decision.policy.site.prevailing_language
    differs = record is not None and record.decided_at != answered_before
    dates = [record.decided_at, record.expires_at] if record and differs else []
    surface_shown = surface if surface.notice in NOTICES else replace(surface, notice="")
    undated = decision if record is None else replace(decision, record=replace(record, decided_at=_NO_DAY))

    def in_language(tag: str) -> str:
        where = _Where(base=base, language=tag, next_path="")
        text = _template(pages, undated, surface_shown, where, own_cookies)
        return _filled(text, [written_day(date, tag) for date in dates]) if dates else text

    html = in_language(language)
    return ShownText(
        surface=surface.kind,
        feature=surface.feature.id if surface.feature else None,
        html=html,
        prevailing_html=html if prevailing == language else in_language(prevailing),
        build=build(),
    )


def _template(
    pages: Pages, decision: Decision, surface: Surface, where: _Where, own_cookies: tuple[Cookie, ...]
) -> str:
    """Return a text with placeholders for what differs between visitors. It is cached for all who see the same."""
    record, feature = decision.record, surface.feature
    answers = (record.policy, tuple(record.answers.items()), record.overridden_by) if record else None
    state = (decision.policy, decision.status, decision.signals, tuple(decision.reasons.values()), answers)
    about = surface.card.id if surface.card else feature.id if feature else ""
    place = (surface.kind, about, surface.title, surface.reloads, surface.missing, surface.notice, surface.counts_on)
    cookies = tuple((cookie.name, cookie.duration) for cookie in own_cookies)
    key = (state, place, cookies, where["base"], where["language"])

    def make() -> str:
        text = _OF_ONE_FORM.sub(r"\1", _render(pages, decision, surface, where, own_cookies))
        days = [record.decided_at, record.expires_at] if record else []
        for day, mark in zip(days, _MARKS, strict=False):
            text = text.replace(written_day(day, where["language"]), mark)
        return text

    # A mount path can come from the client: a long one must not fill the cache.
    return pages.evidence.get(key, make) if len(where["base"]) <= LONGEST_KEPT else make()


def _render(pages: Pages, decision: Decision, surface: Surface, where: _Where, own_cookies: tuple[Cookie, ...]) -> str:
    kind, feature = surface.kind, surface.feature
    if kind in ("banner", "again"):
        options = QuestionOptions(again=kind == "again")
        return pages.banner(decision, options=options, **where).decode()
    if kind == "settings":
        return pages.settings(
            decision,
            own_cookies=own_cookies,
            counts_on=surface.counts_on,
            kept=_NO_VISITOR,
            notice=surface.notice,
            **where,
        )
    if kind == "opt_out":
        return pages.do_not_sell(decision, **where)
    if surface.card is not None:
        content = CardContent(html=Markup(), title=surface.title)
        options = QuestionOptions(reloads=surface.reloads)
        return pages.card(decision, card=surface.card, content=content, options=options, **where)
    if kind == "box" and feature is not None:
        return pages.unavailable_box(decision, feature=feature, **where)
    return pages.unavailable(decision, missing=surface.missing, feature=feature, **where)


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
    texts = [await ledger.text(record[name]) for name in ("text", "prevailing_text")]
    dates = _dates(record)
    languages = (record["language"], record["prevailing_language"])
    html, prevailing = (
        _filled(text or "", [written_day(date, language) for date in dates])
        for text, language in zip(texts, languages, strict=True)
    )
    return ExplainedText(html, prevailing)


@cache
def build() -> str:
    """Return a hash of the templates, scripts and style sheets that questions are made of; 16 hexadecimal digits."""
    # Sorted: the order of a folder differs between machines.
    templates = sorted((Path(__file__).parent / "templates").glob("*.html"))
    parts = [*(template.read_bytes() for template in templates), *(asset.content for asset in assets().values())]
    return hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]


def _dates(record: Mapping[str, Any]) -> list[float]:
    """Return when the earlier answer was given and when it expired; empty without an earlier answer."""
    if not record["answered_before"]:
        return []
    before = seconds_of(record["answered_before"])
    return [before, before + seconds_of(record["expires_at"]) - seconds_of(record["decided_at"])]


def _filled(text: str, dates: list[str]) -> str:
    for mark, date in zip(_MARKS, dates or [_UNKNOWN_DATE] * len(_MARKS), strict=True):
        text = text.replace(mark, date)
    return text
