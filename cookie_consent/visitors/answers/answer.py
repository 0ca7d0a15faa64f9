"""Takes an answer. Here, and only here, consent is written.

The way of an answer, from the endpoint to the reply:

1. `guard`: the request comes from a page of the site.
2. `base.forms`: the body is read.
3. `posted`: the body is an answer, and the answer a consent record.
4. `answer_records`: the ledger keeps the record. Where it cannot, nothing else happens.
5. `answer_tracing`: tracing begins or ends.
6. `answer_cookies`: the browser keeps the answer.
7. The reply: the state for a script, the way back for a form.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.cross_site import safe_next
from cookie_consent.base.forms import read_body
from cookie_consent.base.problem import Problem
from cookie_consent.base.user_agents import asks_robot
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.visit import Visits
from cookie_consent.policy.policy import Policy
from cookie_consent.visitors.answers.cookies import AnswerCookies
from cookie_consent.visitors.answers.posted import Posted, make_record, read_answer
from cookie_consent.visitors.answers.records import AnswerRecords
from cookie_consent.visitors.answers.tracing import AnswerTracing
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.state import States


class Answers:
    """Takes answers.

    Args:
        policy: the site's policy.
        visits: knows the policies of services.
        states: says what holds after an answer.
        records: keeps the records of answers; None without a ledger.
        cookies: makes the browser keep an answer.
        tracing: tells access tracing of answers.
        lifetime: how long an answer holds.
    """

    def __init__(  # noqa: PLR0913 (each step of the way)
        self,
        policy: Policy,
        visits: Visits,
        states: States,
        *,
        records: AnswerRecords | None,
        cookies: AnswerCookies,
        tracing: AnswerTracing,
        lifetime: timedelta,
    ) -> None:
        self._policy, self._visits, self._states = policy, visits, states
        self._records, self._cookies, self._tracing = records, cookies, tracing
        self._lifetime = lifetime

    async def take(self, inquiry: Inquiry) -> Response:
        """Take the answer in the body of a request.

        Raises:
            Problem: 403, a robot sent it; 413, 400 or 409, the body is not an answer to the policy in force; 429, too
                many answers came; 503, the ledger cannot keep it.
        """
        if asks_robot(dict(inquiry.request.scope["headers"])):
            raise Problem(403, "A robot cannot consent.")
        body = await read_body(inquiry.request.stream())
        posted = read_answer(inquiry.content_type, body, self._policy)
        if posted.language in self._policy.site.languages:
            inquiry = replace(inquiry, language=posted.language)
        try:
            return await self._take(inquiry, posted)
        except Problem as problem:
            problem.language, problem.next = inquiry.language, posted.next
            raise

    async def _take(self, inquiry: Inquiry, posted: Posted) -> Response:
        if posted.policy not in ("", self._policy.version):
            raise Problem(409, f"The policy in force is {self._policy.version}.", "error_policy_changed")
        before = self._before(inquiry, posted)
        record = make_record(
            posted, inquiry.visit.decision, before.policy, now=int(inquiry.now), language=inquiry.language
        )
        is_new = True
        if self._records is not None:
            record, is_new = await self._records.keep(inquiry, before, posted, record)
        # Another process, with a clock of its own, may have kept the same answer a moment ago.
        now = max(inquiry.now, record.decided_at)
        after = decide(before.policy, record, frozenset(before.signals), now, lifetime=self._lifetime)
        begins, of_visitor = self._tracing.answered(inquiry, posted, record, traces=after.traces, is_new=is_new)
        of_answer = self._cookies.fields(inquiry, record)
        response = self._reply(inquiry, posted, after, begins=begins)
        response.raw_headers += [*of_answer, *of_visitor]
        return response

    def _before(self, inquiry: Inquiry, posted: Posted) -> Decision:
        """Return what held until now on the page where the answer was given, with the conditions of its service."""
        decision = inquiry.visit.decision
        here = self._visits.policy_in(posted.service) if posted.service else None
        if here is None or here is decision.policy:
            return decision
        return decide(here, decision.record, frozenset(decision.signals), inquiry.now, lifetime=self._lifetime)

    def _reply(self, inquiry: Inquiry, posted: Posted, after: Decision, *, begins: bool) -> Response:
        if inquiry.is_form:
            return RedirectResponse(safe_next(posted.next) or inquiry.base, status_code=303)
        # Nothing was recorded when the page was asked for: its script tells of it now.
        return JSONResponse(self._states.of(after) | ({"tracing_began": True} if begins else {}))
