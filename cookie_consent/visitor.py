"""The visitor id: a random pseudonym, made only after consent to tracing, in a signed cookie of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import timedelta

from cookie_consent.signing import Signer

SALT = "cookie_consent.visitor"
VISITOR_LIFETIME = timedelta(days=395)
"""13 months, not renewed on later visits (CNIL, audience measurement)."""


class VisitorCookie:
    """Makes visitor ids, and reads them back.

    Args:
        signer: signs with `SALT`.
        lifetime: how long an id is good for, from its making.
        new_id: returns a random id of at least 128 bits, in cookie octets.
    """

    def __init__(self, signer: Signer, lifetime: timedelta, new_id: Callable[[], str]) -> None:
        self._signer, self._new_id = signer, new_id
        self.max_age = int(lifetime.total_seconds())

    def make(self, now: float) -> tuple[str, str]:
        """Return a new visitor id and its token."""
        visitor_id = self._new_id()
        return visitor_id, self._signer.sign(visitor_id.encode("ascii"), int(now)).decode("ascii")

    def read(self, tokens: Iterable[bytes], now: float) -> tuple[str, float] | None:
        """Return the newest valid visitor id and the time until which it is good, or None."""
        found = [read for token in tokens if (read := self._signer.read(token))]
        good = [(issued, value) for value, issued in found if issued <= now < issued + self.max_age]
        if not good:
            return None
        issued, value = max(good)
        return value.decode("latin-1"), issued + self.max_age
