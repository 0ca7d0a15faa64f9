"""The receipt of a visitor's answer."""

from __future__ import annotations

import re
from typing import Any

from starlette.responses import JSONResponse, Response

from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.kept_data import KeptData
from cookie_consent.endpoints.past_policies import PastPolicies
from cookie_consent.http.forms import Problem
from cookie_consent.ledgers import records as proof
from cookie_consent.ledgers.receipt import receipt

_HOST = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class OwnRecords:
    """Serves the receipt of the visitor's answer.

    Args:
        own_cookies: the middleware's own cookies.
        kept: finds what is stored about a visitor.
        past_policies: finds the policies of old records.
    """

    def __init__(self, own_cookies: OwnCookies, *, kept: KeptData, past_policies: PastPolicies) -> None:
        self._own_cookies, self._kept, self._past_policies = own_cookies, kept, past_policies

    async def receipt(self, inquiry: Inquiry) -> Response:
        """Respond with the receipt of the current answer, as JSON."""
        document = await self._document(inquiry)
        policy = await self._past_policies.policy(document["policy"])
        return JSONResponse(receipt(document, policy, absolute_url(inquiry)))

    async def _document(self, inquiry: Inquiry) -> dict[str, Any]:
        """Return the record of the current answer, from the ledger or else from the cookie.

        Raises:
            Problem: 404, there is no answer.
        """
        self._kept.limit_rate(inquiry)
        record = inquiry.visit.decision.record
        if record is None:
            raise Problem(404, "There is no answer yet that a receipt could be given for.", "why_unanswered")
        document = proof.document(record)
        matching = [stored for stored in await self._kept.records(inquiry) if _is_of(document, stored)]
        return matching[-1] if matching else document


def absolute_url(inquiry: Inquiry) -> str:
    """Return the full URL of the endpoints, for documents that leave the site; their path if the host is not valid."""
    host, scheme = inquiry.request.headers.get("host", ""), inquiry.request.scope.get("scheme", "http")
    return f"{scheme}://{host}{inquiry.base}" if _HOST.fullmatch(host) else inquiry.base


def _is_of(document: dict[str, Any], record: dict[str, Any]) -> bool:
    """Tell whether a record in the ledger is the answer in the cookie."""
    names = ("decided_at", "granted", "refused", "source")
    return all(record.get(name) == document.get(name) for name in names)
