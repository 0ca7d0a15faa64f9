"""Tests of the counters of a sink, and of held cookies, in Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from cookie_consent.decision.held_cookies import HeldCookies
from cookie_consent.integrations.prometheus import HeldCookieCollector, SinkCollector
from tests.sinks.test_buffered import MemoryStore, line, sink_to


def test_prometheus_exports_counters_of_sink() -> None:
    store, registry = MemoryStore(), CollectorRegistry()
    sink = sink_to(store, most_bytes=3 * len(line(1)))
    registry.register(SinkCollector(sink))
    store.is_down = True
    for number in range(5):
        sink.write(line(number))
    sink.close()
    sink.close()
    exported = generate_latest(registry).decode()
    assert 'cookie_consent_access_records_dropped_total{reason="full"} 2.0' in exported
    assert "cookie_consent_access_records_waiting 3.0" in exported
    assert "cookie_consent_access_records_retried_total 1.0" in exported
    assert "cookie_consent_access_records_written_total 0.0" in exported
    store.is_down = False
    sink.close()
    assert "cookie_consent_access_records_written_total 3.0" in generate_latest(registry).decode()


def test_prometheus_exports_held_cookies_by_direction_and_reason() -> None:
    held, registry = HeldCookies(), CollectorRegistry()
    registry.register(HeldCookieCollector(held))
    for direction, reason, number in (("response", "ads/bidder", 1), ("request", "media", 2), ("request", "media", 3)):
        held.add(direction, reason, number)
    exported = generate_latest(registry).decode()
    assert 'cookie_consent_held_cookies_total{direction="response",reason="ads/bidder"} 1.0' in exported
    assert 'cookie_consent_held_cookies_total{direction="request",reason="media"} 5.0' in exported
