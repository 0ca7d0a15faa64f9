"""Receives events from the pages of visitors who allow tracing. Others' events are refused."""

from __future__ import annotations

import math

from starlette.responses import Response

from cookie_consent.base.addresses import is_under, local_path
from cookie_consent.base.bounds import RateLimit
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.visit import Visit, Visits
from cookie_consent.endpoints.request import OwnRequest
from cookie_consent.http.forms import Problem, json_object, media_type, read_body
from cookie_consent.policy.errors import did_you_mean
from cookie_consent.policy.policy import Policy
from cookie_consent.tracing.access_log import AccessLog
from cookie_consent.tracing.events import LARGEST_EVENT, Event, read_event
from cookie_consent.tracing.tracer import Trace, is_traceable, traced_fields

_MAX_EVENTS, _MINUTE = 120, 60
_TYPES = ("application/json", "text/plain")
"""`navigator.sendBeacon` sends a string as text/plain."""


class EventIntake:
    """Receives events, up to 120 a minute from one visitor.

    Args:
        policy: the site's policy.
        visits: reads the decision for the page of an event.
        own_cookies: the middleware's own cookies.
        access_log: the access log, or None.
        prefix: the path of the endpoints, whose pages are not traced.
    """

    def __init__(
        self,
        policy: Policy,
        visits: Visits,
        own_cookies: OwnCookies,
        *,
        access_log: AccessLog | None,
        prefix: str,
    ) -> None:
        self._policy, self._visits, self._own_cookies, self._log = policy, visits, own_cookies, access_log
        self._prefix = prefix
        self._limit = RateLimit(_MAX_EVENTS, _MINUTE)

    async def take(self, inquiry: OwnRequest) -> Response:
        """Record an event.

        Raises:
            Problem: 404, there is no access log; 413 or 400, the body is no event; 403, a robot sent it, or the visitor
                does not allow tracing on its page; 429, too many events.
        """
        if self._log is None:
            raise Problem(404, "Events are kept in the access log, and there is none.")
        scope = inquiry.scope
        event = await self._read(inquiry)
        visit = self._visits.read(scope, self._page(inquiry, event))
        policy = _consented_policy(visit, event)
        fields = traced_fields(scope["headers"])
        if not is_traceable(fields):
            raise Problem(403, "Robots and pages that are loaded in advance are not traced.")
        # All clients without a visitor id share one limit: a client that drops cookies looks new each time.
        wait = self._limit.wait(visit.visitor_id or "", inquiry.now)
        if wait:
            raise Problem(429, "Too many came within a minute.", headers={"retry-after": str(math.ceil(wait))})
        visitor_id, response = visit.visitor_id, Response(status_code=204)
        if visitor_id is None:
            # Consent holds, but the browser has lost the visitor cookie.
            visitor_id, cookie = self._own_cookies.set_visitor(inquiry.now, place=inquiry.place)
            response.raw_headers.append((b"set-cookie", cookie))
        self._log.tracing.write_event(scope, Trace(fields, visitor_id, policy, inquiry.now, event.purpose), event)
        if event.asked:
            self._log.counts.add("views_recorded", fields.get(b"host", b""))
        return response

    async def _read(self, inquiry: OwnRequest) -> Event:
        if media_type(inquiry.content_type) not in _TYPES:
            raise Problem(400, f"The body has to be {' or '.join(_TYPES)}.")
        body = json_object(await read_body(inquiry.stream(), LARGEST_EVENT))
        try:
            event = read_event(body)
        except ValueError as error:
            raise Problem(400, str(error)) from None
        known = self._policy.optional
        if event.purpose and event.purpose not in known:
            raise Problem(400, f'"purpose": there is none {event.purpose[:40]!r}. {did_you_mean(event.purpose, known)}')
        return event

    def _page(self, inquiry: OwnRequest, event: Event) -> str:
        """Return the path of an event's page inside the app. The decision for that page applies.

        Raises:
            Problem: 400, it is one of the middleware's own pages.
        """
        page = local_path({**inquiry.scope, "path": event.path})
        if is_under(page, self._prefix):
            raise Problem(400, '"path": the pages of the privacy choices are not traced.')
        return page


def _consented_policy(visit: Visit, event: Event) -> str:
    """Return the version of the policy that the visitor consented to, or that applies where no consent is needed.

    Raises:
        Problem: 403, the visitor does not allow the event on its page.
    """
    decision = visit.decision
    if not visit.traced:
        raise Problem(403, "The visitor does not allow tracing on that page.")
    if event.purpose and not decision.purposes[event.purpose]:
        raise Problem(403, f"The visitor does not allow {event.purpose!r} on that page.")
    return decision.record.policy if decision.record is not None else decision.policy.version
