"""Finds what is kept about the visitor who asks.

Whoever holds the signed cookies is the visitor. Nothing else is asked for (GDPR Articles 15 to 17 and 20).
"""

from __future__ import annotations

from typing import Any

from cookie_consent.base.limits import RateLimit
from cookie_consent.base.problem import Problem, too_many
from cookie_consent.decision.decision import consents
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.visitor_cookie import Withdrawn
from cookie_consent.ledgers import Ledger
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.pages import Kept
from cookie_consent.visitors.responses import from_store

_MOST, _WITHIN = 60, 600.0
"""How many requests in how many seconds may ask for what is kept of one visitor."""


class KeptData:
    """Finds what is kept about a visitor.

    Args:
        own: our own cookies.
        ledger: keeps consent records, or None.
    """

    def __init__(self, own: OwnCookies, ledger: Ledger | None) -> None:
        self._own, self._ledger = own, ledger
        self._limit = RateLimit(_MOST, _WITHIN)

    async def summary(self, inquiry: Inquiry) -> Kept:
        """Return what is kept, in short. Without the ledger it says less: the settings page is shown all the same."""
        try:
            records = await self.count(inquiry)
        except Problem:
            records = 0
        return Kept(
            consent_id=inquiry.visit.decision.consent_id,
            records=records,
            visitor_id=self.visitor_id(inquiry) or "",
            takes_requests=self._ledger is not None,
            refused_unnamed=self.refused_unnamed(inquiry),
            withdrawn=self.withdrawn(inquiry),
        )

    async def records(self, inquiry: Inquiry, most: int | None = None) -> list[dict[str, Any]]:
        """Return the records with the visitor's consent id, oldest first.

        Args:
            inquiry: the visitor's request.
            most: how many of the newest; None for all.
        """
        consent_id, ledger = inquiry.visit.decision.consent_id, self._ledger
        return await from_store(ledger.records(consent_id, most)) if ledger is not None and consent_id else []

    async def count(self, inquiry: Inquiry) -> int:
        """Return how many records have the visitor's consent id. Notes to them are not counted."""
        consent_id, ledger = inquiry.visit.decision.consent_id, self._ledger
        return await from_store(ledger.count(consent_id)) if ledger is not None and consent_id else 0

    def refused_unnamed(self, inquiry: Inquiry) -> bool:
        """Return whether the visitor has refused, and nothing says which record is that refusal."""
        decision = inquiry.visit.decision
        if decision.record is None or decision.record.consent_id or self._ledger is None:
            return False
        return not consents(decision.policy, decision.record)

    def visitor_id(self, inquiry: Inquiry) -> str | None:
        """Return the visitor's pseudonym, also while tracing is not allowed: what was traced is the visitor's own."""
        known = self._own.visitor(inquiry.cookies, inquiry.now, secure=inquiry.secure)
        return known.id if known else None

    def withdrawn(self, inquiry: Inquiry) -> tuple[Withdrawn, ...]:
        """Return the visitor's pseudonyms of before a withdrawal."""
        return self._own.withdrawn(inquiry.cookies, inquiry.now, secure=inquiry.secure)

    def visitor_ids(self, inquiry: Inquiry) -> list[str]:
        """Return all pseudonyms that the visitor's access records may have, those of before a withdrawal first."""
        now = self.visitor_id(inquiry)
        ids = [one.visitor_id for one in self.withdrawn(inquiry)]
        return ids if now is None or now in ids else [*ids, now]

    def slow_down(self, inquiry: Inquiry) -> None:
        """Count a request for what is kept of a visitor. Nothing is kept of visitors without a cookie of ours.

        Raises:
            Problem: 429, too many came.
        """
        key = inquiry.visit.decision.consent_id or "".join(self.visitor_ids(inquiry)[:1])
        wait = self._limit.wait(key, inquiry.now) if key else 0
        if wait:
            raise too_many(wait, f"At most {_MOST} requests in {_WITHIN:.0f} seconds.")
