"""The trace of a visit that is recorded without consent: no more of it than the law exempts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cookie_consent.base.addresses import truncated
from cookie_consent.daily_salt import DailySalt
from cookie_consent.decision.visit import Visit, host_of
from cookie_consent.tracing import Fields, Trace


def exempt_trace(
    scope: Mapping[str, Any], fields: Fields, visit: Visit, salt: DailySalt | None, now: float
) -> Trace | None:
    """Return the trace of such a visit, under the pseudonym of the day; None where there is none just now.

    Of the page before only its origin is kept, and no query: by what campaign somebody came is a matter of advertising,
    for which none of this may be (PECR, Schedule A1).

    Args:
        scope: the request's ASGI scope.
        fields: the request's header fields by their names in small letters.
        visit: what is known of the request.
        salt: makes the pseudonym.
        now: seconds since 1970.
    """
    assert salt is not None  # noqa: S101 (there is one where a purpose is exempt)
    visitor_id = pseudonym(scope, fields, salt, now)
    if visitor_id is None:
        return None
    origin = b"/".join(fields.get(b"referer", b"").split(b"/")[:3])
    trace = Trace({**fields, b"referer": origin}, visitor_id, visit.decision.policy.version, now, visit.exempt)
    trace.is_exempt = True
    return trace


def pseudonym(scope: Mapping[str, Any], fields: Fields, salt: DailySalt, now: float) -> str | None:
    """Return the pseudonym of the day of whoever sent a request; None where there is none just now."""
    client = scope.get("client")
    address = (truncated(client[0]) if client else None) or ""
    return salt.visitor(now, site=host_of(scope), address=address, agent=fields.get(b"user-agent", b""))
