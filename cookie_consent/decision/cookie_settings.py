"""Names, lifetimes and keys of our own cookies, checked when the server starts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any

from cookie_consent.base.messages import check
from cookie_consent.decision.record import CONSENT_LIFETIME, OPT_OUT_LIFETIME
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import COOKIE_NAME

_LONGEST_PREFIX = 64
"""Keeps the cookie well below the 4096 octets at which browsers drop it (RFC 6265bis section 5.6)."""


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """Names, lifetimes and keys of our own cookies.

    Args:
        secret_keys: oldest first; the last one signs.
        prefix: what the names of all our cookies begin with, after "__Host-" or "__Secure-".
        consent_lifetime: how long an answer is valid, for refusals and grants alike; at most 400 days.
        domain: the Domain of cookies that several hosts share; "" if each host has its own.
        hosts: the hosts that share an answer, in `domain`.
        tells_state: whether a cookie tells scripts what holds.

    Raises:
        ValueError: names that begin with the prefix are no cookie names, or the lifetime is too long or under a second.
    """

    secret_keys: str | Sequence[str]
    _: KW_ONLY
    prefix: str = ""
    consent_lifetime: timedelta = CONSENT_LIFETIME
    domain: str = ""
    hosts: tuple[str, ...] = ()
    tells_state: bool = False

    def __post_init__(self) -> None:
        check("cookie_prefix", self.prefix, is_valid=_is_prefix(self.prefix), remedy='Write one like "shop-".')
        if not timedelta(seconds=1) <= self.consent_lifetime <= LONGEST_COOKIE:
            raise ValueError(
                f"the consent cookie lives for {self.consent_lifetime}; it can live for at most "
                f"{LONGEST_COOKIE.days} days"
            )


def _is_prefix(prefix: object) -> bool:
    """Return whether names of our cookies can begin with a prefix."""
    return (
        isinstance(prefix, str)
        and COOKIE_NAME.fullmatch(f"{prefix}consent") is not None
        # These prefixes are added over https alone. Over http, browsers refuse a cookie that has one.
        and not prefix.startswith("__")
        and len(prefix) <= _LONGEST_PREFIX
    )


def consent_lifetime(consent_days: float | None, policy: Policy) -> timedelta:
    """Return how long an answer is valid.

    Args:
        consent_days: the middleware's option; None for six months, or 12 where the policy has a sale or sharing, or a
            law asks for it.
        policy: the policy.

    Raises:
        ValueError: it is no number of days, or more than 400; or the policy has a sale or sharing and it is less than
            12 months, or less than a law of the policy asks for.
    """
    if consent_days is None:
        return max(OPT_OUT_LIFETIME if policy.sells else CONSENT_LIFETIME, _asked_again_after(policy))
    lifetime = _days(consent_days)
    if policy.sells and lifetime < OPT_OUT_LIFETIME:
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. The policy has sells = true, and a visitor who refused a "
            f"sale is not asked again for 12 months: leave it out, or write at least {OPT_OUT_LIFETIME.days}."
        )
    if lifetime < (least := _asked_again_after(policy)):
        asking = next(law for law in policy.laws if law.asked_again_after == least)
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. Who refused is not asked again for {least.days} days under "
            f"the law of {asking.name}: leave it out, or write at least that."
        )
    return lifetime


def _asked_again_after(policy: Policy) -> timedelta:
    """Return how long nobody may be asked again, by the strictest of the laws that the policy names."""
    return max((law.asked_again_after or timedelta(0) for law in policy.laws), default=timedelta(0))


def _days(value: Any) -> timedelta:
    """Return the number of days of an answer as a duration; raise ValueError if it is none, or not valid."""
    # True is an int in Python, and would mean one day.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    most = LONGEST_COOKIE
    is_valid = is_number and timedelta(seconds=1) <= timedelta(days=min(value, most.days + 1)) <= most
    check("consent_days", value, is_valid=is_valid, remedy=f"Write a number of days, at most {most.days} days.")
    return timedelta(days=value)
