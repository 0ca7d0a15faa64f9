"""The help desk on the web: visitors send requests and complaints, and look up their progress, without an account."""

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
    NotKept,
    as_reference,
    hash_of,
    opens,
    reference_of,
    secret_of,
)
from cookie_consent.ledgers.requests import MOST_OPEN
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.help_desk_form import EMPTY_FIELD, Draft, FormTokens, read_draft
from cookie_consent.visitors.help_desk_notice import Desk, notice_of
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.pages import Pages
from cookie_consent.visitors.responses import from_store, page

_MOST_LOOK_UPS = 30
"""How many look-ups of one reference are answered in an hour. There is no limit for all references together."""


class HelpDesk:
    """Answers the requests to the help desk. Without a ledger there is no help desk.

    Args:
        policy: the site's policy.
        pages: makes the pages.
        ledger: keeps the requests, or None.
        desk: tells the desk of a request, or None.
        tokens: signs the forms.
    """

    def __init__(
        self, policy: Policy, pages: Pages, *, ledger: Ledger | None, desk: Desk | None, tokens: FormTokens
    ) -> None:
        self._policy, self._pages, self._ledger = policy, pages, ledger
        self._desk, self._tokens = desk, tokens
        self._look_ups = RateLimit(_MOST_LOOK_UPS, HOUR)
        self._unnamed = RateLimit(MOST_OPEN, DAY)

    async def requests(self, inquiry: Inquiry) -> Response:
        """Answer with the form, and with the visitor's own requests."""
        store, consent_id = self._store(), inquiry.visit.decision.consent_id
        try:
            own = await from_store(store.of(consent_id)) if consent_id else []
        except Problem as problem:
            if inquiry.wants_json:
                raise
            return self._page(inquiry, problem=problem)
        if inquiry.wants_json:
            token = self._tokens.make(inquiry.now)
            return JSONResponse({"token": token, "requests": [kept.progress() for kept in own]})
        return self._page(inquiry, requests=own)

    async def send(self, inquiry: Inquiry) -> Response:
        """Take a request to the help desk, and tell the desk.

        People who send a form get it back with what they wrote and what is wrong. Programs get a problem.

        Raises:
            Problem: 404, there is no help desk; 413; to programs also 400, 429 and 503.
        """
        store = self._store()
        body, draft = await read_body(inquiry.request.stream()), None
        try:
            draft = read_draft(inquiry.content_type, body)
            kept, secret, is_new = await self._take(store, draft, inquiry)
        except Problem as problem:
            if _wants_data(inquiry):
                raise
            return self._page(inquiry, problem=problem, draft=draft)
        if _wants_data(inquiry):
            response: Response = JSONResponse({**kept.progress(), "secret": secret}, 201)
        else:
            response = self._page(inquiry, status=201, received=kept, secret=secret)
        if self._desk is not None and is_new:
            notice = notice_of(kept, self._policy.site.name)
            # After the answer: nobody waits for a mail server.
            response.background = BackgroundTask(self._desk.tell, notice, inquiry.now)
        return response

    async def look_up(self, inquiry: Inquiry) -> Response:
        """Answer with the progress of a request to the help desk, by its reference and secret.

        Raises:
            Problem: as `send` does; to programs also 404, no request has this reference and secret.
        """
        store = self._store()
        body, typed = await read_body(inquiry.request.stream()), ""
        try:
            fields = read_fields(inquiry.content_type, body)
            typed = readable(fields.get("reference", ""))
            found = await self._found(store, as_reference(typed), fields.get("secret", ""), inquiry.now)
        except Problem as problem:
            if _wants_data(inquiry):
                raise
            return self._page(inquiry, problem=problem, looked_up=typed)
        if _wants_data(inquiry):
            return JSONResponse(found.progress())
        return self._page(inquiry, requests=[found])

    def _store(self) -> Requests:
        ledger = self._ledger
        if ledger is None:
            raise Problem(404, "There is no help desk: requests are kept beside the ledger, and there is none.")
        return ledger.requests

    async def _take(self, store: Requests, draft: Draft, inquiry: Inquiry) -> tuple[DeskRequest, str, bool]:
        """Return the request that is kept, the secret that opens it, and whether it is new."""
        now, rules = inquiry.now, self._policy.requests
        form = self._tokens.form_of(draft.token, now)
        draft.check()
        seed = self._tokens.seed(form)
        secret = secret_of(seed)
        made = DeskRequest(
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
        if draft.trap:
            return made, secret, False  # nothing is kept, and the program does not learn that
        refused = await from_store(store.add(made, age=self._age_of(inquiry)))
        if refused is None:
            return made, secret, True
        first = None if refused.wait else await from_store(store.find(made.reference))
        if first is None or (first.kind, first.text, first.address) != (made.kind, made.text, made.address):
            raise _problem_of(refused)
        return first, secret, False

    def _age_of(self, inquiry: Inquiry) -> float:
        """Return how long ago the visitor's answer was given, in seconds; 0 for an answer that anybody may hold.

        A cookie without a consent id can be copied, and limits for ids do not bind it. So only a few requests a day
        count as sent by visitors who answered in the same second.
        """
        record, now = inquiry.visit.decision.record, inquiry.now
        if record is None or (not record.consent_id and self._unnamed.wait(str(record.decided_at), now)):
            return 0
        return now - record.decided_at

    async def _found(self, store: Requests, reference: str, secret: str, now: float) -> DeskRequest:
        found = await from_store(store.find(reference)) if reference else None
        # A mistyped reference is nobody's: it uses up nobody's look-ups.
        wait = 0 if found is None else self._look_ups.wait(reference, now)
        if wait:
            raise _too_many(wait)
        is_right = opens(secret, found)
        if found is None or not is_right:
            raise Problem(404, "There is no such request, or the secret is wrong.", "error_not_found")
        return found

    def _page(
        self,
        inquiry: Inquiry,
        *,
        status: int = 200,
        problem: Problem | None = None,
        draft: Draft | None = None,
        **shown: Any,
    ) -> Response:
        now, draft = inquiry.now, draft or Draft()
        # A form that is refused comes back with its token, so that nobody has to wait to send it again.
        is_old = problem is None or (problem.text == "error_form_old" and not self._tokens.ripens(draft.token, now))
        html = self._pages.page(
            "requests.html",
            inquiry.visit.decision,
            base=inquiry.base,
            language=inquiry.language,
            **{"requests": [], "received": None, "secret": "", "looked_up": "", **shown},
            problem=problem.text if problem else "",
            draft=draft,
            token=self._tokens.make(now) if is_old or not draft.token else draft.token,
            kinds=KINDS,
            empty_field=EMPTY_FIELD,
            longest_text=LONGEST_TEXT,
            longest_address=LONGEST_ADDRESS,
            due=now + self._policy.requests.due.total_seconds(),
            keep_address=self._policy.requests.keep_address,
        )
        response = page(html, inquiry.language, problem.status if problem else status)
        response.headers.update(problem.headers if problem else {})
        return response


def _wants_data(inquiry: Inquiry) -> bool:
    """Return whether a program sent the request: it asks for JSON, or sent no form."""
    return inquiry.wants_json or not inquiry.is_form


def _problem_of(refused: NotKept) -> Problem:
    if refused.wait:
        return _too_many(refused.wait)
    return Problem(400, "This form was used before: fetch a new one.", "error_form_old")


def _too_many(wait: float) -> Problem:
    return too_many(wait, "Too many came within a short time.")
