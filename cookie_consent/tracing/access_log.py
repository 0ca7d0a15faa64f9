"""The access log of an installation: its sink, and what writes, counts, erases and purges there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from os import PathLike, fspath
from typing import Any, Self

from cookie_consent.base.clock import UTC_NAME, Daily, time_zone
from cookie_consent.base.files import check_writable
from cookie_consent.base.messages import check, is_list, log_failure
from cookie_consent.base.user_agents import find_page_view_host
from cookie_consent.decision.own_cookies import OwnCookies, Place
from cookie_consent.decision.tokens import KnownVisitor
from cookie_consent.decision.visit import Visit
from cookie_consent.policy.policy import Policy
from cookie_consent.sinks import JsonLinesSink, Sink, open_sink
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.tracing.access_record import VisitorLag
from cookie_consent.tracing.counts import Counts
from cookie_consent.tracing.erasing import Erasing
from cookie_consent.tracing.tracer import Trace, Tracing, is_traceable

_LANDS_WITHIN = 60
"""Seconds after a form in which the next page view is taken for the reload of the page with the form."""
_log = logging.getLogger("cookie_consent")


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """The access log of an installation.

    Args:
        sink: stores records and counts.
        tracing: writes records.
        counts: adds up counts of pages and answers.
        erasing: erases the records of visitors who withdrew.
        retention: purges records whose retention is over; None if the policy names no retention.
        clock: returns seconds since 1970.
    """

    sink: Sink
    tracing: Tracing
    counts: Counts
    erasing: Erasing
    retention: Daily | None
    clock: Callable[[], float]

    @classmethod
    def open(
        cls,
        target: Sink | str | PathLike[str] | None,
        policy: Policy,
        query_keys: Iterable[str],
        clock: Callable[[], float],
        lag: VisitorLag,
        country_of: Callable[[Mapping[str, Any]], str] | None,
    ) -> Self | None:
        """Return the access log for the middleware's options, or None if there is none.

        Args:
            target: a sink, or the path or URL of one.
            policy: the policy in force.
            query_keys: the query parameters that records keep, as names or patterns with *.
            clock: returns seconds since 1970.
            lag: shifts the times of each visitor's records.
            country_of: returns the code of the country of a request, or ""; None if no record says it.

        Raises:
            ValueError: `target` or `query_keys` is invalid. The message says what would be right.
        """
        keys = tuple(query_keys) if is_list(query_keys) else ()
        is_valid = is_list(query_keys) and all(isinstance(key, str) for key in keys)
        check("query_keys", query_keys, is_valid=is_valid, remedy='Write a list of names, as in ["utm_*"].')
        sink, keep = _sink_of(target), policy.access_records_kept
        if sink is None:
            return None
        return cls(
            sink=sink,
            tracing=Tracing(sink, keys, lag, country_of),
            counts=Counts(sink, clock, zone=time_zone(policy.site.time_zone or UTC_NAME)),
            erasing=Erasing(sink, _notes_folder(sink)),
            retention=Daily(partial(purge, sink, keep)) if keep is not None else None,
            clock=clock,
        )

    def trace(
        self, scope: Mapping[str, Any], fields: Mapping[bytes, bytes], visit: Visit, own_cookies: OwnCookies
    ) -> Trace | None:
        """Return the trace of a request, or None for bots and prefetches.

        Args:
            scope: the request's ASGI scope.
            fields: its header fields by name, in lowercase.
            visit: a visit that may be traced: by consent, or where the law is one of opting out.
            own_cookies: our own cookies.
        """
        now = self.clock()
        if self.retention is not None:
            self.retention.run_if_due(now, again=True)
        if not is_traceable(fields):
            return None
        decision = visit.decision
        visitor = visit.visitor
        # Where the law is one of opting out, there may be no answer.
        policy = decision.record.policy if decision.record is not None else decision.policy.version
        if visitor is None:
            visitor_id, new_visitor = own_cookies.set_visitor(now, visit.place)
            trace = Trace(fields, visitor_id, policy, now)
            trace.new_visitor = new_visitor
            return trace
        trace = Trace(fields, visitor.id, policy, now)
        if visitor.referrer is not None:
            trace.new_visitor = _record_landing(scope, trace, visitor, own_cookies, visit.place)
        return trace

    def end_visitor(self, visitor_id: str) -> None:
        """Write no more records of a visitor who withdrew, also of requests that still run. Does not wait."""
        self.tracing.end_visitor(visitor_id)
        self.erasing.end(visitor_id)

    def erase_visitor(self, visitor_id: str) -> None:
        """Erase a visitor's records, and write no more of them. Does not wait."""
        self.tracing.end_visitor(visitor_id)
        self.erasing.start(visitor_id)

    def run_if_due(self) -> None:
        """Start what is due once a day: purging and overdue erasures. Does not wait."""
        self.erasing.run_if_due(self.clock())
        if self.retention is not None:
            self.retention.run_if_due(self.clock())

    def close(self) -> None:
        """Finish started erasures and flush the sink, for some seconds each. This blocks."""
        self.erasing.close()
        self.sink.close()


def purge(sink: Sink, keep: timedelta, now: float) -> None:
    """Purge the access records whose retention is over, and log the result. Several processes may do so at once."""
    try:
        removed = sink.purge(now, keep)
    except Exception as error:  # noqa: BLE001 (a failing sink is tried again tomorrow)
        log_failure("The access records that are due could not be removed", error)
        return
    _log.info("Removed the access records that were due: %d.", removed)


def _record_landing(
    scope: Mapping[str, Any], trace: Trace, visitor: KnownVisitor, own_cookies: OwnCookies, place: Place
) -> bytes | None:
    """Record the page on which tracing was allowed as the visitor's landing page, once.

    After the form the browser reloads the page with the page itself as referrer. The visitor cookie has the original
    referrer.

    Returns:
        The Set-Cookie field that removes the referrer from the visitor cookie; None while that page is still to come.
    """
    if trace.arrived_at < visitor.issued + _LANDS_WITHIN:
        if scope["method"] != "GET" or find_page_view_host(trace.fields) is None:
            return None
        trace.mark_as_landing(visitor.referrer or "")
    return own_cookies.remove_referrer(visitor, trace.arrived_at, place)


def _sink_of(given: Sink | str | PathLike[str] | None) -> Sink | None:
    """Return the sink for the middleware's option; raise ValueError if it is invalid."""
    sink = open_sink(fspath(given)) if given and isinstance(given, str | PathLike) else given
    if sink is not None and not isinstance(sink, Sink):
        raise ValueError(f"access_log: {sink!r} is no Sink. Write the path of a JSON Lines file.")
    if isinstance(sink, JsonLinesSink):
        check_writable("access_log", sink.path)
    return sink


def _notes_folder(sink: Sink) -> str | None:
    """Return the folder for notes of pending erasures; None if the sink stores nothing on this host."""
    return f"{sink.local}.to-erase" if isinstance(sink, BufferedSink) and sink.local is not None else None
