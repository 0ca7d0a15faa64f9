"""Takes an answer: the proof first, then the cookie. Here, and only here, consent is written."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from cookie_consent.answers import Posted, is_form, make_record, read_answer
from cookie_consent.decision import Decision, decide, what_signals_refuse
from cookie_consent.installation import Installation
from cookie_consent.problem import Problem
from cookie_consent.record import ConsentRecord, State
from cookie_consent.same_site import is_cross_site, safe_next
from cookie_consent.timestamps import rfc3339
from cookie_consent.visits import Visit, is_secure

_LARGEST_BODY = 64 * 1024
LEDGER_WAIT = 5.0
"""Seconds after which a ledger counts as down."""
_log = logging.getLogger("cookie_consent")


async def answer(installed: Installation, request: Request, visit: Visit, language: str) -> Response:
    """Take the answer in a request's body.

    Raises:
        Problem: 403 from another site; 413, 400, 409 for a body that is no answer; 503 if the proof cannot be kept.
    """
    refuse_cross_site(request)
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
    shown = installed.visits.policy_in(posted.service) or before.policy
    consent_id = _consent_id(installed, before.record)
    record = make_record(posted, before, shown, now=int(now), language=language, consent_id=consent_id)
    await _keep_proof(installed, record)
    after = decide(shown, record, frozenset(before.signals), now, lifetime=installed.own.lifetime)
    response = _reply(installed, request, posted, after)
    _set_cookies(installed, request, response, visit, after)
    return response


def refuse_cross_site(request: Request) -> None:
    """Raise a Problem unless a request comes from the site's own pages."""
    fields = request.headers
    scheme, host = request.scope.get("scheme", "http"), fields.get("host", "")
    if is_cross_site(fields.getlist("sec-fetch-site"), fields.getlist("origin"), scheme, host):
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
        "features": {feature.id: decision.feature(feature.id).available for feature in decision.policy.features},
    }


def _consent_id(installed: Installation, record: ConsentRecord | None) -> str:
    """Return the id that ties answers to the ledger; none is made where no ledger needs it."""
    if installed.ledger is None:
        return ""
    return (record.consent_id if record else "") or installed.own.new_id()


async def _keep_proof(installed: Installation, record: ConsentRecord) -> None:
    if installed.ledger is None:
        return
    try:
        async with asyncio.timeout(LEDGER_WAIT):
            await installed.ledger.append(record, installed.policy)
    except Exception:  # noqa: BLE001 (whatever a ledger raises, the answer is not taken)
        _log.exception("The ledger could not keep a consent record; the answer was refused.")
        raise Problem(503, "The answer cannot be recorded just now.", "error_unavailable") from None


def _reply(installed: Installation, request: Request, posted: Posted, after: Decision) -> Response:
    if is_form(request.headers["content-type"]):
        return RedirectResponse(safe_next(posted.next) or installed.base(request.scope), status_code=303)
    return JSONResponse(state(installed, after))


def _set_cookies(installed: Installation, request: Request, response: Response, visit: Visit, after: Decision) -> None:
    secure, record = is_secure(request.scope), after.record
    assert record is not None  # noqa: S101 (an answer was just given)
    refused = frozenset(id_ for id_, given in record.answers.items() if given.state is State.REFUSED)
    fields = [(b"set-cookie", installed.own.set_consent(record, secure=secure))]
    fields += installed.gate.expired(visit.cookies, refused, secure=secure)
    if is_form(request.headers["content-type"]) or any(visit.decision.purposes[purpose] for purpose in refused):
        # Else the back button brings pages back as they were, with all that runs in them (back-forward cache). Where
        # nothing was taken away, our script sees to its own pages, and no answer waits for the cache to be emptied.
        fields.append((b"clear-site-data", b'"cache"'))
    if after.traces and installed.sink is not None and visit.visitor_id is None:
        fields.append((b"set-cookie", installed.own.set_visitor(installed.clock(), secure=secure)[1]))
    response.raw_headers.extend(fields)
