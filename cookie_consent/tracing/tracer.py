"""Writes the access records of visitors who consented."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cookie_consent.base.addresses import host_name
from cookie_consent.base.bounds import Cache
from cookie_consent.base.messages import warn_once
from cookie_consent.base.user_agents import is_from_robot, is_prefetch
from cookie_consent.sinks import Sink
from cookie_consent.tracing.access_record import VERSION, kept_query, page_piece, piece, route_of, visitor_piece
from cookie_consent.tracing.events import Event

_MAX_PIECES = 4096
_MAX_ENDED = 4096

_FIELDS = frozenset((b"host", b"referer", b"user-agent", b"purpose", b"sec-purpose"))

Fields = Mapping[bytes, bytes]
Page = tuple[str, str, str, bytes, bytes, bytes, str, int, bool]
"""Method, path, route, query, referrer, host, HTTP version, status, whether it is a page view."""
Visitor = tuple[str, str, str, str, bytes, str]
"""Visitor id, policy, purpose, address, user agent, country."""
_PROCESS = secrets.token_urlsafe(12).encode()


def traced_fields(headers: Iterable[tuple[bytes, bytes]]) -> Fields:
    """Return the header fields that tracing reads, by name."""
    return {name: value for name, value in headers if name in _FIELDS}


def is_traceable(fields: Fields) -> bool:
    """Return whether a request is a person's visit: not a bot's, and not a prefetch (Fetch, Sec-Purpose).

    Args:
        fields: the request's header fields by name, in lowercase.
    """
    return not (is_prefetch(fields) or is_from_robot(fields))


@dataclass(slots=True)
class Trace:
    """A traced request.

    Args:
        fields: its header fields by name, in lowercase.
        visitor_id: the visitor's pseudonym.
        policy: the version of the policy that the visitor consented to.
        arrived_at: when the request arrived, in seconds since 1970.
        purpose: the id of the purpose that an event needs besides tracing, or "".
        started: when the request arrived, in seconds of `time.perf_counter`.
        is_landing: whether it reloads the page on which tracing was allowed.
        query: the query that is recorded in place of that of the request; None for that of the request.
        is_view: whether the response is a page that a person sees.
        status: the status code of the response.
        new_visitor: the Set-Cookie field of a new or changed visitor cookie, or None.
    """

    fields: Fields
    visitor_id: str
    policy: str
    arrived_at: float
    purpose: str = ""
    started: float = field(default_factory=time.perf_counter)
    status: int = 500
    is_landing: bool = False
    is_view: bool = False
    query: bytes | None = None
    new_visitor: bytes | None = None

    def mark_as_landing(self, came_from: str) -> None:
        """Mark the request as the reload of the page on which tracing was allowed.

        Args:
            came_from: the origin that the visitor came from, or the campaign of an earlier page as "?utm_source=…", or
                "".
        """
        self.is_landing = True
        if came_from.startswith("?"):
            self.query = came_from[1:].encode()
        else:
            self.fields = {**self.fields, b"referer": came_from.encode()}


class Tracing:
    """Writes access records to a sink.

    A record is assembled from two cached pieces of JSON, the visitor's and the page's.

    Args:
        sink: where records are written.
        query_keys: the query parameters to record, as names or patterns with *.
        lag: returns how many seconds the times of a visitor's records are moved back.
        country_of: returns the code of the country of a request, or ""; None if no record says it.
    """

    def __init__(
        self,
        sink: Sink,
        query_keys: Iterable[str],
        lag: Callable[[str], float] = lambda visitor_id: 0.0,
        country_of: Callable[[Mapping[str, Any]], str] | None = None,
    ) -> None:
        self.sink = sink
        self._query_keys = tuple(query_keys)
        self._lag = lag
        self._country_of = country_of
        self._visitors = Cache[Visitor, tuple[bytes, float]](_MAX_PIECES)
        self._pages = Cache[Page, bytes](_MAX_PIECES)
        self._ended = Cache[str, None](_MAX_ENDED)

    def keep_query(self, query: str) -> str:
        """Return a query with only what records keep of it."""
        return kept_query(query, self._query_keys)

    def end_visitor(self, visitor_id: str) -> None:
        """Write no more records of a visitor who withdrew or erased, also of requests that still run."""
        self._ended.keep(visitor_id, None)

    def write(self, scope: Mapping[str, Any], trace: Trace) -> None:
        """Write the record of a request.

        Args:
            scope: the request's ASGI scope after routing.
            trace: the traced request, with its response's status.
        """
        seconds, fields = time.perf_counter() - trace.started, trace.fields
        page = (
            scope["method"],
            scope["path"],
            route_of(scope) if "route" in scope else "",
            scope.get("query_string", b"") if trace.query is None else trace.query,
            fields.get(b"referer", b""),
            fields.get(b"host", b""),
            scope.get("http_version", ""),
            trace.status,
            trace.is_view,
        )
        what = self._pages.get(page) or self._new_page(page)
        self._send(scope, trace, what, b"%.3f," % (seconds * 1000))

    def write_event(self, scope: Mapping[str, Any], trace: Trace, event: Event) -> None:
        """Write the record of an event.

        Args:
            scope: the ASGI scope of the request that reported it.
            trace: that request.
            event: the event.
        """
        what = piece(
            {
                "server.address": host_name(trace.fields.get(b"host", b"")),
                "url.path": event.path,
                "url.query": self.keep_query(event.query),
                "http.request.referrer": event.referrer,
                "event.name": event.name,
                "event.properties": event.properties,
                "duration_ms": event.duration_ms,
            }
        )
        self._send(scope, trace, _kind(b"event", what), b",")

    def _send(self, scope: Mapping[str, Any], trace: Trace, what: bytes, took: bytes) -> None:
        if trace.visitor_id in self._ended:
            return
        client, agent = scope.get("client"), trace.fields.get(b"user-agent", b"")
        address = (client and client[0]) or ""
        country = "" if self._country_of is None else self._country_of(scope)
        who = (trace.visitor_id, trace.policy, trace.purpose, address, agent, country)
        end, lag = self._visitors.get(who) or self._new_visitor(trace, who)
        seconds, milliseconds = divmod(int((trace.arrived_at - lag) * 1000), 1000)
        line = b'{"time":"%b.%03dZ","log.record.uid":"%b",%b%b%b' % (
            time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)).encode(),
            milliseconds,
            new_record_id(),
            what,
            took,
            end,
        )
        try:
            self.sink.write(line)
        except Exception as error:  # noqa: BLE001 (a failing sink loses records, but fails no page)
            text = f"The sink does not take access records; they are lost: {error!r}"
            warn_once("access records", type(self.sink).__name__, text)

    def _new_visitor(self, trace: Trace, who: Visitor) -> tuple[bytes, float]:
        """Return the end of a visitor's records and their lag, and cache both."""
        new = b"%b}\n" % visitor_piece(*who), self._lag(trace.visitor_id)
        return self._visitors.keep(who, new, sum(map(len, who)))

    def _new_page(self, page: Page) -> bytes:
        """Return the part of a record before its duration, and cache it."""
        *_, status, is_view = page
        what = b'%b,"http.response.status_code":%d,"duration_ms":' % (page_piece(*page[:-2], self._query_keys), status)
        new = _kind(b"view" if is_view else b"request", what)
        return self._pages.keep(page, new, sum(map(len, page[:-2])))


def _kind(kind: bytes, rest: bytes) -> bytes:
    return b'"record.version":%d,"record.kind":"%b",%b' % (VERSION, kind, rest)


def new_record_id() -> bytes:
    """Return a random id: the text of this process, which compresses well, and a number of 64 bits.

    It is no serial number, because the order of the records would reveal what their shifted times hide.
    """
    return b"%b-%b" % (_PROCESS, os.urandom(8).hex().encode())
