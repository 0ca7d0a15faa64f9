"""The cookie that has the next page say that an answer is saved. A script says it by itself; a form needs it."""

from __future__ import annotations

from datetime import timedelta

from cookie_consent.base.cookies.fields import expire_cookie, set_cookie, values
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
