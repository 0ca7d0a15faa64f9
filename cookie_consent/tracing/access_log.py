"""What an installation keeps of visits: where, and what writes there, counts beside it and removes from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from os import PathLike, fspath
from typing import Any, Self

from cookie_consent.base.checks import check, is_list
from cookie_consent.base.clock import DAY
from cookie_consent.base.limits import LONGEST_KEPT
from cookie_consent.base.page_views import seen_at
from cookie_consent.base.user_agents import read_short
from cookie_consent.decision.own_cookies import OwnCookies
from cookie_consent.decision.visit import Visit, is_secure
from cookie_consent.decision.visitor_cookie import Arrival
from cookie_consent.policy.policy import Policy
from cookie_consent.sinks import Sink, local_place, open_sink
from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.tracing.counts import Funnel
from cookie_consent.tracing.erasing import Erasing
from cookie_consent.tracing.exempt_visitors import DailySalt, exempt_trace
from cookie_consent.tracing.retention import AccessRetention
from cookie_consent.tracing.tracer import RecordIds, Trace, Tracing, is_traceable
from cookie_consent.tracing.visitor_lag import VisitorLag

_LANDS_WITHIN = 60
"""Within so many seconds after a form the page that a browser loads is the one on which the form was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessLog:
    """The access records of an installation.

    Args:
        sink: keeps records and counts.
        tracing: writes records.
        funnel: counts.
        erasing: erases the records of visitors who withdrew.
        retention: removes those that are due; None where the policy does not say how long they are kept.
        daily_salt: makes the ids of visitors who are counted without consent; None where nobody is.
        clock: returns seconds since 1970.
    """

    sink: Sink
    tracing: Tracing
    funnel: Funnel
    erasing: Erasing
    retention: AccessRetention | None
    daily_salt: DailySalt | None
    clock: Callable[[], float]

    @classmethod
    def open(
        cls,
        target: Sink | str | PathLike[str] | None,
        policy: Policy,
        query_keys: Iterable[str],
        clock: Callable[[], float],
        lag: VisitorLag,
    ) -> Self | None:
        """Return the access log that an option means; None where it means none.

        Raises:
            ValueError: it, or `query_keys`, cannot be used; says what would be right.
        """
        keys = tuple(query_keys) if is_list(query_keys) else ()
        fits = is_list(query_keys) and all(isinstance(key, str) for key in keys)
        check("query_keys", query_keys, fits=fits, remedy='Write a list of names, as in ["utm_*"].')
        sink, keep = _sink_of(target), policy.access_records_kept
        if sink is None:
            return None
        return cls(
            sink=sink,
            tracing=Tracing(sink, keys, RecordIds(), lag),
            funnel=Funnel(sink, clock),
            erasing=Erasing(sink, _notes_beside(sink)),
            retention=AccessRetention(sink, keep) if keep is not None else None,
            daily_salt=daily_salt_of(target) if policy.exempt else None,
            clock=clock,
        )

    def trace(self, scope: Mapping[str, Any], visit: Visit, own: OwnCookies) -> Trace | None:
        """Return the trace of a request of a visitor who has consented, or needs not; None if it is nobody's visit."""
        fields, now = dict(scope["headers"]), self.clock()
        if self.retention is not None and self.retention.ran and not 0 <= now - self.retention.ran < DAY:
            self.retention.run_if_due(now, again=True)
        prefetched = b"sec-purpose" in fields or b"purpose" in fields
        if read_short(fields.get(b"user-agent", b"")[:LONGEST_KEPT]).is_bot or (
            prefetched and not is_traceable(fields)
        ):
            return None
        if visit.exempt:
            return exempt_trace(scope, fields, visit, self.daily_salt, now)
        record, visitor_id, new_visitor = visit.decision.record, visit.visitor_id, None
        assert record is not None  # noqa: S101 (else there is no consent)
        if visitor_id is None:
            visitor_id, new_visitor = own.set_visitor(now, secure=is_secure(scope))
        trace = Trace(fields, visitor_id, record.policy, now)
        if visit.arrival is not None:
            new_visitor = _landed(scope, trace, visit.arrival, own)
        trace.new_visitor = new_visitor
        return trace

    def run_if_due(self) -> None:
        """Remove what is due, if nobody has for a day, and go on erasing; whoever calls does not wait."""
        self.erasing.run_if_due(self.clock())
        if self.retention is not None:
            self.retention.run_if_due(self.clock())
        if self.daily_salt is not None:
            self.daily_salt.expire(self.clock())

    def close(self) -> None:
        """Erase whose erasing was begun, and bring what waits to where it is kept, for some seconds each. May block."""
        self.erasing.close()
        self.sink.close()


def _landed(scope: Mapping[str, Any], trace: Trace, arrival: Arrival, own: OwnCookies) -> bytes | None:
    """Let the page on which tracing was allowed be recorded as what its visitor came to, once.

    The browser loads it again after the form, and names the page itself as the one before.

    Returns:
        The Set-Cookie field of a visitor cookie that no longer says how the visitor came; None as long as that page
        has not come.
    """
    if trace.came < arrival.at + _LANDS_WITHIN:
        if scope["method"] != "GET" or seen_at(scope) is None:
            return None
        trace.land(arrival.referrer)
    return own.without_arrival(trace.visitor_id, arrival, trace.came, secure=is_secure(scope))


def _sink_of(given: Sink | str | PathLike[str] | None) -> Sink | None:
    """Return the sink that an option means; raises ValueError if it means none."""
    sink = open_sink(fspath(given)) if given and isinstance(given, str | PathLike) else given
    if sink is not None and not isinstance(sink, Sink):
        raise ValueError(f"access_log: {sink!r} is no Sink. Write the path of a JSON Lines file.")
    return sink


def daily_salt_of(given: Sink | str | PathLike[str] | None) -> DailySalt:
    """Return the salt of each day, by a file beside the access log that the processes of a host share.

    Beside a sink that is no path or URL, each process has a salt of its own: a visitor counts once for each.
    """
    return DailySalt(f"{local_place(fspath(given))}.salt" if given and isinstance(given, str | PathLike) else None)


def _notes_beside(sink: Sink) -> str | None:
    """Return the folder for notes of whom to erase; None where nothing of the sink is on this host."""
    return f"{sink.local}.to-erase" if isinstance(sink, BufferedSink) and sink.local is not None else None
