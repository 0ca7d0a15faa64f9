"""What the laws of a place ask of a site. `laws.toml` describes each law."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated

from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.syntax import rule
from cookie_consent.texts.locales import is_country

_PLACE = re.compile(r"([A-Z]{2})(-[A-Z0-9]{1,3})?")
"""A country of ISO 3166-1, or a part of one of ISO 3166-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """What the law of a place asks, as far as the program acts on it.

    Args:
        code: how a policy names it.
        name: the place, in a sentence.
        places: the countries that it holds in, or the parts of them.
        provisions: the provisions.
        model: "opt-in" (nothing optional before a yes) or "opt-out" (it runs until a no).
        certainty: "primary" if the law's or the authority's own text was read, else "secondary".
        reviewed_on: when this entry was last compared with its sources.
        review_by: when the next review is due.
        sources: the sources.
        purposes: key of [purposes.ID] that has to be written -> the provision that asks for it.
        recipients: the same for [[recipients]].
        binding_signals: names of the browser's signals that a policy may not ignore.
        asked_again_days: for how many days nobody is asked again who refused; 0 if the law names no time.
        closing_refuses: whether closing the question counts as a refusal.
        notice_language: the language, beside others, of a page that tells what is sent to whom; "" if no law asks for
            that page.
        vague_words: words that do not say what is sent.
        asks_still: what other provisions ask for although this one leaves a choice; "" for nothing.
    """

    code: str
    name: str
    places: Sequence[str]
    provisions: str
    model: str
    certainty: str
    reviewed_on: date
    review_by: date
    sources: Sequence[str]
    purposes: Mapping[str, str] = field(default_factory=dict)
    recipients: Mapping[str, str] = field(default_factory=dict)
    binding_signals: Sequence[str] = ()
    asked_again_days: int = 0
    closing_refuses: bool = False
    notice_language: str = ""
    vague_words: Sequence[str] = ()
    asks_still: str = ""

    @property
    def is_opt_out(self) -> bool:
        """Whether optional purposes run until the visitor refuses them."""
        return self.model == "opt-out"


@cache
def laws() -> Mapping[str, Law]:
    """Return the laws that a policy can name, by their codes."""
    # Data and not code, so that people who know the law can review it.
    text = (files(__package__) / "laws.toml").read_text(encoding="utf-8")
    return {code: Law(code=code, **row) for code, row in tomllib.loads(text).items()}


LawCode = Annotated[str, rule(lambda code: code in laws(), "is no law here", lambda code: did_you_mean(code, laws()))]


def is_place(code: str) -> bool:
    """Return whether a code has the form of a country ("CA") or of a part of one ("CA-QC"), and the country exists."""
    match = _PLACE.fullmatch(code)
    return match is not None and is_country(match[1])


def overdue(named: Iterable[Law], today: date) -> str:
    """Return a line for each law whose review is overdue."""
    return "".join(
        f'What the law "{law.code}" asks was last compared with its text on {law.reviewed_on}. Check whether it still '
        f"applies: {law.provisions}.\n"
        for law in named
        if law.review_by < today
    )
