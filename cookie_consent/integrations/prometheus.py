"""Prometheus: counters of a sink and of held cookies.

Needs prometheus-client: pip install "cookie-consent[metrics]".
"""

from __future__ import annotations

import atexit
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import chain

from prometheus_client import Counter, Gauge
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector, CollectorRegistry

from cookie_consent.base.messages import warn_once
from cookie_consent.base.threads import call_after_fork
from cookie_consent.decision.cookie_log import Key, held_cookies
from cookie_consent.sinks import Sink

__all__ = ["HeldCookieCollector", "SinkCollector", "share_between_workers"]

_PREFIX = "cookie_consent_access_records"
_DROPPED = "dropped_"
_REASONS = {"full": 0, "invalid": 0, "killed": 0}
"""Why records are dropped."""
_UNDECLARED = {("response", "undeclared"): 0, ("request", "undeclared"): 0}
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""The variable with which prometheus-client itself is told of several workers."""
_INTERVAL = 1.0
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
        reasons = {name.removeprefix(_DROPPED): number for name, number in stats.items() if name.startswith(_DROPPED)}
        for reason, number in (_REASONS | reasons).items():
            dropped.add_metric([reason], number)
        yield dropped
        waiting = stats.get("waiting", 0)
        yield GaugeMetricFamily(
            f"{_PREFIX}_waiting", "Access records and counts that are still to be kept.", value=waiting
        )


class HeldCookieCollector(Collector):
    """Collects the counts of cookies that were held back, of all middlewares in this process.

    `REGISTRY.register(HeldCookieCollector())`. The label `direction` is "response" for cookies that the app set, and
    "request" for those that the browser sent. `reason` is the id of the purpose that was not allowed,
    "undeclared", or "reserved" for our own cookies.

    Args:
        held: the counts.
    """

    def __init__(self, held: Mapping[Key, int] = held_cookies) -> None:
        self._held = held

    def collect(self) -> Iterable[Metric]:
        """Yield one counter."""
        held = CounterMetricFamily(
            "cookie_consent_held_cookies", "Cookies that were held back.", labels=["direction", "reason"]
        )
        for key, number in {**_UNDECLARED, **self._held}.items():
            held.add_metric(list(key), number)
        yield held


class SharedMetrics:
    """Publishes what collectors count to the files of prometheus-client, where all workers add up.

    A daemon thread publishes every second, and once more when the process ends. A forked worker has its own thread.

    Args:
        collectors: collectors of this process.
        sleep: waits for a number of seconds.
        registry: where to register the metrics, too; None for nowhere.
    """

    def __init__(
        self,
        collectors: Iterable[Collector],
        sleep: Callable[[float], object] = time.sleep,
        registry: CollectorRegistry | None = None,
    ) -> None:
        self._collectors = tuple(collectors)
        self._sleep = sleep
        self._registry = registry
        self._metrics: dict[str, Counter | Gauge] = {}
        self._published: dict[tuple[str, tuple[str, ...]], float] = {}
        atexit.register(self.publish)
        self.after_fork()
        call_after_fork(self)

    def after_fork(self) -> None:
        """Start the thread of this process."""
        self._lock = threading.Lock()
        threading.Thread(target=self._run, name="consent-metrics", daemon=True).start()

    def publish(self) -> None:
        """Publish what has changed."""
        with self._lock:
            for metric in chain.from_iterable(collector.collect() for collector in self._collectors):
                for sample in metric.samples:
                    self._publish(metric, sample.labels, sample.value)

    def _publish(self, metric: Metric, labels: dict[str, str], value: float) -> None:
        key = (metric.name, tuple(labels.values()))
        before = self._published.get(key)
        if value == before:
            return
        if metric.name not in self._metrics:
            self._metrics[metric.name] = (
                Counter(metric.name, metric.documentation, [*labels], registry=self._registry)
                if metric.type == "counter"
                else Gauge(
                    metric.name, metric.documentation, [*labels], registry=self._registry, multiprocess_mode="livesum"
                )
            )
        family = self._metrics[metric.name]
        shared = family.labels(**labels) if labels else family
        if isinstance(shared, Counter):
            shared.inc(value - (before or 0))
        else:
            shared.set(value)
        self._published[key] = value

    def _run(self) -> None:
        while True:
            try:
                self.publish()
            except Exception as error:  # noqa: BLE001 (a full disk must not end the thread)
                text = f"Metrics of this worker could not be shared; it is tried every second: {error!r}"
                warn_once("shared metrics", repr(error), text)
            self._sleep(_INTERVAL)


def share_between_workers(*collectors: Collector) -> SharedMetrics:
    """Let a scrape of any worker show the sums of all workers. Call it in each worker, in place of `register`.

    `share_between_workers(SinkCollector(sink), HeldCookieCollector())`. The server has to be started with
    PROMETHEUS_MULTIPROC_DIR, and the scraped page has to be made with prometheus-client's `MultiProcessCollector`, as
    its documentation says. Numbers are up to a second old.

    Args:
        collectors: collectors of this process.

    Raises:
        ValueError: PROMETHEUS_MULTIPROC_DIR is not set, so that there is no place to share them in.
    """
    if not os.environ.get(_FOLDER):
        raise ValueError(f"share_between_workers: start the server with {_FOLDER}, an empty folder that it may write.")
    return SharedMetrics(collectors)
