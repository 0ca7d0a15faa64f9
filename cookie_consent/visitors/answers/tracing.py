"""Tells access tracing of an answer: what is counted, whose visits are recorded, and what is erased."""

from __future__ import annotations

from cookie_consent.base.cross_site import safe_next
from cookie_consent.decision.decision import Decision, objects
from cookie_consent.decision.own_cookies import MOST_WITHDRAWN, OwnCookies
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.visitor_cookie import Withdrawn
from cookie_consent.ledgers import records as proof
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.access_record import origin_of
from cookie_consent.tracing.exempt_visitors import pseudonym
from cookie_consent.tracing.tracer import traced_fields
from cookie_consent.visitors.answers.posted import Posted
from cookie_consent.visitors.answers.recent_answers import RecentAnswers
from cookie_consent.visitors.inquiry import Inquiry
from cookie_consent.visitors.pages.question import REFERRER

_ON_PAGES = ("banner", "feature")
"""The sources of the answers that are given on a page of the site."""


class AnswerTracing:
    """Tells access tracing of answers.

    Args:
        own: our own cookies.
        access_log: keeps access records, or None.
        recent_answers: remembers answers for the requests that run meanwhile.
    """

    def __init__(self, own: OwnCookies, access_log: AccessLog | None, recent_answers: RecentAnswers) -> None:
        self._own, self._log, self._recent_answers = own, access_log, recent_answers

    def answered(
        self, inquiry: Inquiry, posted: Posted, record: ConsentRecord, *, traces: bool, is_new: bool
    ) -> tuple[bool, list[tuple[bytes, bytes]]]:
        """Tell tracing of an answer.

        Args:
            inquiry: the request that brought the answer.
            posted: the answer as the visitor gave it.
            record: the answer as it is kept.
            traces: whether tracing is allowed from now on, where the answer was given.
            is_new: whether the answer is counted. The second click of a double click is not.

        Returns:
            Whether tracing begins, and the header fields by which the browser keeps a visitor id that begins or ends.
        """
        before, log = inquiry.visit.decision, self._log
        known = self._own.visitor(inquiry.cookies, inquiry.now, secure=inquiry.secure)
        visitor_id = known.id if known else ""
        self._recent_answers.answered(before.record, record, self._ids(inquiry, visitor_id, record))
        if log is None:
            return False, []
        if is_new:
            _count(log, inquiry, before, record)
        log.run_if_due()
        begins = traces and inquiry.visit.visitor_id is None
        fields = [self._new_visitor(inquiry, posted)] if begins else []
        if visitor_id and _promises_erasure(before, record):
            log.erasing.start(visitor_id)
        elif visitor_id and (begins or before.policy.traced.issubset(record.in_state(State.REFUSED))):
            fields += self._keep_for_erasure(log, inquiry, visitor_id)
        return begins, [(b"set-cookie", field) for field in fields]

    def _ids(self, inquiry: Inquiry, visitor_id: str, record: ConsentRecord) -> list[str]:
        """Return the pseudonyms by which the visitor may be recorded now: that of the day only for an objection."""
        log, scope = self._log, inquiry.request.scope
        ids: list[str | None] = [visitor_id]
        if log is not None and log.daily_salt is not None and objects(inquiry.visit.decision.policy, record):
            ids.append(pseudonym(scope, traced_fields(scope["headers"]), log.daily_salt, inquiry.now))
        return [id_ for id_ in ids if id_]

    def _new_visitor(self, inquiry: Inquiry, posted: Posted) -> bytes:
        """Return the Set-Cookie field of a new visitor id, with how the visitor came where the page is loaded again.

        Only then is it known that the browser keeps cookies: that is recorded. After a form the browser loads the page.
        The script does so where the page may not load what was granted, and says then from which origin the visitor
        came.
        """
        referrer, query = None, inquiry.request.query_params
        loads_again = inquiry.is_form or REFERRER in query
        if loads_again and posted.source in _ON_PAGES and safe_next(posted.next):
            referrer = origin_of(query.get(REFERRER, ""))
        return self._own.set_visitor(inquiry.now, secure=inquiry.secure, referrer=referrer)[1]

    def _keep_for_erasure(self, log: AccessLog, inquiry: Inquiry, visitor_id: str) -> list[bytes]:
        """Return the Set-Cookie field that keeps an id which is over, where only the endpoints see it.

        An id is over when its visitor withdraws, and when a new one takes its place after the consent had lapsed. The
        visitor can see and erase by it what was recorded. Without it the right to that would end with the withdrawal
        (GDPR Articles 15 and 17).
        """
        policy, now, secure = inquiry.visit.decision.policy, inquiry.now, inquiry.secure
        if all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
            log.erasing.start(visitor_id)  # no cookie of such a site keeps an id: nobody could ask for it any longer
            return []
        until = int(now + (policy.access_records_kept or LONGEST_COOKIE).total_seconds())
        before = self._own.withdrawn(inquiry.cookies, now, secure=secure)
        withdrawn = [*(one for one in before if one.visitor_id != visitor_id), Withdrawn(visitor_id, until)]
        for one in withdrawn[:-MOST_WITHDRAWN]:
            log.erasing.start(one.visitor_id)  # nobody could ask for it any longer
        return [self._own.set_withdrawn(withdrawn[-MOST_WITHDRAWN:], now, base=inquiry.base, secure=secure)]


def _count(log: AccessLog, inquiry: Inquiry, before: Decision, record: ConsentRecord) -> None:
    """Count an answer, as one to the question or as one that changes an earlier answer.

    An answer that only grants what the service refuses leaves all open. It is not counted.
    """
    outcome = proof.event(before.record, record)
    if outcome != "withdrawn":
        outcome = record.status if before.should_ask or before.record is None else "changed"
    if outcome != "unknown":
        host = inquiry.request.headers.get("host", "").encode("latin-1")
        log.counts.add(outcome, host, language=record.language)


def _promises_erasure(before: Decision, record: ConsentRecord) -> bool:
    """Return whether the policy promises to erase the access records of a visitor who gives this answer.

    It is an answer that withdraws the consent to tracing, also where a signal or a change of the policy had switched
    tracing off before. What only a service withholds is not withdrawn.
    """
    policy = before.policy
    granted = policy.traced.intersection(before.record.in_state(State.GRANTED) if before.record else ())
    withdrawn = granted.intersection(record.in_state(State.REFUSED))
    promised = any(policy.in_force[id_].erase_on_withdrawal for id_ in withdrawn)
    return promised and policy.traced.isdisjoint(record.in_state(State.GRANTED))
