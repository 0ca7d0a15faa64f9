"""Laws that let a site measure its audience without consent. `exemptions.toml` describes each exemption."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.syntax import parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """An exemption from consent that holds until the visitor objects.

    Args:
        law: the country and the provision.
        lawful_basis: the legal basis instead of consent, as a term of the Data Privacy Vocabulary.
        conditions: what the law asks for, in words.
        reviewed_on: when this entry was last compared with its sources.
        review_by: when the next review is due.
        sources: addresses of the sources.
        longest_retention: the longest retention of records that the law allows; None if it names none.
    """

    law: str
    lawful_basis: str
    conditions: tuple[str, ...]
    reviewed_on: date
    review_by: date
    sources: tuple[str, ...]
    longest_retention: timedelta | None = None


@cache
def exemptions() -> Mapping[str, Exemption]:
    """Return the exemptions that a policy can name, by their names."""
    # Data and not code, so that people who know the law can review it.
    text = (files(__package__) / "exemptions.toml").read_text(encoding="utf-8")
    return {name: _exemption(**data) for name, data in tomllib.loads(text).items()}


def _exemption(*, conditions: list[str], sources: list[str], longest_retention: str = "", **data: object) -> Exemption:
    longest = parse_duration(longest_retention) if longest_retention else None
    return Exemption(conditions=tuple(conditions), sources=tuple(sources), longest_retention=longest, **data)  # type: ignore[arg-type]


def overdue(names: Iterable[str], today: date) -> str:
    """Return a line for each named exemption whose review is overdue.

    Args:
        names: names of exemptions.
        today: the date to judge by.
    """
    return "".join(
        f'What the exemption "{name}" allows was last compared with the law on {exemptions()[name].reviewed_on}. Check '
        f"whether it still applies: {exemptions()[name].law}.\n"
        for name in names
        if exemptions()[name].review_by < today
    )


def unmet(name: str, *, traces: bool, erases: bool, retention: timedelta | None) -> Iterator[PolicyError]:
    """Yield an error for each condition of its exemption that a purpose does not meet.

    The conditions are those of CNIL, 4 July 2025, and of PECR, Schedule A1, paragraph 5.

    Args:
        name: the name of the exemption.
        traces: whether its visitors are traced.
        erases: whether its records are erased when consent is withdrawn.
        retention: how long its records are kept.
    """
    known = exemptions()
    if name not in known:
        yield PolicyError(f'there is no exemption "{name}"', did_you_mean(name, known), key="exempt")
        return
    if not traces:
        yield PolicyError(
            "only counting the audience can do without consent",
            "Write traces = true, or leave exempt out, so that visitors are asked.",
            key="exempt",
        )
    if erases:
        yield PolicyError(
            "after a day nobody can tell which records of an exempt purpose are whose",
            "Leave it out, or leave exempt out.",
            key="erase_on_withdrawal",
        )
    longest = known[name].longest_retention
    remedy = f'Write "{longest.days} days" at most.' if longest else "Write how long its records are kept."
    if retention is None:
        yield PolicyError("what is exempt has to say how long it is kept", remedy, key="retention")
    elif longest is not None and retention > longest:
        yield PolicyError(f'{retention.days} days are longer than "{name}" allows', remedy, key="retention")
