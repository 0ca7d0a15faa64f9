"""Takes an answer. Consent is written here, and a signal that overrides it in `ledgers/signal_records.py`."""

from __future__ import annotations

from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.addresses import outer_path, safe_next
from cookie_consent.base.messages import shown, warn_once
from cookie_consent.base.request_fields import Headers
from cookie_consent.base.user_agents import is_from_robot
from cookie_consent.decision.decision import Decision, decide
from cookie_consent.decision.own_cookies import CONSENT, SAVED, SIGNAL
from cookie_consent.decision.place import read_host
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.visit import refused_cookie_names
from cookie_consent.endpoints.answer_records import keep_record
from cookie_consent.endpoints.answer_tracing import trace_answer
from cookie_consent.endpoints.posted import PostedAnswer, make_record, read_answer
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.endpoints.settings import describe_state
from cookie_consent.http.forms import Problem, read_body
from cookie_consent.http.site import Site

_EMPTY_CACHE = (b"clear-site-data", b'"cache"')


async def accept_answer(site: Site, request: OwnRequest) -> Response:
    """Take the answer in the body of a request.

    Raises:
        Problem: 403, a robot sent it; 413 or 400, the body is no valid answer; 409, the policy has changed since the
            form was made; 429, too many answers; 503, the ledger cannot store it, and what it allows does not count.
    """
    visit = request.visit
    posted = await _read_posted(site, request)
    before = _find_decision(site, request, posted)
    record = make_record(
        posted,
        visit.decision,
        before.policy,
        now=int(request.now),
        language=request.language,
        lifetime=site.own_cookies.lifetime,
    )
    if before.status == record.status == "unknown":
        # Ticked boxes were left so, or a signal refuses what the answer allows.
        return _make_reply(site, request, before, begins=False)
    # First of all: if the proof cannot be kept, no cookie may say that something was allowed.
    record, is_new, problem = await keep_record(site, request, posted, before, record)
    # Another process may have stored the same answer a moment ago, and its clock may be ahead.
    now = max(request.now, record.decided_at)
    after = decide(before.policy, record, frozenset(before.signals), now)
    begins = site.access_log is not None and after.traces and visit.visitor_id is None
    fields = _make_cookies(site, request, record)
    if request.is_form and posted.surface and problem is None:
        # The script says by itself that an answer is saved, and a form that is not ours goes its own way.
        fields.append((b"set-cookie", site.own_cookies.set(SAVED, "1", request.place)))
    fields += trace_answer(site, request, posted, record, begins=begins, is_new=is_new)
    fields += _tell_scripts(site, request, record, now)
    if request.is_form or _takes_away(visit.decision, record):
        # Otherwise the back button would restore pages as they were, with their scripts running (back-forward cache).
        # If nothing was taken away, our script updates its own pages, and the answer need not wait for the cache.
        fields.append(_EMPTY_CACHE)
    _warn_of_unlisted_host(site, request)
    if problem is not None:
        problem.fields = fields
        raise problem
    reply = _make_reply(site, request, after, begins=begins)
    reply.raw_headers += fields
    return reply


async def _read_posted(site: Site, request: OwnRequest) -> PostedAnswer:
    """Return the answer in the body. The language and the next path of the form count from now on."""
    # Crawlers submit forms, too. Their answer would be the record of a consent that nobody gave. Who has answered is
    # none, so the user agent is read at the first answer alone.
    if request.visit.decision.record is None and is_from_robot(dict(request.scope["headers"])):
        raise Problem(403, "A robot cannot consent.")
    posted = read_answer(request.content_type, await read_body(request.stream()), site.policy)
    if posted.language in site.policy.site.languages:
        request.language = posted.language
    request.next_path = safe_next(posted.next) or ""
    if posted.policy not in ("", site.policy.version):
        # An answer is only about the text that was shown.
        raise Problem(409, f"The policy in force is {site.policy.version}.", "error_policy_changed")
    return posted


def _find_decision(site: Site, request: OwnRequest, posted: PostedAnswer) -> Decision:
    """Return the decision until now, under the conditions of the service on whose page the answer was given."""
    decision = request.visit.decision
    policy = site.visits.policy_in(posted.service, decision.policy) if posted.service else None
    if policy is None or policy is decision.policy:
        return decision
    return decide(policy, decision.record, frozenset(decision.signals), request.now)


def _make_cookies(site: Site, request: OwnRequest, record: ConsentRecord) -> Headers:
    """Return the header fields that store an answer in the browser, and expire what it refuses."""
    own_cookies = site.own_cookies
    place = request.place
    before = request.visit.decision.record
    cookies = own_cookies.forget_former((CONSENT, SIGNAL), request.cookie_field, place, request.base)
    cookies.append(own_cookies.set_consent(record, place))
    if before is not None and before.overridden_by:
        # This answer was given in sight of the signals, so it overrides them (11 CCR 7025).
        cookies.append(own_cookies.forget(SIGNAL, place))
    fields = [(b"set-cookie", cookie) for cookie in cookies]
    refused = record.in_state(State.REFUSED)
    if refused:
        fields += site.gate.expire_cookies(
            refused_cookie_names(request.visit.refusable_cookies, record),
            read_host(request.scope),
            secure=place.secure,
            unsent=site.gate.find_unsent(refused, outer_path(request.scope)),
        )
    return fields


def _tell_scripts(site: Site, request: OwnRequest, record: ConsentRecord, now: float) -> Headers:
    """Return the header fields of the cookie that tells scripts what is allowed, if the site has one.

    It is about the site, whose conditions may be others than those of the service.
    """
    if not site.own_cookies.tells_state:
        return []
    before = request.visit.decision
    decision = decide(before.policy, record, frozenset(before.signals), now)
    cookies = site.own_cookies.set_state(decision, request.cookie_field, request.now, request.place)
    return [(b"set-cookie", cookie) for cookie in cookies]


def _takes_away(before: Decision, record: ConsentRecord) -> bool:
    """Return whether an answer refuses something that was allowed until now."""
    return any(before.purposes[purpose] for purpose in record.in_state(State.REFUSED))


def _warn_of_unlisted_host(site: Site, request: OwnRequest) -> None:
    """Log a host that is not among those that share answers."""
    hosts = site.policy.site.hosts
    if hosts and not request.place.host:
        name = shown(read_host(request.scope))
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
