"""Takes the events of those who allow tracing; of all others nothing is read, and nothing is recorded."""

from __future__ import annotations

import math

from starlette.requests import Request
from starlette.responses import Response

from cookie_consent.base.limits import RateLimit
from cookie_consent.base.paths import is_under, local_path
from cookie_consent.base.problem import Problem
from cookie_consent.decision.visit import Visit, is_secure
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.tracing.events import LARGEST_EVENT, Event, EventError, read_event
from cookie_consent.tracing.tracer import Trace, is_traceable, traced_fields
from cookie_consent.visitors.answer import read_body, refuse_cross_site
from cookie_consent.visitors.installation import Installation

_MOST_EVENTS, _MINUTE = 120, 60
_TYPES = ("application/json", "text/plain")
"""`navigator.sendBeacon` sends a text as text/plain."""


class EventIntake:
    """Takes events, as many as a page of one visitor may reasonably tell of."""

    def __init__(self, installed: Installation) -> None:
        self._installed = installed
        self._limit = RateLimit(_MOST_EVENTS, _MINUTE)

    async def take(self, request: Request, visit: Visit, language: str) -> Response:
        """Record an event.

        Raises:
            Problem: 403 from another site, from a robot, or without consent on the page that it is from; 413, 400 for
                a body that is no event; 429; 404 where there is no access log.
        """
        access_log = self._installed.access_log
        if access_log is None:
            raise Problem(404, "Events are kept in the access log, and there is none.")
        refuse_cross_site(self._installed, request)
        began = self._installed.recent_answers.sequence
        event = await self._read(request)
        visit = self._installed.visits.read(request.scope, self._page(request, event))
        visit = self._installed.recent_answers.look_again(visit, began, visit.visitor_id)
        policy = _consented_policy(visit, event)
        fields = traced_fields(request.scope["headers"])
        if not is_traceable(fields):
            raise Problem(403, "Robots and pages that are loaded in advance are not traced.")
        now, response = self._installed.clock(), Response(status_code=204)
        # Those who have no visitor id yet share one limit, as whoever drops it each time is always new.
        wait = self._limit.wait(visit.visitor_id or "", now)
        if wait:
            raise Problem(429, "Too many came within a minute.", headers={"retry-after": str(math.ceil(wait))})
        visitor_id = visit.visitor_id
        if visitor_id is None:
            visitor_id, cookie = self._installed.own.set_visitor(now, secure=is_secure(request.scope))
            response.raw_headers.append((b"set-cookie", cookie))
        access_log.tracing.write_event(request.scope, Trace(fields, visitor_id, policy, now, event.purpose), event)
        if event.asked and not self._installed.policy.exempt:  # else the page has a record from before, without consent
            access_log.funnel.add("views_recorded", fields.get(b"host", b""))
        return response

    async def _read(self, request: Request) -> Event:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES:
            raise Problem(400, f"The body has to be {' or '.join(_TYPES)}.")
        body = await read_body(request)
        if len(body) > LARGEST_EVENT:
            raise Problem(413, f"The body has to be at most {LARGEST_EVENT} bytes.", "error_too_large")
        try:
            event = read_event(body)
        except EventError as error:
            raise Problem(400, str(error)) from None
        policy = self._installed.policy
        known = [purpose for purpose in policy.optional if purpose != policy.exempt]
        if event.purpose and event.purpose not in known:
            raise Problem(400, f'"purpose": there is none {event.purpose[:40]!r}. {did_you_mean(event.purpose, known)}')
        return event

    def _page(self, request: Request, event: Event) -> str:
        """Return the path inside the app that an event is from: the conditions that hold there decide on it."""
        page = local_path({**request.scope, "path": event.path})
        if is_under(page, self._installed.prefix):
            raise Problem(400, '"path": the pages of the privacy choices are not traced.')
        return page


def _consented_policy(visit: Visit, event: Event) -> str:
    """Return the version of the policy that was consented to; raises a Problem where the event was not."""
    decision = visit.decision
    if decision.record is None or not visit.traced:
        raise Problem(403, "The visitor does not allow tracing on that page.")
    if event.purpose and not decision.purposes[event.purpose]:
        raise Problem(403, f"The visitor does not allow {event.purpose!r} on that page.")
    return decision.record.policy
