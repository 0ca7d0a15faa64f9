"""The visitor id: a random pseudonym, made only after consent to tracing and kept in a signed cookie.

After a withdrawal the erasure cookie keeps it, so that the visitor can still see and erase the access records under it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from cookie_consent.base.random_ids import new_id
from cookie_consent.decision.signing import Signer
from cookie_consent.policy.parts import VISITOR_LIFETIME

SALT, ERASURE_SALT = "cookie_consent.visitor", "cookie_consent.erasure"

_ARRIVAL = "~"
"""Separates an id from the referrer. No id contains it, because it also separates the consent cookie's fields."""
_WITHDRAWN = re.compile(r"[^~]+~[0-9]{1,12}(?:~[^~]+~[0-9]{1,12})*")


class Arrival(NamedTuple):
    """How a visitor came to the page on which they allowed tracing.

    After the form the browser loads that page again, with the page itself as referrer. The cookie keeps the original
    referrer until that page view is recorded.

    Args:
        referrer: the origin of the referring site, or "".
        at: when the form was sent (seconds since 1970).
    """

    referrer: str
    at: int


class KnownVisitor(NamedTuple):
    """The content of a visitor cookie.

    Args:
        id: the visitor id.
        valid_until: when it expires (seconds since 1970).
        arrival: how the visitor came, if that is still to be recorded.
    """

    id: str
    valid_until: float
    arrival: Arrival | None = None


class VisitorCookie:
    """Makes visitor ids and reads their tokens.

    Args:
        signer: a signer with `SALT`.
        new_id: returns a random id of at least 128 bits, in cookie octets.
    """

    def __init__(self, signer: Signer, new_id: Callable[[], str] = new_id) -> None:
        self._signer, self._new_id = signer, new_id
        self.max_age = int(VISITOR_LIFETIME.total_seconds())

    def make(self, now: float, referrer: str | None = None) -> tuple[str, str]:
        """Return a new visitor id and its token.

        Args:
            now: seconds since 1970.
            referrer: the origin of the referring site ("" for none) if it is still to be recorded.
        """
        visitor_id = self._new_id()
        return visitor_id, self.token(visitor_id if referrer is None else f"{visitor_id}{_ARRIVAL}{referrer}", now)

    def token(self, value: str, issued: float) -> str:
        """Return the token for an id, with its arrival or without, that was made at `issued` (seconds since 1970)."""
        return self._signer.sign(value.encode("ascii"), int(issued)).decode("ascii")

    def read(self, tokens: Iterable[bytes], now: float) -> KnownVisitor | None:
        """Return the content of the newest valid token, or None."""
        verified = [read for token in tokens if (read := self._signer.read(token))]
        # A token from the future is invalid: a clock was ahead when it was issued.
        current = [(issued, value) for value, issued in verified if issued <= now < issued + self.max_age]
        if not current:
            return None
        issued, value = max(current)
        visitor_id, arrived, referrer = value.decode("latin-1").partition(_ARRIVAL)
        arrival = Arrival(referrer, issued) if arrived else None
        return KnownVisitor(visitor_id, issued + self.max_age, arrival)


class WithdrawnVisitor(NamedTuple):
    """A visitor id whose consent was withdrawn.

    Args:
        visitor_id: the id.
        until: when the retention of its last access record ends (seconds since 1970).
    """

    visitor_id: str
    until: int


class ErasureCookie:
    """Turns the visitor ids whose consent was withdrawn into the signed tokens of the erasure cookie, and back.

    Args:
        signer: a signer with `ERASURE_SALT`.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, withdrawn: Iterable[WithdrawnVisitor], now: float) -> str:
        """Return the token for some ids, issued at `now` (seconds since 1970)."""
        fields = [text for visitor_id, until in withdrawn for text in (visitor_id, str(until))]
        return self._signer.sign("~".join(fields).encode("ascii"), int(now)).decode("ascii")

    def read(self, tokens: Iterable[bytes], now: float) -> tuple[WithdrawnVisitor, ...]:
        """Return the ids in the newest valid token that may still have records, in the order of their withdrawals."""
        verified = filter(None, map(self._signer.read, tokens))
        issued_by_now = [(issued, value) for value, issued in verified if issued <= now]
        if not issued_by_now:
            return ()
        value = max(issued_by_now)[1].decode("latin-1")
        if not _WITHDRAWN.fullmatch(value):  # another version of the package may have written it
            return ()
        fields = value.split("~")
        withdrawn = [WithdrawnVisitor(*pair) for pair in zip(fields[::2], map(int, fields[1::2]), strict=True)]
        return tuple(visitor for visitor in withdrawn if visitor.until > now)
