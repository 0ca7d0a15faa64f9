"""The effects of an answer on access tracing: counts, visitor ids and erasure."""

from __future__ import annotations

from urllib.parse import unquote

from cookie_consent.base.addresses import split_address
from cookie_consent.base.request_fields import Headers
from cookie_consent.base.user_agents import read_agent
from cookie_consent.decision.decision import Decision
from cookie_consent.decision.own_cookies import MAX_WITHDRAWN
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.endpoints.posted import PostedAnswer
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.http.site import Site
from cookie_consent.ledgers.records import name_event
from cookie_consent.pages.question import REFERRER
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.access_record import origin_of
from cookie_consent.tracing.breakdowns import Shown

_TO_THE_QUESTION = ("granted", "refused", "partial")
"""Counts of answers that are no change of an earlier one."""
_ON_PAGES = ("banner", "feature")
"""Sources of answers that are given on a page of the site."""
_NAMES = {State.GRANTED: "granted", State.REFUSED: "refused"}


def trace_answer(
    site: Site, request: OwnRequest, posted: PostedAnswer, record: ConsentRecord, *, begins: bool, is_new: bool
) -> Headers:
    """Count an answer, and begin or end to trace the visitor.

    Args:
        site: the site.
        request: the request with the answer.
        posted: the answer as the visitor sent it.
        record: the answer as it was stored.
        begins: whether tracing begins.
        is_new: whether to count the answer. The second click of a double click is not counted.

    Returns:
        The header fields for a visitor id that begins or ends.
    """
    log = site.access_log
    if log is None:
        return []
    if is_new:
        _count_answer(log, request, posted, record)
    log.run_if_due()
    fields = []
    if begins:
        fields.append((b"set-cookie", _make_visitor_cookie(site, request, posted)))
    visitor = site.own_cookies.read_visitor(request.cookie_field, request.now, request.place)
    if visitor is None:
        return fields
    before = request.visit.decision
    if _promises_erasure(before, record):
        log.erase_visitor(visitor.id)
    elif begins or before.policy.traced.issubset(record.in_state(State.REFUSED)):
        fields += _keep_former_visitor(site, log, request, visitor.id)
    return fields


def end_tracing(site: Site, request: OwnRequest) -> Headers:
    """Return the header fields that keep the id of a visitor whose consent has ended, for erasure."""
    visitor = site.own_cookies.read_visitor(request.cookie_field, request.now, request.place)
    if site.access_log is None or visitor is None or not request.visit.decision.policy.traced:
        return []
    return _keep_former_visitor(site, site.access_log, request, visitor.id)


def _make_visitor_cookie(site: Site, request: OwnRequest, posted: PostedAnswer) -> bytes:
    """Return the Set-Cookie field for a new visitor id, with the referrer if the page is loaded again.

    Loading it again proves that the browser keeps cookies, so that visit is recorded. After a form, the browser loads
    the page. The script reloads a page that may not load what was granted, and sends the origin that the visitor came
    from.
    """
    referrer = None
    query = request.query_params
    if request.next_path and posted.source in _ON_PAGES and (request.is_form or REFERRER in query):
        referrer = origin_of(query.get(REFERRER, ""))
    return site.own_cookies.set_visitor(request.now, request.place, referrer)[1]


def _keep_former_visitor(site: Site, log: AccessLog, request: OwnRequest, visitor_id: str) -> Headers:
    """Return the Set-Cookie field that keeps a former visitor id, which only the endpoints receive.

    An id is former after a withdrawal, and when the consent has ended. With it, the visitor can still see and erase the
    records. Without it, those rights would end with the consent (GDPR Articles 15 and 17).
    """
    policy = request.visit.decision.policy
    if all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
        log.erase_visitor(visitor_id)  # without a cookie that keeps the id, the visitor could never ask for it
        return []
    log.tracing.end_visitor(visitor_id)
    kept_for = policy.access_records_kept or LONGEST_COOKIE
    until = int(request.now + kept_for.total_seconds())
    before = site.own_cookies.read_withdrawn(request.cookie_field, request.now, request.place)
    withdrawn = [former for former in before if former.visitor_id != visitor_id]
    withdrawn.append(WithdrawnVisitor(visitor_id, until))
    for former in withdrawn[:-MAX_WITHDRAWN]:
        log.erase_visitor(former.visitor_id)  # dropped from the cookie: the visitor could never ask for it
    last = withdrawn[-MAX_WITHDRAWN:]
    field = site.own_cookies.set_withdrawn(last, request.now, request.place, request.base)
    return [(b"set-cookie", field)]


def _promises_erasure(before: Decision, record: ConsentRecord) -> bool:
    """Return whether the policy promises to erase a visitor's access records after this answer.

    The answer has to withdraw consent to tracing, even if a signal or a policy change had already switched tracing off.
    Tracing that only a service refuses is not withdrawn.
    """
    policy = before.policy
    granted = before.record.in_state(State.GRANTED) if before.record else []
    withdrawn = policy.traced.intersection(granted).intersection(record.in_state(State.REFUSED))
    is_promised = any(policy.in_force[id_].erase_on_withdrawal for id_ in withdrawn)
    return is_promised and policy.traced.isdisjoint(record.in_state(State.GRANTED))


def _count_answer(log: AccessLog, request: OwnRequest, posted: PostedAnswer, record: ConsentRecord) -> None:
    """Count an answer: as an answer to the question, or as a change of an earlier answer."""
    before = request.visit.decision
    outcome = name_event(before.record, record)
    if outcome != "withdrawn":
        outcome = record.status if before.should_ask or before.record is None else "changed"
    device = ""
    if outcome == "granted":  # the user agent of who said no is not read
        device = read_agent(request.headers.get("user-agent", "").encode("latin-1")).device
    path = unquote(split_address(request.next_path).path)  # "" for the answer of a program
    log.counts.add_answer(
        outcome,
        request.headers.get("host", "").encode("latin-1"),
        record.language,
        Shown(before.policy, device, path),
        first=posted.first == "1" and outcome in _TO_THE_QUESTION,
        purposes=_list_purposes(outcome, before, record),
    )


def _list_purposes(outcome: str, before: Decision, record: ConsentRecord) -> tuple[tuple[str, str], ...]:
    """Return the name of a count and a purpose, for each purpose that was answered or withdrawn now."""
    earlier = before.record.answers if before.record else {}
    purposes = []
    for purpose, answer in record.answers.items():
        previous = earlier.get(purpose)
        if outcome in _TO_THE_QUESTION:
            if answer.state in _NAMES and answer != previous:
                purposes.append((_NAMES[answer.state], purpose))
        elif answer.state is State.REFUSED and previous is not None and previous.state is State.GRANTED:
            purposes.append(("withdrawn", purpose))
    return tuple(purposes)
