"""Finds what the site stores about a visitor.

The signed cookies identify the visitor. No other proof is asked for (GDPR Articles 15 to 17 and 20).
"""

from __future__ import annotations

from typing import Any

from cookie_consent.base.bounds import RateLimit
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.record import State
from cookie_consent.decision.visitor_cookie import WithdrawnVisitor
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.responses import wait_for_store
from cookie_consent.http.forms import Problem, too_many
from cookie_consent.ledgers import Ledger
from cookie_consent.pages.pages import KeptSummary

_MOST, _WITHIN = 60, 600.0
"""The limit for reading what is stored about one visitor: number of requests, and seconds."""


class KeptData:
    """Finds what is stored about a visitor.

    Args:
        own_cookies: the middleware's own cookies.
        ledger: the ledger of consent records, or None.
    """

    def __init__(self, own_cookies: OwnCookies, ledger: Ledger | None) -> None:
        self._own_cookies, self._ledger = own_cookies, ledger
        self._limit = RateLimit(_MOST, _WITHIN)

    async def summary(self, inquiry: Inquiry) -> KeptSummary:
        """Return a summary. If the ledger fails, it counts no records, and the settings page is still shown."""
        try:
            records = await self.count(inquiry)
        except Problem:
            records = 0
        return KeptSummary(
            consent_id=inquiry.visit.decision.consent_id,
            records=records,
            visitor_id=self.visitor_id(inquiry) or "",
            takes_requests=self._ledger is not None,
            refused_without_id=self.refused_without_id(inquiry),
            withdrawn=self.withdrawn(inquiry),
        )

    async def records(self, inquiry: Inquiry, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records with the visitor's consent id, oldest first.

        Args:
            inquiry: the visitor's request.
            most: return only this many of the newest; None for all.
        """
        consent_id, ledger = inquiry.visit.decision.consent_id, self._ledger
        return await wait_for_store(ledger.records(consent_id, most)) if ledger is not None and consent_id else []

    async def count(self, inquiry: Inquiry) -> int:
        """Return the number of records with the visitor's consent id."""
        consent_id, ledger = inquiry.visit.decision.consent_id, self._ledger
        return await wait_for_store(ledger.count(consent_id)) if ledger is not None and consent_id else 0

    def refused_without_id(self, inquiry: Inquiry) -> bool:
        """Tell whether the visitor refused without a consent id, so that the record cannot be found."""
        decision = inquiry.visit.decision
        if decision.record is None or decision.record.consent_id or self._ledger is None:
            return False
        return not decision.record.in_state(State.GRANTED)

    def visitor_id(self, inquiry: Inquiry) -> str | None:
        """Return the visitor's pseudonym, or None.

        It is returned even while tracing is off: the visitor may still see and erase what was traced.
        """
        visitor = self._own_cookies.visitor(inquiry.cookies, inquiry.now, place=inquiry.place)
        return visitor.id if visitor else None

    def withdrawn(self, inquiry: Inquiry) -> tuple[WithdrawnVisitor, ...]:
        """Return the visitor's pseudonyms from before a withdrawal."""
        return self._own_cookies.withdrawn(inquiry.cookies, inquiry.now, place=inquiry.place)

    def visitor_ids(self, inquiry: Inquiry) -> list[str]:
        """Return all pseudonyms in the visitor's access records, those from before a withdrawal first."""
        current = self.visitor_id(inquiry)
        ids = [one.visitor_id for one in self.withdrawn(inquiry)]
        return ids if current is None or current in ids else [*ids, current]

    def limit_rate(self, inquiry: Inquiry) -> None:
        """Count a request for stored data. Visitors without a cookie have none, and are not counted.

        Raises:
            Problem: 429, too many requests.
        """
        key = inquiry.visit.decision.consent_id or "".join(self.visitor_ids(inquiry)[:1])
        wait = self._limit.wait(key, inquiry.now) if key else 0
        if wait:
            raise too_many(wait, f"At most {_MOST} requests in {_WITHIN:.0f} seconds.")
