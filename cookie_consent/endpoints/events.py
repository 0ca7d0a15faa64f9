"""Receives events from the pages of visitors who allow tracing. Others' events are refused."""

from __future__ import annotations

from starlette.responses import Response

from cookie_consent.base.addresses import is_under, local_path
from cookie_consent.decision.visit import Visit
from cookie_consent.endpoints.request import OwnRequest, limit_rate
from cookie_consent.http.forms import Problem, read_body, read_json_object
from cookie_consent.http.site import Site
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.tracing.events import LARGEST_EVENT, Event, read_event
from cookie_consent.tracing.tracer import Trace, is_traceable, traced_fields

_TYPES = ("application/json", "text/plain")
"""`navigator.sendBeacon` sends a string as text/plain."""


async def accept_event(site: Site, request: OwnRequest) -> Response:
    """Record an event.

    Raises:
        Problem: 404, there is no access log; 413 or 400, the body is no event; 403, a robot sent it, or the visitor
            does not allow tracing on its page; 429, too many events.
    """
    log = site.access_log
    if log is None:
        raise Problem(404, "Events are kept in the access log, and there is none.")
    event = await _read_posted(site, request)
    visit = _read_visit(site, request, event)
    fields = traced_fields(request.scope["headers"])
    if not is_traceable(fields):
        raise Problem(403, "Robots and pages that are loaded in advance are not traced.")
    # All clients without a visitor id share one limit: a client that drops cookies looks new each time.
    visitor_id = visit.visitor.id if visit.visitor else ""
    limit_rate(site, "events", visitor_id, request.now)
    reply = Response(status_code=204)
    if not visitor_id:
        # Consent counts, but the browser has lost the visitor cookie.
        visitor_id, cookie = site.own_cookies.set_visitor(request.now, place=request.place)
        reply.raw_headers.append((b"set-cookie", cookie))
    decision = visit.decision
    # Where no consent is needed, there may be no answer.
    policy = decision.record.policy if decision.record is not None else decision.policy.version
    log.tracing.write_event(request.scope, Trace(fields, visitor_id, policy, request.now, event.purpose), event)
    if event.asked:
        log.counts.add("views_recorded", fields.get(b"host", b""))
    return reply


async def _read_posted(site: Site, request: OwnRequest) -> Event:
    if request.media_type not in _TYPES:
        raise Problem(400, f"The body has to be {' or '.join(_TYPES)}.")
    body = read_json_object(await read_body(request.receive, LARGEST_EVENT))
    try:
        event = read_event(body)
    except ValueError as error:
        raise Problem(400, str(error)) from None
    known = site.policy.optional
    if event.purpose and event.purpose not in known:
        raise Problem(400, f'"purpose": there is none {event.purpose[:40]!r}. {did_you_mean(event.purpose, known)}')
    return event


def _read_visit(site: Site, request: OwnRequest, event: Event) -> Visit:
    """Return the visit as it is on the page of an event. The decision for that page counts.

    Raises:
        Problem: 400, it is one of our own pages; 403, the visitor does not allow the event there.
    """
    path = local_path({**request.scope, "path": event.path})
    if is_under(path, site.prefix):
        raise Problem(400, '"path": the pages of the privacy choices are not traced.')
    visit = site.visits.read(request.scope, path, request.fields)
    if not visit.traced:
        raise Problem(403, "The visitor does not allow tracing on that page.")
    if event.purpose and not visit.decision.purposes[event.purpose]:
        raise Problem(403, f"The visitor does not allow {event.purpose!r} on that page.")
    return visit
