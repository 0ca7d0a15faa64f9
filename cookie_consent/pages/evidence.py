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
from cookie_consent.pages.context import QuestionOptions
from cookie_consent.pages.pages import NOTHING_KEPT, Pages
from cookie_consent.pages.wording import write_day

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


@dataclass(frozen=True, slots=True)
class ExplainedText:
    """The text that a visitor answered.

    Args:
        html: the exact text.
        prevailing_html: the same text in the prevailing language.
    """

    html: str
    prevailing_html: str


def render_evidence(  # noqa: PLR0913 (what was shown, and where)
    pages: Pages,
    decision: Decision,
    surface: str,
    details: Mapping[str, Any],
    *,
    base: str,
    language: str,
    answered_before: int | None,
) -> ShownText:
    """Return the text that a visitor was shown, as the ledger stores it.

    If the form was opened before a newer answer than `answered_before`, it showed other dates than the record has: they
    stay in the text.

    Args:
        pages: renders it.
        decision: the decision when it was shown.
        surface: one of `SURFACES`.
        details: further arguments of the method of `Pages` that renders it; of a page without a name for what is off,
            "missing" and no "feature".
        base: the path of the endpoints.
        language: the language that was shown.
        answered_before: when the visitor's previous answer was given; None for no answer.
    """
    dates: list[float] = []
    record = decision.record
    if record is not None:
        if record.decided_at != answered_before:
            dates = [record.decided_at, record.expires_at]
        decision = replace(decision, record=replace(record, decided_at=_NO_DAY))

    def render(tag: str) -> str:
        text = _render_undated(pages, decision, surface, details, base=base, language=tag)
        return _fill_dates(text, dates, tag) if dates else text

    card = details.get("card")
    feature = card.feature if card else details.get("feature")
    return ShownText(
        surface=surface,
        feature=feature.id if feature else None,
        html=render(language),
        prevailing_html=render(decision.policy.site.prevailing_language),
        build=hash_sources(),
    )


def _render_undated(
    pages: Pages, decision: Decision, surface: str, details: Mapping[str, Any], *, base: str, language: str
) -> str:
    """Return a text with marks for what differs between visitors. It is cached for all who see the same."""
    record = decision.record
    answers = (record.policy, tuple(record.answers.items()), record.overridden_by) if record else None
    reasons = tuple(decision.reasons.values())
    seen = (decision.policy, decision.status, decision.signals, reasons, answers)
    key = (*seen, surface, repr(details), base, language)
    known = pages.evidence.get(key)
    if known is not None:
        return known
    html = _render(pages, decision, surface, **details, base=base, language=language, next_path="")
    text = _FORM_VALUES.sub(r"\1", html)
    if record is not None:
        text = text.replace(write_day(record.decided_at, language), _MARKS[0])
        text = text.replace(write_day(record.expires_at, language), _MARKS[1])
    # A mount path can come from the client: a long one must not fill the cache.
    return text if len(base) > LONGEST_KEPT else pages.evidence.keep(key, text, len(text))


def _render(pages: Pages, decision: Decision, surface: str, **details: Any) -> str:
    if surface in ("banner", "again"):
        return pages.banner(decision, options=QuestionOptions(again=surface == "again"), **details).decode()
    if surface == "settings":
        # A stored text must not contain an id.
        return pages.settings(decision, kept=NOTHING_KEPT, **details)
    if surface == "opt_out":
        return pages.page("do_not_sell.html", decision, **details)
    if surface == "card":
        return pages.card(decision, **details)
    return pages.unavailable(decision, **details) if "missing" in details else pages.box(decision, **details)


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
