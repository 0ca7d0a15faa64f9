"""Cookies that tell the next page or a script something, and say nothing of the visitor: saved, and what holds."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import timedelta
from string import ascii_letters

from cookie_consent.base.cookies import expire_cookie, set_cookie, values
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.place import Place
from cookie_consent.policy.parts import NECESSARY, Cookie, Texts

SAVED_LIFETIME = timedelta(minutes=1)
"""The page after the answer comes at once. Where none says it, the cookie is soon gone."""


class SavedCookie:
    """Reads and sets the cookie. It has no value of its own, and belongs to one host: the next page is there.

    It is not signed. Whoever forges one reads what is true: what is said beside it comes from the answer.

    Args:
        name: its name over http. Over https, it has a prefix.
    """

    def __init__(self, name: str) -> None:
        self._names = {True: f"__Host-{name}", False: name}

    @property
    def names(self) -> tuple[str, ...]:
        """Its names, over https and http."""
        return tuple(self._names.values())

    def is_in(self, cookies: bytes) -> bool:
        """Return whether a Cookie field has it."""
        return any(values(cookies, name.encode()) for name in self.names)

    def set(self, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that sets it."""
        return set_cookie(self._names[secure], "1", int(SAVED_LIFETIME.total_seconds()), secure=secure)

    def forget(self, *, secure: bool) -> bytes:
        """Return the Set-Cookie field that deletes it, on the page that says it."""
        return expire_cookie(self._names[secure].encode(), secure=secure)

    def declared(self, description: Texts, *, secure: bool) -> Cookie:
        """Return the cookie as a policy would declare it."""
        return Cookie(name=self._names[secure], purpose=NECESSARY, duration=SAVED_LIFETIME, description=description)


OPEN = "open"
"""The cookie's value while something is left to ask: the server says what."""
VERSION_LENGTH = 8
"""How many digits of the policy's version it has."""


class StateCookie:
    """Sets the cookie: the policy's version, a letter for each purpose that is allowed, and the signals heeded.

    `1a2b3c4d.ac.g` says that the first and the third optional purpose are allowed, in sight of Global Privacy Control.
    It is the same for all who answered alike.

    Args:
        names: whether the connection is https, and whether hosts share the cookie -> its name.
        lifetime: how long an answer is valid.
    """

    def __init__(self, names: Mapping[tuple[bool, bool], str], lifetime: timedelta) -> None:
        self._names, self._lifetime = names, lifetime.total_seconds()

    def fields(self, decision: Decision, cookies: bytes, now: float, *, place: Place) -> list[bytes]:
        """Return the Set-Cookie field that makes a browser's cookie say what holds; nothing if it does.

        Args:
            decision: what holds for the site.
            cookies: the Cookie field of the request.
            now: seconds since 1970.
            place: where our own cookies live.
        """
        name, value = self._names[place.secure, place.is_shared], state_value(decision)
        there = values(cookies, name.encode())
        if there == ([value.encode()] if value else []):
            return []
        record = decision.record
        if record is None or not value:
            return [expire_cookie(name.encode(), domain=place.domain, secure=place.secure)]
        left = record.expires_at - now
        return [set_cookie(name, value, math.ceil(left), domain=place.domain, secure=place.secure, http_only=False)]

    def declared(self, description: Texts, *, place: Place) -> Cookie:
        """Return the cookie as a policy would declare it."""
        return Cookie(
            name=self._names[place.secure, place.is_shared],
            purpose=NECESSARY,
            duration=timedelta(seconds=self._lifetime),
            domain=place.domain,
            description=description,
        )


def state_value(decision: Decision) -> str:
    """Return the cookie's value for a decision; "" while nothing was answered."""
    if decision.record is None:
        return ""
    if decision.should_ask:
        return OPEN
    policy = decision.policy
    allowed = (letter for letter, id_ in zip(ascii_letters, policy.optional, strict=False) if decision.purposes[id_])
    letters = "".join(allowed)
    return f"{policy.version[:VERSION_LENGTH]}.{letters}.{''.join(signal[0] for signal in decision.signals)}"
