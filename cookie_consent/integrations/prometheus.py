"""Prometheus: counters of a sink, of held cookies, and of browsers' reports.

Needs prometheus-client: pip install "cookie-consent[metrics]".
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from cookie_consent.decision.held_cookies import HeldCookies, held_cookies
from cookie_consent.sinks import Sink
from cookie_consent.visitors.csp_reports.counts import ReportCounts, counts

__all__ = ["CspReportCollector", "HeldCookieCollector", "SinkCollector"]

_PREFIX = "cookie_consent_access_records"
_DROPPED = "dropped_"
_COUNTERS = {
    "written": "Access records and counts that the sink has kept.",
    "retried": "Tries to write after one that failed.",
    "spilled": "Access records and counts that went to a local file while the sink could not be reached.",
    "spill_failed": "Tries to write to such a file that failed.",
}


class SinkCollector(Collector):
    """Collects the counters of a sink. Register it in the process that writes to the sink.

    Pass the same sink to the middleware: `sink = open_sink("logs/access.jsonl")`, then
    `REGISTRY.register(SinkCollector(sink))`.

    Args:
        sink: the sink whose `stats()` to collect.
    """

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def collect(self) -> Iterable[Metric]:
        """Yield the counters, and the number of waiting lines."""
        stats = self._sink.stats()
        # Also those that are still 0: Prometheus sees no increase of a counter that appears with its first event.
        for name, meaning in _COUNTERS.items():
            yield CounterMetricFamily(f"{_PREFIX}_{name}", meaning, value=stats.get(name, 0))
        dropped = CounterMetricFamily(
            f"{_PREFIX}_dropped", "Access records and counts that are lost.", labels=["reason"]
        )
        for name, number in stats.items():
            if name.startswith(_DROPPED):
                dropped.add_metric([name.removeprefix(_DROPPED)], number)
        yield dropped
        waiting = stats.get("waiting", 0)
        yield GaugeMetricFamily(
            f"{_PREFIX}_waiting", "Access records and counts that are still to be kept.", value=waiting
        )


class HeldCookieCollector(Collector):
    """Collects the counts of cookies that were held back, of all middlewares in this process.

    `REGISTRY.register(HeldCookieCollector())`. The label `direction` is "response" for cookies that the app set, and
    "request" for those that the browser sent. `reason` is the id of the purpose that was not allowed, the ids of a
    purpose and its recipient with a slash between, "undeclared", or "reserved" for our own cookies.

    Args:
        held: the counts.
    """

    def __init__(self, held: HeldCookies = held_cookies) -> None:
        self._held = held

    def collect(self) -> Iterable[Metric]:
        """Yield one counter."""
        held = CounterMetricFamily(
            "cookie_consent_held_cookies", "Cookies that were held back.", labels=["direction", "reason"]
        )
        for key, number in self._held.totals().items():
            held.add_metric(list(key), number)
        yield held


class CspReportCollector(Collector):
    """Collects the counts of browsers' reports about Content-Security-Policies, of all middlewares in this process.

    `REGISTRY.register(CspReportCollector())`. The label `what` is "incident" if a page reached for a recipient whose
    purpose was not allowed, else "undeclared". `mode` is "enforce" if the browser stopped it, else "report". Anybody
    can send reports.

    Args:
        reports: the counts.
    """

    def __init__(self, reports: ReportCounts = counts) -> None:
        self._reports = reports

    def collect(self) -> Iterable[Metric]:
        """Yield one counter."""
        labels = ["directive", "recipient", "what", "mode"]
        reported = CounterMetricFamily("cookie_consent_csp_reports", "Reports of browsers.", labels=labels)
        for key, number in self._reports.totals().items():
            reported.add_metric(list(key), number)
        yield reported
