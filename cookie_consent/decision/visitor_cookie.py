"""The visitor id: a random pseudonym, made only after consent to tracing, in a signed cookie of its own.

After a withdrawal another cookie keeps it, for the visitor to see and erase what was recorded by it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import timedelta
from typing import NamedTuple

from cookie_consent.decision.signing import Signer

SALT, ERASURE_SALT = "cookie_consent.visitor", "cookie_consent.erasure"
VISITOR_LIFETIME = timedelta(days=395)
"""13 months, not renewed on later visits (CNIL, audience measurement)."""

_ARRIVAL = "~"
"""Stands between an id and how its visitor came. No id has it, since it parts the fields of the consent cookie, too."""
_WITHDRAWN = re.compile(r"[^~]+~[0-9]{1,12}(?:~[^~]+~[0-9]{1,12})*")


class Arrival(NamedTuple):
    """How somebody came to the page on which tracing was allowed by a form. The browser loads that page again.

    Args:
        referrer: the origin of the site before, "" for none.
        at: when the form was sent (seconds since 1970).
    """

    referrer: str
    at: int


class KnownVisitor(NamedTuple):
    """What a visitor cookie says.

    Args:
        id: the visitor id.
        good_until: until when it is good (seconds since 1970).
        arrival: how the visitor came, as long as that is not recorded; None where nothing is to be.
    """

    id: str
    good_until: float
    arrival: Arrival | None = None


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

    def make(self, now: float, referrer: str | None = None) -> tuple[str, str]:
        """Return a new visitor id and its token; with the origin of the site before, where that is to be recorded."""
        visitor_id = self._new_id()
        return visitor_id, self.token(visitor_id if referrer is None else f"{visitor_id}{_ARRIVAL}{referrer}", now)

    def token(self, value: str, issued: float) -> str:
        """Return the token of an id that was made at some time."""
        return self._signer.sign(value.encode("ascii"), int(issued)).decode("ascii")

    def read(self, tokens: Iterable[bytes], now: float) -> KnownVisitor | None:
        """Return what the newest valid token says, or None."""
        found = [read for token in tokens if (read := self._signer.read(token))]
        good = [(issued, value) for value, issued in found if issued <= now < issued + self.max_age]
        if not good:
            return None
        issued, value = max(good)
        visitor_id, arrived, referrer = value.decode("latin-1").partition(_ARRIVAL)
        arrival = Arrival(referrer, issued) if arrived else None
        return KnownVisitor(visitor_id, issued + self.max_age, arrival)


class Withdrawn(NamedTuple):
    """A visitor id whose consent was withdrawn.

    Args:
        visitor_id: the id.
        until: when the last record by it is no longer kept (seconds since 1970).
    """

    visitor_id: str
    until: int


class ErasureCookie:
    """Writes the visitor ids whose consent was withdrawn, and reads them back.

    Args:
        signer: signs with `ERASURE_SALT`.
    """

    def __init__(self, signer: Signer) -> None:
        self._signer = signer

    def write(self, withdrawn: Iterable[Withdrawn], now: float) -> str:
        """Return the token for some ids."""
        fields = [text for visitor_id, until in withdrawn for text in (visitor_id, str(until))]
        return self._signer.sign("~".join(fields).encode("ascii"), int(now)).decode("ascii")

    def read(self, tokens: Iterable[bytes], now: float) -> tuple[Withdrawn, ...]:
        """Return the ids of the newest valid token whose records are still kept, in the order of their withdrawals."""
        read = filter(None, map(self._signer.read, tokens))
        found = [(issued, value) for value, issued in read if issued <= now]
        if not found:
            return ()
        value = max(found)[1].decode("latin-1")
        if not _WITHDRAWN.fullmatch(value):  # another version of ours wrote it, say
            return ()
        fields = value.split("~")
        withdrawn = [Withdrawn(*pair) for pair in zip(fields[::2], map(int, fields[1::2]), strict=True)]
        return tuple(one for one in withdrawn if one.until > now)
