"""Takes "Show once" of a card. It is no answer: nothing is recorded, and one page shows the content."""

from __future__ import annotations

from urllib.parse import unquote

from starlette.responses import RedirectResponse, Response

from cookie_consent.base.cross_site import safe_next
from cookie_consent.base.forms import read_body, read_fields
from cookie_consent.base.paths import split_address
from cookie_consent.base.problem import Problem
from cookie_consent.decision.once_cookie import OnceCookie
from cookie_consent.policy.card import find_card
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.inquiry import Inquiry

_LARGEST = 4 * 1024
"""In bytes. The form has an address and three short fields."""
_LONGEST_SHOWN = 40


class ShowOnce:
    """Takes "Show once".

    Args:
        policy: the site's policy.
        cookie: tells the next page.
    """

    def __init__(self, policy: Policy, cookie: OnceCookie) -> None:
        self._policy, self._cookie = policy, cookie

    async def take(self, inquiry: Inquiry) -> Response:
        """Lead back to the page of the card, with the cookie that has it show the content.

        - `card`: the id of a recipient, a feature or a purpose.
        - `next`: the path of the page.
        - `policy`: the version of the policy that the card showed; may be left out.

        Raises:
            Problem: 413 or 400, the body is no valid form of a card; 409, the policy has changed since the card was
                made: it may have named another recipient.
        """
        fields = read_fields(inquiry.content_type, await read_body(inquiry.request.stream(), _LARGEST))
        language, next_path = fields.get("language", ""), safe_next(fields.get("next", ""))
        try:
            return self._lead_back(inquiry, fields.get("card", ""), fields.get("policy", ""), next_path)
        except Problem as problem:
            problem.language = language if language in self._policy.site.languages else ""
            problem.next = next_path or ""
            raise

    def _lead_back(self, inquiry: Inquiry, card: str, version: str, next_path: str | None) -> Response:
        if next_path is None:
            raise Problem(400, "There is no page to show it on.")
        if version not in ("", self._policy.version):
            raise Problem(409, f"The policy in force is {self._policy.version}.", "error_policy_changed")
        if find_card(self._policy, card) is None:
            raise Problem(400, f"There is no recipient, feature or purpose {card[:_LONGEST_SHOWN]!r} for a card.")
        response = RedirectResponse(next_path, status_code=303)
        path = unquote(split_address(next_path).path)
        field = self._cookie.set(card, path, inquiry.now, secure=inquiry.place.secure)
        response.raw_headers.append((b"set-cookie", field))
        return response
