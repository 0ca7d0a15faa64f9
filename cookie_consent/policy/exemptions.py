"""Where a law lets a site count its audience without consent: what `exemptions.toml` says of each such exemption."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files

from cookie_consent.policy.errors import PolicyError, did_you_mean
from cookie_consent.policy.syntax import parse_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """What a law lets run without consent, until the visitor objects.

    Args:
        law: the place and the provision.
        lawful_basis: what stands in consent's place, as a term of the Data Privacy Vocabulary.
        conditions: what it asks for, in words.
        reviewed_on: when this was last compared with the sources.
        review_by: when that is due again.
        sources: what it was taken from.
        longest_retention: at most so long may records be kept; None where no time is named.
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
    """Return the exemptions that a policy can name: name -> what it is."""
    text = (files(__package__) / "exemptions.toml").read_text(encoding="utf-8")
    return {name: _exemption(**data) for name, data in tomllib.loads(text).items()}


def _exemption(*, conditions: list[str], sources: list[str], longest_retention: str = "", **data: object) -> Exemption:
    longest = parse_duration(longest_retention) if longest_retention else None
    return Exemption(conditions=tuple(conditions), sources=tuple(sources), longest_retention=longest, **data)  # type: ignore[arg-type]


def overdue(names: Iterable[str], today: date) -> str:
    """Return a line for each of some exemptions that is due to be compared with the law again."""
    return "".join(
        f'What the exemption "{name}" allows was last compared with the law on {exemptions()[name].reviewed_on}. Look '
        f"whether it still holds: {exemptions()[name].law}.\n"
        for name in names
        if exemptions()[name].review_by < today
    )


def check(name: str, *, traces: bool, erases: bool, retention: timedelta | None) -> None:
    """Check what an exemption asks of a purpose by itself (CNIL, 4 July 2025; PECR, Schedule A1, paragraph 5).

    Args:
        name: that of the exemption.
        traces: whether the purpose switches access tracing.
        erases: whether it promises to erase what was recorded.
        retention: how long it keeps records.

    Raises:
        PolicyError: it does not fit.
    """
    known = exemptions()
    if name not in known:
        raise PolicyError(f'there is no exemption "{name}"', did_you_mean(name, known), key="exempt")
    if not traces:
        raise PolicyError(
            "only counting the audience can do without consent",
            "Write traces = true, or leave exempt out, so that visitors are asked.",
            key="exempt",
        )
    if erases:
        raise PolicyError(
            "after a day nobody can tell which records of an exempt purpose are whose",
            "Leave it out, or leave exempt out.",
            key="erase_on_withdrawal",
        )
    _check_retention(name, retention, known[name].longest_retention)


def _check_retention(name: str, retention: timedelta | None, longest: timedelta | None) -> None:
    remedy = f'Write "{longest.days} days" at most.' if longest else "Write how long its records are kept."
    if retention is None:
        raise PolicyError("what is exempt has to say how long it is kept", remedy, key="retention")
    if longest is not None and retention > longest:
        raise PolicyError(f'{retention.days} days are longer than "{name}" allows', remedy, key="retention")
