"""Takes an answer. Consent is written here and nowhere else.

The steps of an answer:

1. `guard`: check that the request comes from a page of the site.
2. `http.forms`: read the body.
3. `posted`: parse the answer, and make a consent record of it.
4. `records`: store the record in the ledger. If that fails, only what the answer refuses goes on.
5. `tracing`: start or stop tracing.
6. `cookies`: set the consent cookie, and expire what was refused.
7. Reply with the new state to a script, with a redirect to a form.
"""

from __future__ import annotations

from collections.abc import Sequence

from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.addresses import safe_next
from cookie_consent.base.messages import shown, warn_once
from cookie_consent.base.user_agents import is_from_robot
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.place import read_host
from cookie_consent.decision.record import ConsentRecord
from cookie_consent.endpoints.answers.cookies import AnswerCookies
from cookie_consent.endpoints.answers.posted import PostedAnswer, make_record, read_answer
from cookie_consent.endpoints.answers.records import AnswerRecords
from cookie_consent.endpoints.answers.tracing import AnswerTracing
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import describe_state
from cookie_consent.http.forms import Problem, read_body
from cookie_consent.http.site import Site


class HostAdvice:
    """Logs each host once that is not listed.

    Args:
        hosts: the hosts that share answers; with none, nothing is logged.
    """

    def __init__(self, hosts: Sequence[str]) -> None:
        self._hosts = ", ".join(hosts)

    def log_advice(self, host: str) -> None:
        """Log advice for a host that is not listed, as its Host field names it."""
        if self._hosts:
            name = shown(host)
            text = (
                f'An answer was given on "{name}", and counts there alone: [site] hosts lists {self._hosts}. If '
                f'"{name}" is the site itself, list it, or let the proxy pass the Host field that the browser sent. '
                "docs/subdomains.md says more."
            )
            warn_once("hosts of answers", name, text)


class Answers:
    """Takes answers.

    Args:
        site: the site.
        records: stores consent records; None without a ledger.
        cookies: returns the cookies to set and to expire.
        tracing: starts and stops access tracing.
    """

    def __init__(
        self, site: Site, *, records: AnswerRecords | None, cookies: AnswerCookies, tracing: AnswerTracing
    ) -> None:
        self._site = site
        self._policy = site.policy
        self._visits = site.visits
        self._records = records
        self._cookies = cookies
        self._tracing = tracing
        self._lifetime = site.own_cookies.lifetime
        self._host_advice = HostAdvice(site.policy.site.hosts)

    async def take(self, inquiry: OwnRequest) -> Response:
        """Take the answer in the body of a request.

        Raises:
            Problem: 403, a robot sent it; 413 or 400, the body is no valid answer; 409, the policy has changed since
                the form was made; 429, too many answers; 503, the ledger cannot store it,
                and what it allows does not hold.
        """
        # Crawlers submit forms, too. Their answer would be the record of a consent that nobody gave. Who has answered
        # is none, so the user agent is read at the first answer alone.
        if inquiry.visit.decision.record is None and is_from_robot(dict(inquiry.scope["headers"])):
            raise Problem(403, "A robot cannot consent.")
        body = await read_body(inquiry.stream())
        posted = read_answer(inquiry.content_type, body, self._policy)
        if posted.language in self._policy.site.languages:
            # The record names the language of the form, whichever the browser prefers now.
            inquiry.language = posted.language
        inquiry.next_path = safe_next(posted.next) or ""
        return await self._take(inquiry, posted)

    async def _take(self, inquiry: OwnRequest, posted: PostedAnswer) -> Response:
        if posted.policy not in ("", self._policy.version):
            # An answer is only about the text that was shown.
            raise Problem(409, f"The policy in force is {self._policy.version}.", "error_policy_changed")
        before = self._before(inquiry, posted)
        record = make_record(
            posted,
            inquiry.visit.decision,
            before.policy,
            now=int(inquiry.now),
            language=inquiry.language,
            lifetime=self._lifetime,
        )
        if _answers_nothing(before, record):
            return self._reply(inquiry, posted, before, begins=False)
        is_new = True
        problem = None
        # First of all: if the proof cannot be kept, no cookie may say that something was allowed.
        if self._records is not None:
            record, is_new, problem = await self._records.keep(inquiry, before, posted, record)
        # Another process may have stored the same answer a moment ago, and its clock may be ahead.
        now = max(inquiry.now, record.decided_at)
        after = self._decided(before, record, now)
        begins, of_visitor = self._tracing.answered(inquiry, posted, record, traces=after.traces, is_new=is_new)
        # The script says by itself that an answer is saved, and a form that is not ours goes its own way.
        says_saved = inquiry.is_form and bool(posted.surface) and problem is None
        of_answer = self._cookies.fields(inquiry, record, says_saved=says_saved)
        # For the site, whose conditions may be others than those of a service.
        on_site = self._decided(inquiry.visit.decision, record, now)
        fields = [*of_answer, *of_visitor, *self._cookies.of_state(inquiry, on_site)]
        if not inquiry.place.host:
            self._host_advice.log_advice(read_host(inquiry.scope))
        if problem is not None:
            problem.fields = fields
            raise problem
        response = self._reply(inquiry, posted, after, begins=begins)
        response.raw_headers += fields
        return response

    def _decided(self, before: Decision, record: ConsentRecord, now: float) -> Decision:
        """Return the decision under the same conditions as another one, once an answer is given."""
        return decide(before.policy, record, frozenset(before.signals), now)

    def _before(self, inquiry: OwnRequest, posted: PostedAnswer) -> Decision:
        """Return the decision until now, under the conditions of the service on whose page the answer was given."""
        decision = inquiry.visit.decision
        here = self._visits.policy_in(posted.service, decision.policy) if posted.service else None
        if here is None or here is decision.policy:
            return decision
        return decide(here, decision.record, frozenset(decision.signals), inquiry.now)

    def _reply(self, inquiry: OwnRequest, posted: PostedAnswer, after: Decision, *, begins: bool) -> Response:
        if inquiry.is_form:
            # 303 makes the browser follow with GET, so reloading the page sends no second answer (RFC 9110, section
            # 15.4.4).
            return RedirectResponse(inquiry.next_path or inquiry.base, status_code=303)
        # The page view was not recorded, because tracing was off. The page's script reports it now.
        return JSONResponse(describe_state(self._site, after) | ({"tracing_began": True} if begins else {}))


def _answers_nothing(before: Decision, record: ConsentRecord) -> bool:
    """Tell whether a first answer says nothing: ticked boxes were left so, or a signal refuses what it allows."""
    return before.record is None and record.status == "unknown"
