"""Takes an answer: the proof first, then the cookie. Here, and only here, consent is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anyio import fail_after
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.base.cross_site import is_cross_site, safe_next
from cookie_consent.base.dates import rfc3339, seconds_of
from cookie_consent.base.forms import is_form
from cookie_consent.base.limits import LONGEST_WAIT, log_failure
from cookie_consent.base.paths import outer_path
from cookie_consent.base.problem import Problem, too_many
from cookie_consent.base.user_agents import asks_robot
from cookie_consent.decision.decision import (
    Decision,
    consents,
    decide,
    objects,
    opted_out,
    switched_off,
    what_signals_refuse,
)
from cookie_consent.decision.own_cookies import MOST_WITHDRAWN
from cookie_consent.decision.record import ConsentRecord, State
from cookie_consent.decision.visit import Visit, cookies_of, host_of, is_secure, refused_names
from cookie_consent.decision.visitor_cookie import Withdrawn
from cookie_consent.ledgers import Entry, Ledger
from cookie_consent.ledgers import records as proof
from cookie_consent.policy.parts import LONGEST_COOKIE
from cookie_consent.tracing.access_record import origin_of
from cookie_consent.tracing.exempt_visitors import pseudonym
from cookie_consent.tracing.tracer import traced_fields
from cookie_consent.visitors.installation import ANSWERS_WITHIN, MOST_ANSWERS, Installation
from cookie_consent.visitors.pages.evidence import SURFACES, Surface, shown
from cookie_consent.visitors.pages.pages import REFERRER
from cookie_consent.visitors.posted import Posted, make_record, read_answer

_LARGEST_BODY = 64 * 1024
_ON_PAGES = ("banner", "feature")
"""The sources of the answers that are given on a page of the site."""
_MOST_LOOKED_THROUGH = 100
"""Among so many of a visitor's newest records an answer is looked for that was given before."""


async def answer(installed: Installation, request: Request, visit: Visit, language: str) -> Response:
    """Take the answer in a request's body.

    Raises:
        Problem: 403 from another site, or from a robot; 413, 400, 409 for a body that is no answer; 503 if the proof
            cannot be kept.
    """
    refuse_cross_site(installed, request)
    if asks_robot(dict(request.scope["headers"])):
        raise Problem(403, "A robot cannot consent.")
    body = await read_body(request)
    posted = read_answer(request.headers.get("content-type", ""), body, installed.policy)
    if posted.language in installed.policy.site.languages:
        language = posted.language
    try:
        return await _take(installed, request, visit, posted, language)
    except Problem as problem:
        problem.language, problem.next = language, posted.next
        raise


async def _take(installed: Installation, request: Request, visit: Visit, posted: Posted, language: str) -> Response:
    if posted.policy not in ("", installed.policy.version):
        raise Problem(409, f"The policy in force is {installed.policy.version}.", "error_policy_changed")
    before, now = visit.decision, installed.clock()
    here = installed.visits.policy_in(posted.service) or before.policy
    record = make_record(posted, before, here, now=int(now), language=language)
    is_new = True
    if installed.ledger is not None:
        there = decide(here, before.record, frozenset(before.signals), now, lifetime=installed.own.lifetime)
        record, is_new = await _keep_proof(installed, request, there, posted, record)
    installed.recent_answers.answered(before.record, record, _visitor_ids(installed, request, visit, record))
    after = decide(here, record, frozenset(before.signals), now, lifetime=installed.own.lifetime)
    if is_new:
        _count(installed, request, _outcome(before, record), record.language)
    if installed.access_log is not None:
        installed.access_log.run_if_due()
    begins = after.traces and installed.access_log is not None and visit.visitor_id is None
    response = _reply(installed, request, posted, after, tracing_began=begins)
    _set_cookies(installed, request, response, visit, after)
    if begins:
        response.raw_headers.append((b"set-cookie", _new_visitor(installed, request, posted)))
    if not _erase_withdrawn(installed, request, visit, record):
        _keep_for_erasure(installed, request, response, visit, record, is_replaced=begins)
    return response


def _visitor_ids(installed: Installation, request: Request, visit: Visit, record: ConsentRecord) -> list[str]:
    """Return the pseudonyms by which a visitor who answers may be recorded just now: a day's only for an objection."""
    log, now = installed.access_log, installed.clock()
    known = installed.own.visitor(cookies_of(request.scope), now, secure=is_secure(request.scope))
    ids = [known[0] if known else None]
    if log is not None and log.daily_salt is not None and objects(installed.policy, record):
        fields = traced_fields(request.scope["headers"])
        ids.append(pseudonym(request.scope, fields, log.daily_salt, now))
    return [id_ for id_ in ids if id_]


def _outcome(before: Decision, record: ConsentRecord) -> str:
    """Return under what name an answer is counted: as one to the question, or as one that changes an earlier one."""
    event = proof.event(before.record, record)
    if event == "withdrawn":
        return event
    return record.status if before.should_ask or before.record is None else "changed"


def _count(installed: Installation, request: Request, outcome: str, language: str) -> None:
    """Count an answer; one that only grants what the service refuses leaves all open, and is none."""
    if installed.access_log is not None and outcome != "unknown":
        installed.access_log.funnel.add(outcome, request.headers.get("host", "").encode("latin-1"), language=language)


def _erase_withdrawn(installed: Installation, request: Request, visit: Visit, record: ConsentRecord) -> bool:
    """Erase what was recorded of a visitor who withdraws the consent to that; return whether the policy promises it.

    Also where a signal, or a change of the policy, had switched it off before; but not what a service only withholds.
    """
    policy, before, log = visit.decision.policy, visit.decision.record, installed.access_log
    granted = policy.traced.intersection(before.in_state(State.GRANTED) if before else ())
    withdrawn = granted.intersection(record.in_state(State.REFUSED))
    promised = any(policy.in_force[id_].erase_on_withdrawal for id_ in withdrawn)
    if log is None or not promised or not policy.traced.isdisjoint(record.in_state(State.GRANTED)):
        return False
    known = installed.own.visitor(cookies_of(request.scope), installed.clock(), secure=is_secure(request.scope))
    if known is not None:
        log.erasing.start(known.id)
    return True


def _keep_for_erasure(
    installed: Installation,
    request: Request,
    response: Response,
    visit: Visit,
    record: ConsentRecord,
    *,
    is_replaced: bool,
) -> None:
    """Keep the id of a visitor who withdraws, where only the endpoints see it: to show and erase what was recorded.

    So is one kept that a new one takes the place of, where the consent had lapsed. Without it the right to that would
    end with the withdrawal (GDPR Articles 15 and 17).
    """
    policy, log, secure, now = visit.decision.policy, installed.access_log, is_secure(request.scope), installed.clock()
    cookies = cookies_of(request.scope)
    known = installed.own.visitor(cookies, now, secure=secure)
    is_over = is_replaced or policy.traced.issubset(record.in_state(State.REFUSED))
    if log is None or known is None or not is_over:
        return
    if all(policy.in_force[id_].erase_on_withdrawal for id_ in policy.traced):
        log.erasing.start(known.id)  # no cookie of such a site keeps an id: nobody could ask for it any longer
        return
    until = int(now + (policy.access_records_kept or LONGEST_COOKIE).total_seconds())
    before = installed.own.withdrawn(cookies, now, secure=secure)
    withdrawn = [*(one for one in before if one.visitor_id != known.id), Withdrawn(known.id, until)]
    for one in withdrawn[:-MOST_WITHDRAWN]:
        log.erasing.start(one.visitor_id)  # nobody could ask for it any longer
    field = installed.own.set_withdrawn(
        withdrawn[-MOST_WITHDRAWN:], now, base=installed.base(request.scope), secure=secure
    )
    response.raw_headers.append((b"set-cookie", field))


def refuse_cross_site(installed: Installation, request: Request) -> None:
    """Raise a Problem unless a request comes from the site's own pages."""
    fields = request.headers
    scheme, host = request.scope.get("scheme", "http"), fields.get("host", "")
    fetch_sites, origins = fields.getlist("sec-fetch-site"), fields.getlist("origin")
    if is_cross_site(fetch_sites, origins, scheme, host):
        installed.origin_advice.tell(request.scope, fetch_sites, origins, host)
        raise Problem(403, "Only the site's own pages may do this.", "error_cross_site")


async def read_body(request: Request) -> bytes:
    """Return a request's body; raises a Problem where it is larger than any answer."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            raise Problem(413, f"The body has to be at most {_LARGEST_BODY} bytes.", "error_too_large")
    return body


def state(installed: Installation, decision: Decision) -> dict[str, Any]:
    """Return what holds for a visitor, as plain data for JSON."""
    record, by_signal = decision.record, what_signals_refuse(decision.policy, decision.signals)
    return {
        "status": decision.status,
        "purposes": dict(decision.purposes),
        "should_ask": decision.should_ask,
        "policy": decision.policy.version,
        "decided_at": rfc3339(record.decided_at) if record else None,
        "expires_at": rfc3339(record.decided_at + installed.own.lifetime.total_seconds()) if record else None,
        "source": record.source if record else "signal" if by_signal else None,
        "signals": list(decision.signals),
        "honours_gpc": decision.honours_gpc,
        "opted_out": opted_out(decision),
        "overruled": sorted(switched_off(decision)),
        "features": {feature.id: decision.feature(feature.id).available for feature in decision.policy.features},
        "edits_csp": installed.edit_csp,
    }


async def _keep_proof(
    installed: Installation, request: Request, before: Decision, posted: Posted, record: ConsentRecord
) -> tuple[ConsentRecord, bool]:
    """Keep the proof of an answer; return the answer as it is kept, and whether it is new.

    The second of two clicks is not, for example: the first one's is.
    """
    ledger, retention = installed.ledger, installed.retention
    assert ledger is not None  # noqa: S101 (asked before)
    assert retention is not None  # noqa: S101 (there is one with the other)
    if before.record is not None and proof.says_again(before.record, record):
        return before.record, False
    try:
        with fail_after(LONGEST_WAIT):
            consent_id, last = await _chain(installed, ledger, before, record)
            if last is None and not _has_room(installed, request, before, record):
                return replace(record, consent_id=consent_id), True  # it holds, and needs no proof
            entry = proof.entry(
                replace(record, consent_id=consent_id),
                proof.Circumstances(
                    record_id=installed.own.new_id(), policy=before.policy, lifetime=installed.own.lifetime
                ),
                before=before.record,
                previous=last["record_id"] if last else None,
                once=posted.once,
                shown=await _shown(installed, request, before, posted, record.language),
            )
            repeated = await _repeated(installed, ledger, last, entry) if last else None
            kept = repeated or await ledger.append(entry)
    except Problem:
        raise
    except Exception as error:  # noqa: BLE001 (whatever a ledger raises, the answer is not taken)
        log_failure("The ledger could not keep a consent record; the answer was refused", error)
        raise Problem(503, "The answer cannot be recorded just now.", "error_unavailable") from None
    retention.run_if_due(installed.clock())
    answered = replace(record, consent_id=kept["consent_id"] or "", decided_at=seconds_of(kept["decided_at"]))
    return answered, kept["record_id"] == entry.document["record_id"]


async def _chain(
    installed: Installation, ledger: Ledger, before: Decision, record: ConsentRecord
) -> tuple[str, Mapping[str, Any] | None]:
    """Return the consent id of an answer, and the newest record that has it; "" and None for a plain refusal.

    Consent has to be proven, and its withdrawal is part of that (GDPR Article 7(1) and (3)). A refusal by somebody who
    has never consented is neither, so that it needs no id, and one that it has from before is dropped.
    """
    if before.record is not None and before.consent_id:
        consented = bool(before.record.in_state(State.GRANTED))
        records = await ledger.records(before.consent_id, 1 if consented else _MOST_LOOKED_THROUGH)
        if consented or len(records) == _MOST_LOOKED_THROUGH or any(map(proof.tells_of_consent, records)):
            return before.consent_id, records[-1] if records else None
    return installed.own.new_id() if consents(before.policy, record) else "", None


def _has_room(installed: Installation, request: Request, before: Decision, record: ConsentRecord) -> bool:
    """Return whether one more answer that follows on none is recorded; consent is not taken without.

    Raises:
        Problem: 429, too many came from the network of the client.
    """
    wait = installed.first_answers.wait(request.scope.get("client"), installed.clock())
    if wait and consents(before.policy, record):
        raise too_many(wait, "Too many first answers came from this network; a refusal at any time.")
    return not wait


async def _repeated(
    installed: Installation, ledger: Ledger, last: Mapping[str, Any], entry: Entry
) -> Mapping[str, Any] | None:
    """Return the record that an answer leaves no new one beside; None where it leaves one.

    Over the limit an answer leaves one only if it refuses what the newest answer did not: it is taken at any time, and
    cannot be given again and again as long as nothing is granted in between.

    Raises:
        Problem: 429, an answer over the limit that grants something.
    """
    if proof.repeats(last, entry):
        return last
    wait = installed.answer_limit.wait(last["consent_id"], installed.clock())
    if not wait:
        return None
    newest, granted = proof.newest_answer(await ledger.records(last["consent_id"], _MOST_LOOKED_THROUGH))
    if not granted.issuperset(entry.document["granted"]):
        raise too_many(wait, f"At most {MOST_ANSWERS} answers in {ANSWERS_WITHIN:.0f} seconds; a refusal at any time.")
    return newest if newest and set(newest["refused"]).issuperset(entry.document["refused"]) else None


async def _shown(
    installed: Installation, request: Request, before: Decision, posted: Posted, language: str
) -> proof.Shown | None:
    """Return what the visitor was shown; None where a form or program of the site's own asked, or nobody knows."""
    then = await _when_shown(installed, before, posted) if posted.surface in SURFACES else None
    if then is None:
        return None
    feature = next((feature for feature in then.policy.features if feature.id == posted.feature), None)
    missing = tuple(id_ for id_, wanted in posted.purposes.items() if wanted and not then.purposes[id_])
    return shown(
        installed.pages,
        then,
        Surface(posted.surface, feature, missing, posted.notice),
        base=installed.base(request.scope),
        language=language,
        own_cookies=installed.own_cookies(then.policy, request.scope),
        answered_before=before.record.decided_at if before.record else None,
    )


async def _when_shown(installed: Installation, before: Decision, posted: Posted) -> Decision | None:
    """Return what held when a form was made; None where that is not known any longer.

    The visitor may have answered since, in another tab for example.
    """
    ledger, signals = installed.ledger, frozenset(before.signals)
    assert ledger is not None  # noqa: S101 (the text is for its records)
    answered, newest = int(posted.answered or -1), before.record.decided_at if before.record else 0
    if answered in (-1, newest):
        return before
    if answered == 0:
        return decide(before.policy, None, signals, 0)
    records = await ledger.records(before.consent_id, _MOST_LOOKED_THROUGH) if before.consent_id else []
    record = proof.answer_at(records, answered)
    if record is None:
        return None
    return decide(before.policy, record, signals, answered, lifetime=installed.own.lifetime)


def _reply(
    installed: Installation, request: Request, posted: Posted, after: Decision, *, tracing_began: bool
) -> Response:
    if is_form(request.headers["content-type"]):
        return RedirectResponse(safe_next(posted.next) or installed.base(request.scope), status_code=303)
    # When the page was asked for nothing was recorded: its script tells of it now.
    return JSONResponse(state(installed, after) | ({"tracing_began": True} if tracing_began else {}))


def _set_cookies(installed: Installation, request: Request, response: Response, visit: Visit, after: Decision) -> None:
    secure, record = is_secure(request.scope), after.record
    assert record is not None  # noqa: S101 (an answer was just given)
    refused = frozenset(id_ for id_, given in record.answers.items() if given.state is State.REFUSED)
    fields = [(b"set-cookie", installed.own.set_consent(record, secure=secure))]
    if visit.decision.record is not None and visit.decision.record.overruled:
        fields.append((b"set-cookie", installed.own.forget_signals(secure=secure)))
    fields += installed.gate.expired(
        refused_names(visit.carried, record),
        host_of(request.scope),
        secure=secure,
        unsent=installed.gate.out_of_reach(refused, outer_path(request.scope)),
    )
    if is_form(request.headers["content-type"]) or any(visit.decision.purposes[purpose] for purpose in refused):
        # Else the back button brings pages back as they were, with all that runs in them (back-forward cache). Where
        # nothing was taken away, our script sees to its own pages, and no answer waits for the cache to be emptied.
        fields.append((b"clear-site-data", b'"cache"'))
    response.raw_headers.extend(fields)


def _new_visitor(installed: Installation, request: Request, posted: Posted) -> bytes:
    """Return the Set-Cookie field of a new visitor id, with how the visitor came where the page is loaded again.

    Only then is it known that the browser keeps cookies: that is recorded. After a form the browser loads the page; the
    script does so where the page may not load what was granted, and says then by which origin the visitor came, too.
    """
    referrer = None
    loads_again = is_form(request.headers["content-type"]) or REFERRER in request.query_params
    if loads_again and posted.source in _ON_PAGES and safe_next(posted.next):
        referrer = origin_of(request.query_params.get(REFERRER, ""))
    return installed.own.set_visitor(installed.clock(), secure=is_secure(request.scope), referrer=referrer)[1]
