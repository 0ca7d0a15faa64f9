"""What the laws of a place say about consent. `regimes.toml` describes each regime."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.syntax import parse_duration
from cookie_consent.texts.locales import is_country

_PLACE = re.compile(r"([A-Z]{2})(-[A-Z0-9]{1,3})?")
"""A country of ISO 3166-1, or a part of one of ISO 3166-2."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regime:
    """What the law of a place says about consent, as far as the program acts on it.

    Args:
        code: how a policy names it.
        name: the place, in a sentence.
        law: the provisions.
        model: "opt-in" (nothing optional before a yes) or "opt-out" (it runs until a no).
        certainty: "primary" if the law's or the authority's own text was read, else "secondary".
        reviewed_on: when this entry was last compared with its sources.
        review_by: when the next review is due.
        sources: the sources.
        binding_signals: names of the browser's signals that a policy may not ignore.
        asked_again_after: how long nobody is asked again who refused; None if the law names no time.
        closing_refuses: whether closing the question counts as a refusal.
        transmission_notice: whether a page has to tell what is sent to whom.
        notice_language: the language that this page is in, beside others; "" for any.
        vague_words: words that do not say what is sent.
    """

    code: str
    name: str
    law: str
    model: str
    certainty: str
    reviewed_on: date
    review_by: date
    sources: tuple[str, ...]
    binding_signals: tuple[str, ...] = ()
    asked_again_after: timedelta | None = None
    closing_refuses: bool = False
    transmission_notice: bool = False
    notice_language: str = ""
    vague_words: tuple[str, ...] = ()

    @property
    def is_opt_out(self) -> bool:
        """Whether optional purposes run until the visitor refuses them."""
        return self.model == "opt-out"


@cache
def regimes() -> Mapping[str, Regime]:
    """Return the regimes that a policy can name, by their codes."""
    # Data and not code, so that people who know the law can review it.
    text = (files(__package__) / "regimes.toml").read_text(encoding="utf-8")
    return {code: _regime(code, data) for code, data in tomllib.loads(text).items()}


def _regime(code: str, data: Mapping[str, Any]) -> Regime:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in data.items()}
    if "asked_again_after" in values:
        values["asked_again_after"] = parse_duration(values["asked_again_after"])
    return Regime(code=code, **values)


def wrong_names(regime: str, by_place: Mapping[str, str]) -> Iterator[PolicyError]:
    """Yield an error for each regime or place that there is not, and if no regime is named for all other places.

    Args:
        regime: the code of the regime that a site names; "" for none.
        by_place: code of a country, or of a part of one -> code of the regime there.
    """
    for key, code in (("regime", regime), *((f"regimes.{place}", code) for place, code in by_place.items())):
        if code not in regimes() and (code or key != "regime"):
            yield PolicyError(f'there is no regime "{code}" here', did_you_mean(code, regimes()), key=key)
    for place in by_place:
        if not is_place(place):
            yield PolicyError(
                f'"{place}" is no country, and no part of one',
                'Write codes of ISO 3166, as in "JP" or "CA-QC".',
                key="regimes",
            )
    if by_place and not regime:
        yield PolicyError(
            "the regime for all other places is missing",
            'Write it too, as in regime = "eu".',
            key="regime",
        )


def is_place(code: str) -> bool:
    """Return whether a code has the form of a country ("CA") or of a part of one ("CA-QC"), and the country exists."""
    match = _PLACE.fullmatch(code)
    return match is not None and is_country(match[1])


def strictest(candidates: Iterable[Regime]) -> Regime:
    """Return the first regime without opt-out, or else the first one. For a place that nobody knows."""
    ordered = list(candidates)
    return next((regime for regime in ordered if not regime.is_opt_out), ordered[0])


def overdue(named: Iterable[Regime], today: date) -> str:
    """Return a line for each regime whose review is overdue.

    Args:
        named: the regimes.
        today: the date to judge by.
    """
    return "".join(
        f'What the regime "{regime.code}" says was last compared with the law on {regime.reviewed_on}. Check whether '
        f"it still applies: {regime.law}.\n"
        for regime in named
        if regime.review_by < today
    )
