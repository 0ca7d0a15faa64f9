"""Takes an answer: its record, the cookies that store it, and the tracing that it begins or ends.

Consent is written here, and a signal that overrides it in `ledgers/background.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote

from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.addresses import outer_path, read_host, safe_next, split_address
from cookie_consent.base.cookies import Headers
from cookie_consent.base.messages import escape_for_log, warn_once
from cookie_consent.base.user_agents import is_from_robot, read_agent
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.own_cookies import CONSENT, MAX_WITHDRAWN, SAVED, SIGNAL
from cookie_consent.decision.record import ConsentRecord, State, name_event
from cookie_consent.decision.tokens import WithdrawnVisitor
from cookie_consent.decision.visit import Visit, find_refused
from cookie_consent.endpoints.answer_body import PostedAnswer, make_record, read_answer
from cookie_consent.endpoints.answer_proof import GivenAnswer, keep_record
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import describe_state
from cookie_consent.http.forms import Problem, read_body
from cookie_consent.http.site import Site
from cookie_consent.pages.context import REFERRER
from cookie_consent.pages.wording import Wording
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.access_record import LONGEST, origin_of
from cookie_consent.tracing.counts import Shown

_EMPTY_CACHE = (b"clear-site-data", b'"cache"')
_MOST_COUNTED = 999
_ON_PAGES = ("banner", "feature")
"""Sources of answers that are given on a page of the site."""
_NAMES = {State.GRANTED: "granted", State.REFUSED: "refused"}


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
    if site.proof is not None:
        # First of all: if the proof cannot be kept, no cookie may say that something was allowed.
        given = await keep_record(site, site.proof, request, given)
    record = given.record
    # Another process may have stored the same answer a moment ago, and its clock may be ahead.
    now = max(request.now, record.decided_at)
    after = decide(given.before.policy, record, frozenset(given.before.signals), now)
    begins = site.access_log is not None and after.traces and visit.visitor is None
    fields = _make_cookies(site, request, given, now)
    if site.access_log is not None:
        fields += trace_answer(site, site.access_log, request, given, begins=begins)
    if request.is_form or any(map(visit.decision.purposes.get, record.refused)):
        # Otherwise the back button would restore pages as they were, with their scripts running (back-forward cache).
        # If nothing was taken away, our script updates its own pages, and the answer need not wait for the cache.
        fields.append(_EMPTY_CACHE)
    if site.policy.site.hosts and not request.place.host:
        _warn_of_unlisted_host(site.policy.site.hosts, read_host(request.scope))
    if given.problem is not None:
        given.problem.fields = fields
        raise given.problem
    reply = _make_reply(site, request, after, begins=begins, record=record)
    reply.raw_headers += fields
    return reply


async def _read_given(site: Site, request: OwnRequest) -> GivenAnswer:
    """Return the answer in the body. The language and the next path of the form count from now on."""
    before = request.visit.decision
    # Crawlers submit forms, too. Their answer would be the record of a consent that nobody gave. Who has answered is
    # none, so the user agent is read at the first answer alone.
    if before.record is None and is_from_robot(request.fields):
        raise Problem(403, "A robot cannot consent.")
    posted = read_answer(request.media_type, await read_body(request.receive), site.policy)
    if posted.language in site.policy.site.languages:
        request.language = posted.language
    request.next_path = safe_next(posted.next)
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


def _make_cookies(site: Site, request: OwnRequest, given: GivenAnswer, now: float) -> Headers:
    """Return the header fields that store an answer in the browser, and expire what it refuses."""
    record = given.record
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
    if request.is_form and given.posted.surface and given.problem is None:
        # The script says by itself that an answer is saved, and a form that is not ours goes its own way.
        cookies.append(own_cookies.set(SAVED, _name_saved(request.visit, record), place))
    fields = [(b"set-cookie", cookie) for cookie in cookies]
    if record.refused:
        fields += site.gate.expire_cookies(
            find_refused(request.visit.refusable_cookies, record),
            read_host(request.scope),
            secure=place.secure,
            unsent=site.gate.find_unsent(record.refused, outer_path(request.scope)),
        )
    return fields


def _warn_of_unlisted_host(hosts: Sequence[str], host: str) -> None:
    """Log a host that is not among those that share answers."""
    name = escape_for_log(host)
    text = (
        f'An answer was given on "{name}", and counts there alone: [site] hosts lists {", ".join(hosts)}. If '
        f'"{name}" is the site itself, list it, or let the proxy pass the Host field that the browser sent. '
        "docs/subdomains.md says more."
    )
    warn_once("hosts of answers", name, text)


def _name_saved(visit: Visit, record: ConsentRecord) -> str:
    """Return what the next page is to say of an answer; see `SAVED`."""
    if name_event(visit.decision.record, record) != "withdrawn":
        return "saved"
    deleted = {*find_refused(visit.refusable_cookies, record)}
    return f"withdrawn-{min(len(deleted), _MOST_COUNTED)}"


def _make_reply(
    site: Site, request: OwnRequest, after: Decision, *, begins: bool, record: ConsentRecord | None = None
) -> Response:
    if request.is_form:
        # 303 makes the browser follow with GET, so that a reload sends no second answer (RFC 9110, section 15.4.4).
        return RedirectResponse(request.next_path or request.base, status_code=303)
    state = describe_state(site, after)
    saved = _name_saved(request.visit, record) if record else "saved"
    if saved != "saved":  # what else an answer has done, the page itself can say
        state["message"] = Wording(after.policy, request.language).saved(saved).unescape()
    if begins:
        # The page view was not recorded, because tracing was off. The page's script reports it now.
        state["tracing_began"] = True
    return JSONResponse(state)


# Access tracing: counts, visitor ids and erasure.


def trace_answer(site: Site, log: AccessLog, request: OwnRequest, given: GivenAnswer, *, begins: bool) -> Headers:
    """Count an answer, begin or end to trace the visitor, and return the header fields of the visitor id.

    If the page is loaded again, the cookie of a new visitor id keeps the referrer: loading it again proves that the
    browser keeps cookies, so that visit is recorded. After a form, the browser loads the page. The script reloads a
    page that may not load what was granted, and sends the origin that the visitor came from.
    """
    posted = given.posted
    if given.is_new:
        _count_answer(log, request, posted, given.record)
    log.run_if_due()
    fields = []
    if begins:
        referrer = None
        if request.next_path and posted.source in _ON_PAGES and (request.is_form or REFERRER in request.query):
            referrer = request.query.get(REFERRER, "")
            if referrer.startswith("?"):
                referrer = f"?{log.tracing.keep_query(referrer[1:LONGEST])}"
            else:
                referrer = origin_of(referrer)
        _, cookie = site.own_cookies.set_visitor(request.now, request.place, referrer)
        fields.append((b"set-cookie", cookie))
    visitor = site.own_cookies.read_visitor(request.cookie_field, request.now, request.place)
    if visitor is None:
        return fields
    before = request.visit.decision
    if _promises_erasure(before, given.record):
        log.erase_visitor(visitor.id)
    elif begins or before.policy.traced.issubset(given.record.refused):
        fields += _keep_former_visitor(site, log, request, visitor.id)
    return fields


def end_tracing(site: Site, request: OwnRequest) -> Headers:
    """Return the header fields that keep the id of a visitor whose consent has ended, for erasure."""
    visitor = site.own_cookies.read_visitor(request.cookie_field, request.now, request.place)
    if site.access_log is None or visitor is None or not request.visit.decision.policy.traced:
        return []
    return _keep_former_visitor(site, site.access_log, request, visitor.id)


def _keep_former_visitor(site: Site, log: AccessLog, request: OwnRequest, visitor_id: str) -> Headers:
    """Return the Set-Cookie field that keeps a former visitor id, which only the endpoints receive.

    An id is former after a withdrawal, and when the consent has ended. With it, the visitor can still see and erase the
    records. Without it, those rights would end with the consent (GDPR Articles 15 and 17).
    """
    policy = request.visit.decision.policy
    if all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
        log.erase_visitor(visitor_id)  # without a cookie that keeps the id, the visitor could never ask for it
        return []
    log.end_visitor(visitor_id)
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
    withdrawn = policy.traced.intersection(before.record.granted if before.record else (), record.refused)
    is_promised = any(policy.in_force[id_].erase_on_withdrawal for id_ in withdrawn)
    return is_promised and policy.traced.isdisjoint(record.granted)


def _count_answer(log: AccessLog, request: OwnRequest, posted: PostedAnswer, record: ConsentRecord) -> None:
    """Count an answer, wherever it was given, and also as a change if it changes an earlier one without a question."""
    before = request.visit.decision
    outcome = record.status
    if name_event(before.record, record) == "withdrawn":
        outcome = "withdrawn"
    names = [outcome] if outcome != "unknown" else []
    if outcome != "withdrawn":
        if before.record is not None and not before.asked:
            names.append("changed")
        elif posted.first == "1":
            names.append("answered_first")
    device = ""
    if outcome == "granted":  # the user agent of who said no is not read
        device = read_agent(request.fields.get(b"user-agent", b"")).device
    path = ""
    if request.next_path:  # the answer of a program has none
        path = unquote(split_address(request.next_path).path)
    log.counts.add_with_details(
        names,
        request.fields.get(b"host", b""),
        record.language,
        Shown(before.policy, device, path),
        purposes=_list_purposes(before, record, is_change="changed" in names),
    )


def _list_purposes(before: Decision, record: ConsentRecord, *, is_change: bool) -> list[tuple[str, str]]:
    """Return the name of a count and a purpose, for each purpose that was answered or withdrawn now."""
    earlier = before.record.answers if before.record else {}
    purposes = []
    for purpose, answer in record.answers.items():
        previous = earlier.get(purpose)
        if answer.state not in _NAMES or answer == previous:
            continue
        if answer.state is State.REFUSED and previous is not None and previous.state is State.GRANTED:
            purposes.append(("withdrawn", purpose))
            continue
        purposes.append((_NAMES[answer.state], purpose))
        if is_change:
            purposes.append(("changed", purpose))
    return purposes
