"""The help desk: visitors send requests and complaints with one form, without an account."""

from __future__ import annotations

import re
from base64 import b32encode
from collections.abc import Callable
from hashlib import sha256
from typing import Any

from anyio import to_thread
from starlette.background import BackgroundTask
from starlette.responses import Response

from cookie_consent.base.bounds import RateLimit
from cookie_consent.base.clock import DAY, HOUR, rfc3339
from cookie_consent.base.messages import log_failure
from cookie_consent.endpoints.inquiry import Inquiry
from cookie_consent.endpoints.responses import page, wait_for_store
from cookie_consent.http.forms import Problem, read_body, read_fields, readable, too_many
from cookie_consent.ledgers.requests import KINDS, DeskRequest, Requests
from cookie_consent.pages.pages import Pages
from cookie_consent.policy.policy import Policy

MAX_PER_HOUR = 100
"""How many requests each process takes in an hour, from all visitors together."""
LONGEST_TEXT = 4000
"""Characters."""
_ADDRESS = re.compile(r"[^\s@]{1,64}@[^\s@]{1,189}")


class HelpDesk:
    """Serves the form, keeps requests, and calls the site's function for each."""

    def __init__(self, policy: Policy, pages: Pages, store: Requests | None, desk: Callable[..., Any] | None) -> None:
        self._policy = policy
        self._pages = pages
        self._store = store
        self._desk = desk
        self._rate = RateLimit(MAX_PER_HOUR, HOUR)

    async def form(self, inquiry: Inquiry) -> Response:
        """Respond with the form.

        Raises:
            Problem: 404, there is no ledger.
        """
        self._required_store()
        return self._page(inquiry)

    async def send(self, inquiry: Inquiry) -> Response:
        """Keep a request. If something is wrong with it, the page shows the form again, with what was written.

        - `kind`: "see", "correct", "erase" or "complain".
        - `text`: the message, at most 4000 characters.
        - `address`: a mail address for the answer; may be left out.

        Raises:
            Problem: 404, there is no ledger; 413, the body is too large.
        """
        store = self._required_store()
        body = await read_body(inquiry.request.stream())
        fields = dict[str, str]()
        try:
            written = read_fields(inquiry.content_type, body)
            fields = {name: readable(value) for name, value in written.items()}
            # As it was written: without what nobody sees in it, it is the address of somebody else.
            request = self._request({**fields, "address": written.get("address", "").strip()}, inquiry)
            if wait := self._rate.wait("", inquiry.now):
                raise too_many(wait, "Too many came within a short time.")
            await wait_for_store(to_thread.run_sync(store.add, request, abandon_on_cancel=True))
        except Problem as problem:
            response = self._page(inquiry, problem.status, problem=problem.text, fields=fields)
            response.headers.update(problem.headers)
            return response
        response = self._page(inquiry, 201, reference=request.reference)
        response.background = BackgroundTask(self._tell, request)
        return response

    def _required_store(self) -> Requests:
        if self._store is None:
            raise Problem(404, "Requests are kept in the ledger, and there is none.", "error_not_found")
        return self._store

    def _request(self, fields: dict[str, str], inquiry: Inquiry) -> DeskRequest:
        kind = fields.get("kind", "")
        text = fields.get("text", "")
        address = fields["address"]
        if kind not in KINDS:
            raise Problem(400, f"The kind has to be one of: {', '.join(KINDS)}.")
        if not text:
            raise Problem(400, "The text is empty.", "error_no_text")
        if len(text) > LONGEST_TEXT:
            raise Problem(400, f"A text has at most {LONGEST_TEXT} characters.", "error_too_large")
        if address and not (address.isprintable() and _ADDRESS.fullmatch(address)):
            raise Problem(400, "The address is no mail address.", "error_no_address")
        consent_id = inquiry.visit.decision.consent_id
        # The same again on the same day, as by a double click, is the same request.
        sent = repr((kind, text, address, consent_id, inquiry.now // DAY))
        letters = b32encode(sha256(sent.encode()).digest()).decode()
        return DeskRequest(
            reference=f"R-{letters[:4]}-{letters[4:8]}-{letters[8:12]}",
            kind=kind,
            text=text,
            address=address or None,
            language=inquiry.language,
            consent_id=consent_id or None,
            created_at=int(inquiry.now),
            due_at=int(self._due(inquiry)),
        )

    def _due(self, inquiry: Inquiry) -> float:
        return inquiry.now + self._policy.requests.due.total_seconds()

    async def _tell(self, request: DeskRequest) -> None:
        # Nothing that the visitor wrote: many can read what a site sends on by mail.
        told = {"reference": request.reference, "kind": request.kind, "due_at": rfc3339(request.due_at)}
        try:
            if self._desk is not None:
                await BackgroundTask(self._desk, told)()
        except Exception as error:  # noqa: BLE001 (the request is kept, whatever fails here)
            log_failure(f"The help desk was not told of {request.reference}, which is kept", error)

    def _page(self, inquiry: Inquiry, status: int = 200, **shown: Any) -> Response:
        variables = {
            "fields": {},
            "problem": "",
            "reference": "",
            "kinds": KINDS,
            "longest_text": LONGEST_TEXT,
            "due": self._due(inquiry),
            "keep_address": self._policy.requests.keep_address,
        }
        decision = inquiry.visit.decision
        language = inquiry.language
        html = self._pages.page("requests.html", decision, base=inquiry.base, language=language, **variables | shown)
        return page(html, language, status)
