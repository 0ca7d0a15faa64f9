"""Names, lifetimes and keys of our own cookies, checked when the server starts."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import Any

from cookie_consent.base.checks import check
from cookie_consent.decision.decision import CONSENT_LIFETIME, OPT_OUT_LIFETIME
from cookie_consent.decision.visitor_cookie import VISITOR_LIFETIME
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.policy.policy import Policy
from cookie_consent.policy.syntax import COOKIE_NAME

_LONGEST_NAME = 64
"""Keeps the cookie well below the 4096 octets at which browsers drop it (RFC 6265bis section 5.6)."""


def new_id() -> str:
    """Return a random id of 128 bits, in 22 cookie octets."""
    return secrets.token_urlsafe(16)


@dataclass(frozen=True, slots=True)
class CookieSettings:
    """Names, lifetimes and keys of our own cookies.

    Args:
        secret_keys: oldest first; the last one signs.
        consent_name: the consent cookie's name over plain http. The signal cookie adds "-signal" to it, and those that
            postpone the question add "-later" and "-later-day", the one that confirms an answer adds "-saved", the one
            that shows a card's content once "-once", and the one that scripts of shared pages read "-state".
        visitor_name: the visitor cookie's name over plain http. The erasure cookie adds "-erasure" to it.
        consent_lifetime: how long an answer is valid, for refusals and grants alike; at most 400 days.
        visitor_lifetime: how long a visitor id is valid; at most 395 days. It is not renewed.
        make_id: returns a random id of at least 128 bits, in cookie octets.
        domain: the Domain of cookies that several hosts share; "" if each host has its own.
        hosts: the hosts that share an answer, in `domain`.
        tells_state: whether a cookie tells scripts what holds; its name is `consent_name` with "-state".

    Raises:
        ValueError: a name is no cookie name or is used twice, a lifetime is too long or under a second, or `make_id`
            cannot be called.
    """

    secret_keys: str | Sequence[str]
    _: KW_ONLY
    consent_name: str = "consent"
    visitor_name: str = "visitor"
    consent_lifetime: timedelta = CONSENT_LIFETIME
    visitor_lifetime: timedelta = VISITOR_LIFETIME
    make_id: Callable[[], str] = new_id
    domain: str = ""
    hosts: tuple[str, ...] = ()
    tells_state: bool = False

    def __post_init__(self) -> None:
        for option, name in (("consent_cookie", self.consent_name), ("visitor_cookie", self.visitor_name)):
            check(option, name, is_valid=_is_plain_name(name), remedy='Write a plain word, like "consent".')
        consent, visitor = self.consent_name, self.visitor_name
        kinds = ("", "-signal", "-later", "-later-day", "-saved", "-once", "-state")
        if {f"{consent}{kind}" for kind in kinds} & {visitor, f"{visitor}-erasure"}:
            raise ValueError(
                f"consent_cookie, visitor_cookie: cookies of {consent!r} and {visitor!r} would share a name. "
                "Write different names."
            )
        longest = {"consent": LONGEST_COOKIE, "visitor": VISITOR_LIFETIME}
        for kind, lifetime in (("consent", self.consent_lifetime), ("visitor", self.visitor_lifetime)):
            if not timedelta(seconds=1) <= lifetime <= longest[kind]:
                raise ValueError(
                    f"the {kind} cookie lives for {lifetime}; it can live for at most {longest[kind].days} days"
                )
        check("make_id", self.make_id, is_valid=callable(self.make_id), remedy="It returns a random id.")


def _is_plain_name(name: object) -> bool:
    """Return whether a name can be that of a cookie of ours."""
    return (
        isinstance(name, str)
        and COOKIE_NAME.fullmatch(name) is not None
        # Prefixes are added over https alone. Over http, browsers refuse a cookie that has one.
        and not name.startswith("__")
        and len(name) <= _LONGEST_NAME
    )


def consent_lifetime(consent_days: float | None, policy: Policy) -> timedelta:
    """Return how long an answer is valid.

    Args:
        consent_days: the middleware's option; None for six months, or 12 where the policy has a sale or sharing, or a
            regime asks for it.
        policy: the policy.

    Raises:
        ValueError: it is no number of days, or more than 400; or the policy has a sale or sharing and it is less than
            12 months, or less than a regime of the policy asks for.
    """
    if consent_days is None:
        return max(OPT_OUT_LIFETIME if policy.sells else CONSENT_LIFETIME, _asked_again_after(policy))
    lifetime = _days("consent_days", consent_days, most=LONGEST_COOKIE)
    if policy.sells and lifetime < OPT_OUT_LIFETIME:
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. The policy has sells = true, and a visitor who refused a "
            f"sale is not asked again for 12 months: leave it out, or write at least {OPT_OUT_LIFETIME.days}."
        )
    if lifetime < (least := _asked_again_after(policy)):
        asking = next(regime for regime in policy.regimes if regime.asked_again_after == least)
        raise ValueError(
            f"consent_days: {consent_days!r} is not valid. Who refused is not asked again for {least.days} days under "
            f"the law of {asking.name}: leave it out, or write at least that."
        )
    return lifetime


def _asked_again_after(policy: Policy) -> timedelta:
    """Return how long nobody may be asked again, by the strictest of the regimes that the policy names."""
    return max((regime.asked_again_after or timedelta(0) for regime in policy.regimes), default=timedelta(0))


def visitor_lifetime(visitor_days: float) -> timedelta:
    """Return how long a visitor id is valid.

    Raises:
        ValueError: it is no number of days, or more than 395.
    """
    return _days("visitor_days", visitor_days, most=VISITOR_LIFETIME)


def _days(name: str, value: Any, *, most: timedelta) -> timedelta:
    """Return a number of days as a duration; raise ValueError if it is none, or under a second or over `most`."""
    # True is an int in Python, and would mean one day.
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    is_valid = is_number and timedelta(seconds=1) <= timedelta(days=min(value, most.days + 1)) <= most
    check(name, value, is_valid=is_valid, remedy=f"Write a number of days, at most {most.days} days.")
    return timedelta(days=value)
