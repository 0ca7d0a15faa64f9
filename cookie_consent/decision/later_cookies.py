"""The two cookies that postpone the question after "Decide later". They have no value of their own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from cookie_consent.base.cookies.fields import expire_cookie, set_cookie, values
from cookie_consent.decision.place import Place
from cookie_consent.policy.parts import NECESSARY, Cookie, Texts

LATER_LIFETIME = timedelta(days=1)
"""The question comes back in another browser session, at most once a day."""
_VALUE = "1"


class LaterCookies:
    """Reads and sets the cookies: one for the browser session, one for a day. The question waits while one is there.

    They are not signed. Whoever forges one is not asked, and nothing is allowed.

    Args:
        names: whether the connection is https, and whether hosts share the cookies -> the names of both.
    """

    def __init__(self, names: Mapping[tuple[bool, bool], tuple[str, str]]) -> None:
        self._names = names
        self._read = {where: (session.encode(), day.encode()) for where, (session, day) in names.items()}

    def postpone(self, cookies: bytes, *, place: Place) -> bool:
        """Return whether a Cookie field postpones the question."""
        session, day = self._read[place.secure, place.is_shared]
        # The name of the first is the beginning of the second's.
        if cookies.find(session) < 0:
            return False
        return any(_VALUE.encode() in values(cookies, name) for name in (session, day))

    def set(self, *, place: Place) -> list[bytes]:
        """Return the Set-Cookie fields that postpone the question."""
        max_ages = (None, int(LATER_LIFETIME.total_seconds()))
        return [
            set_cookie(name, _VALUE, max_age, domain=place.domain, secure=place.secure)
            for name, max_age in zip(self._names[place.secure, place.is_shared], max_ages, strict=True)
        ]

    def forget(self, cookies: bytes, *, place: Place) -> list[bytes]:
        """Return the Set-Cookie fields that delete those of the cookies that a Cookie field has."""
        return [
            expire_cookie(name, domain=place.domain, secure=place.secure)
            for name in self._read[place.secure, place.is_shared]
            if values(cookies, name)
        ]

    def declared(self, description: Texts, *, place: Place) -> tuple[Cookie, ...]:
        """Return the cookies as a policy would declare them."""
        lifetimes = (None, LATER_LIFETIME)
        return tuple(
            Cookie(name=name, purpose=NECESSARY, duration=lifetime, domain=place.domain, description=description)
            for name, lifetime in zip(self._names[place.secure, place.is_shared], lifetimes, strict=True)
        )
