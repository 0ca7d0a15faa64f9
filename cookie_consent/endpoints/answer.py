"""Takes an answer: its record in the ledger, the cookies that store it, and the tracing that it begins or ends.

Consent is written here, and a signal that overrides it in `ledgers/signal_records.py`.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import unquote

from anyio import fail_after
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.addresses import outer_path, safe_next, split_address, truncate_address
from cookie_consent.base.bounds import LONGEST_KEPT, LONGEST_WAIT, RateLimit
from cookie_consent.base.clock import seconds_of
from cookie_consent.base.cookies import Headers
from cookie_consent.base.messages import escape_for_log, log_failure, warn_once
from cookie_consent.base.user_agents import is_from_robot, read_agent
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.own_cookies import CONSENT, MAX_WITHDRAWN, SAVED, SIGNAL
from cookie_consent.decision.place import read_host
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.decision.visit import find_refused
from cookie_consent.endpoints.posted import GivenAnswer, PostedAnswer, keep_refusals, make_record, read_answer
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import describe_state, list_own_cookies
from cookie_consent.http.forms import Problem, make_rate_problem, read_body
from cookie_consent.http.site import Proof, Site
from cookie_consent.ledgers import Entry, Ledger
from cookie_consent.ledgers import records as ledger_records
from cookie_consent.ledgers.waiting import WaitingRecord
from cookie_consent.pages.evidence import SURFACES, Surface, render_evidence
from cookie_consent.pages.question import REFERRER, answered_at
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.policy.policy import find_card
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.access_record import origin_of
from cookie_consent.tracing.breakdowns import Shown

_EMPTY_CACHE = (b"clear-site-data", b'"cache"')
_TO_THE_QUESTION = ("granted", "refused", "partial")
"""Counts of answers that are no change of an earlier one."""
_ON_PAGES = ("banner", "feature")
"""Sources of answers that are given on a page of the site."""
_NAMES = {State.GRANTED: "granted", State.REFUSED: "refused"}
_MAX_SEARCHED = 100
"""How many of a visitor's newest records are searched for an earlier answer."""
_LONGEST_WAIT_TO_REFUSE = 2.0
"""Seconds after which a refusal counts without its record."""


async def accept_answer(site: Site, request: OwnRequest) -> Response:
    """Take the answer in the body of a request.

    Raises:
        Problem: 403, a robot sent it; 413 or 400, the body is no valid answer; 409, the policy has changed since the
            form was made; 429, too many answers; 503, the ledger cannot store it, and what it allows does not count.
    """
    visit = request.visit
    given = await _read_given(site, request)
    if given.before.status == given.record.status == "unknown":
        # Ticked boxes were left so, or a signal refuses what the answer allows.
        return _make_reply(site, request, given.before, begins=False)
    # First of all: if the proof cannot be kept, no cookie may say that something was allowed.
    given = await keep_record(site, request, given)
    record = given.record
    # Another process may have stored the same answer a moment ago, and its clock may be ahead.
    now = max(request.now, record.decided_at)
    after = decide(given.before.policy, record, frozenset(given.before.signals), now)
    begins = site.access_log is not None and after.traces and visit.visitor_id is None
    fields = _make_cookies(site, request, record, now)
    if request.is_form and given.posted.surface and given.problem is None:
        # The script says by itself that an answer is saved, and a form that is not ours goes its own way.
        fields.append((b"set-cookie", site.own_cookies.set(SAVED, "1", request.place)))
    fields += trace_answer(site, request, given, begins=begins)
    takes_away = any(visit.decision.purposes[purpose] for purpose in record.in_state(State.REFUSED))
    if request.is_form or takes_away:
        # Otherwise the back button would restore pages as they were, with their scripts running (back-forward cache).
        # If nothing was taken away, our script updates its own pages, and the answer need not wait for the cache.
        fields.append(_EMPTY_CACHE)
    _warn_of_unlisted_host(site, request)
    if given.problem is not None:
        given.problem.fields = fields
        raise given.problem
    reply = _make_reply(site, request, after, begins=begins)
    reply.raw_headers += fields
    return reply


async def _read_given(site: Site, request: OwnRequest) -> GivenAnswer:
    """Return the answer in the body. The language and the next path of the form count from now on."""
    before = request.visit.decision
    # Crawlers submit forms, too. Their answer would be the record of a consent that nobody gave. Who has answered is
    # none, so the user agent is read at the first answer alone.
    if before.record is None and is_from_robot(request.fields):
        raise Problem(403, "A robot cannot consent.")
    posted = read_answer(request.content_type, await read_body(request.stream()), site.policy)
    if posted.language in site.policy.site.languages:
        request.language = posted.language
    request.next_path = safe_next(posted.next) or ""
    if posted.policy not in ("", site.policy.version):
        # An answer is only about the text that was shown.
        raise Problem(409, f"The policy in force is {site.policy.version}.", "error_policy_changed")
    shown = before
    if posted.service:
        # The conditions of the service count on whose page the answer was given.
        policy = site.visits.find_service_policy(posted.service, before.policy) or before.policy
        shown = decide(policy, before.record, frozenset(before.signals), request.now)
    lifetime = site.own_cookies.lifetime
    record = make_record(
        posted, before, shown.policy, now=int(request.now), language=request.language, lifetime=lifetime
    )
    return GivenAnswer(posted, shown, record)


def _make_cookies(site: Site, request: OwnRequest, record: ConsentRecord, now: float) -> Headers:
    """Return the header fields that store an answer in the browser, and expire what it refuses."""
    own_cookies = site.own_cookies
    place = request.place
    before = request.visit.decision
    cookies = own_cookies.forget_former((CONSENT, SIGNAL), request.cookie_field, place, request.base)
    cookies.append(own_cookies.set_consent(record, place))
    if before.record is not None and before.record.overridden_by:
        # This answer was given in sight of the signals, so it overrides them (11 CCR 7025).
        cookies.append(own_cookies.forget(SIGNAL, place))
    if own_cookies.tells_state:
        # It is about the site, whose conditions may be others than those of the service.
        on_site = decide(before.policy, record, frozenset(before.signals), now)
        cookies += own_cookies.set_state(on_site, request.cookie_field, request.now, place)
    fields = [(b"set-cookie", cookie) for cookie in cookies]
    refused = record.in_state(State.REFUSED)
    if refused:
        fields += site.gate.expire_cookies(
            find_refused(request.visit.refusable_cookies, record),
            read_host(request.scope),
            secure=place.secure,
            unsent=site.gate.find_unsent(refused, outer_path(request.scope)),
        )
    return fields


def _warn_of_unlisted_host(site: Site, request: OwnRequest) -> None:
    """Log a host that is not among those that share answers."""
    hosts = site.policy.site.hosts
    if hosts and not request.place.host:
        name = escape_for_log(read_host(request.scope))
        text = (
            f'An answer was given on "{name}", and counts there alone: [site] hosts lists {", ".join(hosts)}. If '
            f'"{name}" is the site itself, list it, or let the proxy pass the Host field that the browser sent. '
            "docs/subdomains.md says more."
        )
        warn_once("hosts of answers", name, text)


def _make_reply(site: Site, request: OwnRequest, after: Decision, *, begins: bool) -> Response:
    if request.is_form:
        # 303 makes the browser follow with GET, so that a reload sends no second answer (RFC 9110, section 15.4.4).
        return RedirectResponse(request.next_path or request.base, status_code=303)
    state = describe_state(site, after)
    if begins:
        # The page view was not recorded, because tracing was off. The page's script reports it now.
        state["tracing_began"] = True
    return JSONResponse(state)


# The record of an answer, which the ledger keeps before a grant counts.


async def keep_record(site: Site, request: OwnRequest, given: GivenAnswer) -> GivenAnswer:
    """Store the record of an answer. If the ledger fails, what the answer refuses counts all the same.

    Raises:
        Problem: 503, the ledger cannot store it, and it refuses nothing; 429, too many answers.
    """
    proof = site.proof
    if proof is None:
        return given
    given = given._replace(record_id=secrets.token_urlsafe(16))
    refusal = keep_refusals(given.record, request.visit.decision)
    try:
        with fail_after(LONGEST_WAIT if refusal is None else _LONGEST_WAIT_TO_REFUSE):
            stored = await _store(site, proof, request, given)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 (nothing is allowed without its record, whatever fails)
        problem = Problem(503, "What the answer allows cannot be recorded just now.", "error_unavailable")
        if refusal is None:
            log_failure("The ledger could not keep a consent record; the answer was refused", error)
            raise problem from None
        log_failure("The ledger could not keep a consent record; what the answer refuses holds", error)
        refusal = replace(refusal, consent_id=given.before.consent_id)
        make_entry = await _prepare_entry(site, None, request, given)
        proof.waiting.add(WaitingRecord(given.record_id, refusal, make_entry))
        if refusal.answers == given.record.answers:
            return given._replace(record=refusal)
        return given._replace(record=refusal, problem=problem)
    proof.retention.run_if_due(request.now)
    return stored


async def _store(site: Site, proof: Proof, request: OwnRequest, given: GivenAnswer) -> GivenAnswer:
    """Append the record of an answer, unless it repeats the last one or is over a limit."""
    before = given.before
    record = given.record
    last: Mapping[str, Any] | None = None
    if before.consent_id:
        await proof.waiting.bring(before.consent_id)
        last = await proof.ledger.last(before.consent_id)
    known = last
    if before.record is not None and not before.consent_id and not before.record.in_state(State.GRANTED):
        known = ledger_records.describe_record(before.record)  # a refusal without an id is in the cookie alone
    if known is not None and ledger_records.repeats(known, ledger_records.describe_record(record)):
        return _restore(given, known, is_new=False)
    given = given._replace(record=replace(record, consent_id=_choose_id(before, record, last)))
    unrecorded = await _apply_limits(site, proof.ledger, request, given, last)
    if unrecorded is not None:
        return unrecorded
    make_entry = await _prepare_entry(site, proof.ledger, request, given)
    stored = await proof.ledger.append(make_entry(given.record, previous=last["record_id"] if last else None))
    return _restore(given, stored, is_new=stored["record_id"] == given.record_id)


def _restore(given: GivenAnswer, stored: Mapping[str, Any], *, is_new: bool) -> GivenAnswer:
    """Return an answer with the id and the time of the stored one."""
    record = replace(given.record, consent_id=stored["consent_id"] or "", decided_at=seconds_of(stored["decided_at"]))
    return given._replace(record=record, is_new=is_new)


def _choose_id(before: Decision, record: ConsentRecord, last: Mapping[str, Any] | None) -> str:
    """Return the consent id of an answer; "" for a plain refusal.

    Consent and its withdrawal have to be provable (GDPR Article 7(1) and (3)). A refusal by a visitor who never
    consented is neither. It needs no id. Nor does one after a withdrawal whose records were removed: there is nothing
    left to prove.
    """
    was_granted = before.record is not None and bool(before.record.in_state(State.GRANTED))
    if before.consent_id and (last is not None or was_granted):
        return before.consent_id
    return secrets.token_urlsafe(16) if record.in_state(State.GRANTED) else ""


async def _apply_limits(
    site: Site, ledger: Ledger, request: OwnRequest, given: GivenAnswer, last: Mapping[str, Any] | None
) -> GivenAnswer | None:
    """Count an answer. Return it if it is over a limit and needs no record; None if it is to be recorded.

    Over the limit a first refusal leaves no record, because no proof is owed for it. Another answer leaves one if it
    refuses something that the newest answer did not. Such a refusal is always possible, but cannot be repeated until
    something is granted again.

    Raises:
        Problem: 429, an answer over the limit grants something.
    """
    record = given.record
    if last is None:
        wait = count_first_answer(site.limits, request.scope.get("client"), request.now)
    else:
        wait = site.limits["answers"].wait(record.consent_id, request.now)
    if not wait:
        return None
    records = [] if last is None else await ledger.records(record.consent_id, _MAX_SEARCHED)
    newest, granted = ledger_records.find_newest_answer(records)
    if not granted.issuperset(record.in_state(State.GRANTED)):
        raise make_rate_problem(wait, "Too many answers came from this visitor or network; a refusal at any time.")
    if last is None:
        return given
    if newest is not None and set(newest["refused"]).issuperset(record.in_state(State.REFUSED)):
        return _restore(given, newest, is_new=False)
    return None


def count_first_answer(limits: Mapping[str, RateLimit], client: Sequence[Any] | None, now: float) -> float:
    """Count an answer without an earlier one. Return 0 if it is allowed, else the seconds to wait.

    A network is an IPv4 /24 or an IPv6 /48. An address that is missing or not public is usually that of a proxy. All
    visitors of the site may share it, so its limit is high.
    """
    network = truncate_address(str(client[0])) if client else None
    whence = "one public network"
    if network is None or not ipaddress.ip_address(network).is_global:
        network = ""
        whence = "addresses that are not public"
    limit = limits[f"first answers from {whence}"]
    wait = limit.wait(network, now)
    if wait:
        text = (
            f"Over {limit.most} first answers came within an hour from {whence}; for {wait:.0f} seconds consent is "
            "answered with 429, and refusals are not recorded. If a proxy stands in front, let the server take the "
            "client's address from its X-Forwarded-For: uvicorn --proxy-headers --forwarded-allow-ips=PROXY, "
            "hypercorn's ProxyFixMiddleware. docs/behind-a-proxy.md has the settings."
        )
        warn_once("networks", whence, text)
    return wait


async def _prepare_entry(
    site: Site, ledger: Ledger | None, request: OwnRequest, given: GivenAnswer
) -> Callable[..., Entry]:
    """Return what makes the entry of the ledger from a record and the id of the one before it.

    Without the ledger, a text that follows from an older answer is unknown.
    """
    context = ledger_records.RecordContext(record_id=given.record_id, policy=given.before.policy)
    shown = None
    # A path can come from the client: a long one must neither wait nor fill the cache of texts.
    if given.posted.surface in SURFACES and (ledger is not None or len(request.base) <= LONGEST_KEPT):
        then = await _find_decision_shown(ledger, given)
        shown = None if then is None else _render_shown_text(site, request, given, then)
    return partial(
        ledger_records.make_entry,
        context=context,
        before=given.before.record,
        form_id=given.posted.once,
        shown=shown,
    )


async def _find_decision_shown(ledger: Ledger | None, given: GivenAnswer) -> Decision | None:
    """Return the decision when the form was made; None if it is no longer known.

    The visitor may have answered since then, for example in another tab.
    """
    before = given.before
    time = int(given.posted.answered or answered_at(before))
    if time == answered_at(before):
        return before
    records = []
    if time and ledger is not None and before.consent_id:
        records = await ledger.records(before.consent_id, _MAX_SEARCHED)
    record = ledger_records.answer_at(records, time)
    if time and record is None:  # without a time, the form showed no answer
        return None
    return decide(before.policy, record, frozenset(before.signals), time)


def _render_shown_text(
    site: Site, request: OwnRequest, given: GivenAnswer, then: Decision
) -> ledger_records.ShownText | None:
    """Return the text that the visitor saw; None if it is unknown or the site's own form or program asked."""
    posted = given.posted
    feature = next((feature for feature in then.policy.features if feature.id == posted.feature), None)
    missing = tuple(id_ for id_, is_ticked in posted.purposes.items() if is_ticked and not then.purposes[id_])
    surface = Surface(posted.surface, feature, missing, posted.notice, request.counts_on)
    if posted.surface == "settings":
        own_cookies = list_own_cookies(site, then.policy, request.base, request.place)
        surface = replace(surface, own_cookies=own_cookies)
    elif posted.surface == "card":
        content = site.pages.read_card(posted.card)
        card = find_card(then.policy, content.id) if content else None
        if content is None or card is None:
            return None
        surface = replace(surface, card=card, title=content.title, reloads=content.reloads)
    return render_evidence(
        site.pages,
        then,
        surface,
        base=request.base,
        language=request.language,
        answered_before=given.before.record.decided_at if given.before.record else None,
    )


# Access tracing: counts, visitor ids and erasure.


def trace_answer(site: Site, request: OwnRequest, given: GivenAnswer, *, begins: bool) -> Headers:
    """Count an answer, begin or end to trace the visitor, and return the header fields of the visitor id."""
    log = site.access_log
    if log is None:
        return []
    if given.is_new:
        _count_answer(log, request, given.posted, given.record)
    log.run_if_due()
    fields = []
    if begins:
        fields.append((b"set-cookie", _make_visitor_cookie(site, request, given.posted)))
    visitor = site.own_cookies.read_visitor(request.cookie_field, request.now, request.place)
    if visitor is None:
        return fields
    before = request.visit.decision
    if _promises_erasure(before, given.record):
        log.erase_visitor(visitor.id)
    elif begins or before.policy.traced.issubset(given.record.in_state(State.REFUSED)):
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
    if request.next_path and posted.source in _ON_PAGES and (request.is_form or REFERRER in request.query):
        referrer = origin_of(request.query.get(REFERRER, ""))
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
    field = site.own_cookies.set_withdrawn(withdrawn[-MAX_WITHDRAWN:], request.now, request.place, request.base)
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
    outcome = ledger_records.name_event(before.record, record)
    if outcome != "withdrawn":
        outcome = record.status if before.should_ask or before.record is None else "changed"
    device = ""
    if outcome == "granted":  # the user agent of who said no is not read
        device = read_agent(request.fields.get(b"user-agent", b"")).device
    log.counts.add_answer(
        outcome,
        request.fields.get(b"host", b""),
        record.language,
        # The path is "" for the answer of a program.
        Shown(before.policy, device, unquote(split_address(request.next_path).path)),
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
