"""The help desk on the web: visitors send requests and complaints and track them, without an account."""

from __future__ import annotations

from typing import Any

from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from cookie_consent.base.clock import DAY, HOUR
from cookie_consent.base.forms import read_body, read_fields, readable
from cookie_consent.base.limits import RateLimit
from cookie_consent.base.problem import Problem, too_many
from cookie_consent.ledgers import Ledger, Requests
from cookie_consent.ledgers.desk_request import (
    KINDS,
    LONGEST_ADDRESS,
    LONGEST_TEXT,
    DeskRequest,
    NotStored,
    as_reference,
    hash_of,
    opens,
    reference_of,
    secret_of,
)
from cookie_consent.ledgers.requests import MAX_OPEN
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.help_desk_form import HONEYPOT_FIELD, Draft, FormTokens, read_draft
from cookie_consent.visitors.help_desk_notice import DeskNotifier, notice_of
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.responses import page, wait_for_store

_MAX_LOOK_UPS = 30
"""How many look-ups of one reference are allowed in an hour. There is no limit across references."""


class HelpDesk:
    """Serves the help desk. It needs a ledger.

    Args:
        policy: the site's policy.
        pages: renders the pages.
        ledger: the ledger, which stores the requests; or None.
        desk: notifies the staff of a request, or None.
        tokens: signs the forms.
    """

    def __init__(
        self, policy: Policy, pages: Pages, *, ledger: Ledger | None, desk: DeskNotifier | None, tokens: FormTokens
    ) -> None:
        self._policy, self._pages, self._ledger = policy, pages, ledger
        self._desk, self._tokens = desk, tokens
        self._look_ups = RateLimit(_MAX_LOOK_UPS, HOUR)
        self._unnamed = RateLimit(MAX_OPEN, DAY)

    async def requests(self, inquiry: Inquiry) -> Response:
        """Respond with the form and the visitor's own requests.

        Raises:
            Problem: 404, there is no ledger; for programs also 503, it cannot be reached.
        """
        store, consent_id = self._store(), inquiry.visit.decision.consent_id
        try:
            requests = await wait_for_store(store.of(consent_id)) if consent_id else []
        except Problem as problem:
            if inquiry.wants_json:
                raise
            return self._page(inquiry, problem=problem)
        if inquiry.wants_json:
            token = self._tokens.make(inquiry.now)
            return JSONResponse({"token": token, "requests": [one.progress() for one in requests]})
        return self._page(inquiry, requests=requests)

    async def send(self, inquiry: Inquiry) -> Response:
        """Store a request, and notify the desk.

        A person gets the form back with the text and the problem. A program gets the problem as JSON.

        - `token`: the token of the form, from `GET`, between two seconds and a day old.
        - `kind`: "see", "correct", "erase" or "complain".
        - `text`: the message, at most 4000 characters.
        - `address`: a mail address for the answer; may be left out.

        Raises:
            Problem: 404, there is no ledger; 413, the body is too large; for programs also 400, the request is not
                valid; 429, too many requests; 503, the ledger cannot be reached.
        """
        store = self._store()
        body, draft = await read_body(inquiry.request.stream()), None
        try:
            draft = read_draft(inquiry.content_type, body)
            request, secret, is_new = await self._take(store, draft, inquiry)
        except Problem as problem:
            if _wants_data(inquiry):
                raise
            return self._page(inquiry, problem=problem, draft=draft)
        if _wants_data(inquiry):
            response: Response = JSONResponse({**request.progress(), "secret": secret}, 201)
        else:
            response = self._page(inquiry, status=201, received=request, secret=secret)
        if self._desk is not None and is_new:
            notice = notice_of(request, self._policy.site.name)
            # In the background: the visitor should not wait for a mail server.
            response.background = BackgroundTask(self._desk.notify, notice, inquiry.now)
        return response

    async def look_up(self, inquiry: Inquiry) -> Response:
        """Respond with the progress of a request, found by its reference and secret.

        - `reference`: the reference that the visitor was given.
        - `secret`: the access code that came with it.

        Raises:
            Problem: as for sending a request; for programs also 404, the reference or the secret is wrong.
        """
        store = self._store()
        body, typed = await read_body(inquiry.request.stream()), ""
        try:
            fields = read_fields(inquiry.content_type, body)
            typed = readable(fields.get("reference", ""))
            request = await self._opened(store, as_reference(typed), fields.get("secret", ""), inquiry.now)
        except Problem as problem:
            if _wants_data(inquiry):
                raise
            return self._page(inquiry, problem=problem, looked_up=typed)
        if _wants_data(inquiry):
            return JSONResponse(request.progress())
        return self._page(inquiry, requests=[request])

    def _store(self) -> Requests:
        ledger = self._ledger
        if ledger is None:
            raise Problem(404, "There is no help desk: requests are kept beside the ledger, and there is none.")
        return ledger.requests

    async def _take(self, store: Requests, draft: Draft, inquiry: Inquiry) -> tuple[DeskRequest, str, bool]:
        """Store a request. Return it, the secret that opens it, and whether it is new."""
        now, rules = inquiry.now, self._policy.requests
        form = self._tokens.form_of(draft.token, now)
        draft.check()
        seed = self._tokens.seed(form)
        secret = secret_of(seed)
        request = DeskRequest(
            reference=reference_of(seed),
            secret_hash=hash_of(secret),
            form=form,
            kind=draft.kind,
            text=draft.text,
            address=draft.address or None,
            language=inquiry.language,
            consent_id=inquiry.visit.decision.consent_id or None,
            created_at=int(now),
            due_at=int(now + rules.due.total_seconds()),
        )
        if draft.honeypot:
            return request, secret, False  # not stored, and the robot gets no hint of that
        refused = await wait_for_store(store.add(request, age=self._age_of(inquiry)))
        if refused is None:
            return request, secret, True
        # The same form again, as by a double click, gets the same reference. With other content it was changed and sent
        # again.
        first = None if refused.wait else await wait_for_store(store.find(request.reference))
        if first is None or (first.kind, first.text, first.address) != (request.kind, request.text, request.address):
            raise _problem_of(refused)
        return first, secret, False

    def _age_of(self, inquiry: Inquiry) -> float:
        """Return the age of the visitor's answer in seconds; 0 if the answer proves nothing about the sender.

        Requests from visitors with an old answer are trusted more. But a cookie without a consent id can be copied, and
        limits by id do not apply to it. So only a few requests a day count for all visitors who answered in the same
        second.
        """
        record, now = inquiry.visit.decision.record, inquiry.now
        if record is None or (not record.consent_id and self._unnamed.wait(str(record.decided_at), now)):
            return 0
        return now - record.decided_at

    async def _opened(self, store: Requests, reference: str, secret: str, now: float) -> DeskRequest:
        request = await wait_for_store(store.find(reference)) if reference else None
        # An unknown reference uses up nobody's look-ups.
        wait = 0 if request is None else self._look_ups.wait(reference, now)
        if wait:
            raise _too_many(wait)
        # Also without a request: the time that this takes must not tell whether a reference exists.
        is_right = opens(secret, request)
        if request is None or not is_right:
            raise Problem(404, "There is no such request, or the secret is wrong.", "error_not_found")
        return request

    def _page(
        self,
        inquiry: Inquiry,
        *,
        status: int = 200,
        problem: Problem | None = None,
        draft: Draft | None = None,
        **variables: Any,
    ) -> Response:
        now, draft = inquiry.now, draft or Draft()
        # A refused form keeps its token: a new one would make the visitor wait before sending again.
        is_old = problem is None or (problem.text == "error_form_old" and not self._tokens.is_too_new(draft.token, now))
        html = self._pages.page(
            "requests.html",
            inquiry.visit.decision,
            base=inquiry.base,
            language=inquiry.language,
            **{"requests": [], "received": None, "secret": "", "looked_up": "", **variables},
            problem=problem.text if problem else "",
            draft=draft,
            token=self._tokens.make(now) if is_old or not draft.token else draft.token,
            kinds=KINDS,
            honeypot_field=HONEYPOT_FIELD,
            longest_text=LONGEST_TEXT,
            longest_address=LONGEST_ADDRESS,
            due=now + self._policy.requests.due.total_seconds(),
            keep_address=self._policy.requests.keep_address,
        )
        response = page(html, inquiry.language, problem.status if problem else status)
        response.headers.update(problem.headers if problem else {})
        return response


def _wants_data(inquiry: Inquiry) -> bool:
    """Tell whether a program sent the request: it accepts JSON, or sent no form."""
    return inquiry.wants_json or not inquiry.is_form


def _problem_of(refused: NotStored) -> Problem:
    if refused.wait:
        return _too_many(refused.wait)
    return Problem(400, "This form was used before: fetch a new one.", "error_form_old")


def _too_many(wait: float) -> Problem:
    return too_many(wait, "Too many came within a short time.")
