"""The effects of an answer on access tracing: counts, visitor ids and erasure."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from cookie_consent.base.addresses import safe_next, split_address
from cookie_consent.base.user_agents import read_agent
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.own_cookies import MAX_WITHDRAWN, OwnCookies
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.endpoints.answers.posted import PostedAnswer
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.ledgers import records as proof
from cookie_consent.pages.question import REFERRER
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.access_record import origin_of
from cookie_consent.tracing.breakdowns import Shown

_TO_THE_QUESTION = ("granted", "refused", "partial")
"""Counts of answers that are no change of an earlier one."""
_ON_PAGES = ("banner", "feature")
"""Sources of answers that are given on a page of the site."""


class AnswerTracing:
    """Applies answers to access tracing.

    Args:
        own_cookies: the middleware's own cookies.
        access_log: the access log, or None.
    """

    def __init__(self, own_cookies: OwnCookies, access_log: AccessLog | None) -> None:
        self._own_cookies = own_cookies
        self._log = access_log

    def answered(
        self, inquiry: OwnRequest, posted: PostedAnswer, record: ConsentRecord, *, traces: bool, is_new: bool
    ) -> tuple[bool, list[tuple[bytes, bytes]]]:
        """Count an answer, and start or stop tracing the visitor.

        Args:
            inquiry: the request with the answer.
            posted: the answer as the visitor sent it.
            record: the answer as it was stored.
            traces: whether tracing is allowed from now on, where the answer was given.
            is_new: whether to count the answer. The second click of a double click is not counted.

        Returns:
            Whether tracing begins, and the header fields for a visitor id that begins or ends.
        """
        before, log = inquiry.visit.decision, self._log
        visitor = self._own_cookies.read_visitor(inquiry.cookie_field, inquiry.now, place=inquiry.place)
        visitor_id = visitor.id if visitor else ""
        if log is None:
            return False, []
        if is_new:
            _count(log, inquiry, posted, before, record)
        log.run_if_due()
        begins = traces and inquiry.visit.visitor_id is None
        fields = [self._new_visitor(inquiry, posted)] if begins else []
        if visitor_id and _promises_erasure(before, record):
            log.tracing.end_visitor(visitor_id)
            log.erasing.start(visitor_id)
        elif visitor_id and (begins or before.policy.traced.issubset(record.in_state(State.REFUSED))):
            fields += self._keep_for_erasure(log, inquiry, visitor_id)
        return begins, [(b"set-cookie", field) for field in fields]

    def ended(self, inquiry: OwnRequest) -> list[tuple[bytes, bytes]]:
        """Return the header fields that keep the id of a visitor whose consent has ended, for erasure."""
        visitor = self._own_cookies.read_visitor(inquiry.cookie_field, inquiry.now, place=inquiry.place)
        if self._log is None or visitor is None or not inquiry.visit.decision.policy.traced:
            return []
        return [(b"set-cookie", field) for field in self._keep_for_erasure(self._log, inquiry, visitor.id)]

    def _new_visitor(self, inquiry: OwnRequest, posted: PostedAnswer) -> bytes:
        """Return the Set-Cookie field for a new visitor id, with the referrer if the page is loaded again.

        Loading it again proves that the browser keeps cookies, so that visit is recorded. After a form, the browser
        loads the page. The script reloads a page that may not load what was granted, and sends the origin that the
        visitor came from.
        """
        referrer, query = None, inquiry.query_params
        loads_again = inquiry.is_form or REFERRER in query
        if loads_again and posted.source in _ON_PAGES and safe_next(posted.next):
            referrer = origin_of(query.get(REFERRER, ""))
        return self._own_cookies.set_visitor(inquiry.now, place=inquiry.place, referrer=referrer)[1]

    def _keep_for_erasure(self, log: AccessLog, inquiry: OwnRequest, visitor_id: str) -> list[bytes]:
        """Return the Set-Cookie field that keeps a former visitor id, which only the endpoints receive.

        An id is former after a withdrawal, and when the consent has ended. With it, the visitor can still see and erase
        the records. Without it, those rights would end with the consent (GDPR Articles 15 and 17).
        """
        log.tracing.end_visitor(visitor_id)
        policy, now, place = inquiry.visit.decision.policy, inquiry.now, inquiry.place
        if all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
            log.erasing.start(visitor_id)  # without a cookie that keeps the id, the visitor could never ask for it
            return []
        until = int(now + (policy.access_records_kept or LONGEST_COOKIE).total_seconds())
        before = self._own_cookies.read_withdrawn(inquiry.cookie_field, now, place=place)
        withdrawn = [*(one for one in before if one.visitor_id != visitor_id), WithdrawnVisitor(visitor_id, until)]
        for one in withdrawn[:-MAX_WITHDRAWN]:
            log.erasing.start(one.visitor_id)  # dropped from the cookie: the visitor could never ask for it
        return [self._own_cookies.set_withdrawn(withdrawn[-MAX_WITHDRAWN:], now, base=inquiry.base, place=place)]


def _count(log: AccessLog, inquiry: OwnRequest, posted: PostedAnswer, before: Decision, record: ConsentRecord) -> None:
    """Count an answer: as an answer to the question, or as a change of an earlier answer.

    An answer that only grants what the service refuses decides nothing, and is not counted.
    """
    outcome = proof.event(before.record, record)
    if outcome != "withdrawn":
        outcome = record.status if before.should_ask or before.record is None else "changed"
    if outcome == "unknown":
        return
    log.counts.add_answer(
        outcome,
        _host(inquiry),
        record.language,
        _shown(inquiry, posted, before, outcome),
        first=posted.first == "1" and outcome in _TO_THE_QUESTION,
        purposes=tuple(_purposes(outcome, before, record)),
    )


def _host(inquiry: OwnRequest) -> bytes:
    return inquiry.headers.get("host", "").encode("latin-1")


def _shown(inquiry: OwnRequest, posted: PostedAnswer, before: Decision, outcome: str) -> Shown:
    """Return what was shown, for the counts. An answer of a program comes from no page.

    The device is known of those who accepted all: the user agent of who said no is not read for it.
    """
    device = ""
    if outcome == "granted":
        device = read_agent(inquiry.headers.get("user-agent", "").encode("latin-1")).device
    path = unquote(split_address(safe_next(posted.next) or "").path)
    return Shown(before.policy, device, path)


def _purposes(outcome: str, before: Decision, record: ConsentRecord) -> Iterator[tuple[str, str]]:
    """Yield the name of a count and a purpose for each purpose that was answered or withdrawn now."""
    if outcome in _TO_THE_QUESTION:
        earlier = before.record.answers if before.record else {}
        answered = {id_: answer.state for id_, answer in record.answers.items() if answer != earlier.get(id_)}
        yield from (("granted", id_) for id_, state in answered.items() if state is State.GRANTED)
        yield from (("refused", id_) for id_, state in answered.items() if state is State.REFUSED)
    else:
        granted = before.record.in_state(State.GRANTED) if before.record else []
        yield from (("withdrawn", id_) for id_ in record.in_state(State.REFUSED) if id_ in granted)


def _promises_erasure(before: Decision, record: ConsentRecord) -> bool:
    """Tell whether the policy promises to erase a visitor's access records after this answer.

    The answer has to withdraw consent to tracing, even if a signal or a policy change had already switched tracing off.
    Tracing that only a service refuses is not withdrawn.
    """
    policy = before.policy
    granted = policy.traced.intersection(before.record.in_state(State.GRANTED) if before.record else ())
    withdrawn = granted.intersection(record.in_state(State.REFUSED))
    promised = any(policy.in_force[id_].erase_on_withdrawal for id_ in withdrawn)
    return promised and policy.traced.isdisjoint(record.in_state(State.GRANTED))
