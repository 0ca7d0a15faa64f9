"""Tests of the counters of a sink, and of held cookies, in Prometheus."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric

from cookie_consent.integrations.prometheus import (
    HeldCookieCollector,
    SharedMetrics,
    SinkCollector,
    share_between_workers,
)
from cookie_consent.sinks.memory import MemorySink
from tests.sinks.test_buffered import MemoryStore, line, sink_to
from tests.support.servers.processes import free_port, running_program
from tests.support.waiting import eventually, wait_until


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
    assert 'cookie_consent_access_records_dropped_total{reason="killed"} 0.0' in exported, "an increase has to be seen"
    assert "cookie_consent_access_records_waiting 3.0" in exported
    assert "cookie_consent_access_records_retried_total 1.0" in exported
    assert "cookie_consent_access_records_written_total 0.0" in exported
    store.is_down = False
    sink.close()
    assert "cookie_consent_access_records_written_total 3.0" in generate_latest(registry).decode()


def test_prometheus_exports_held_cookies_by_direction_and_reason() -> None:
    held, registry = Counter[tuple[str, str]](), CollectorRegistry()
    registry.register(HeldCookieCollector(held))
    for direction, reason, number in (("response", "ads/bidder", 1), ("request", "media", 2), ("request", "media", 3)):
        held[direction, reason] += number
    exported = generate_latest(registry).decode()
    assert 'cookie_consent_held_cookies_total{direction="response",reason="ads/bidder"} 1.0' in exported
    assert 'cookie_consent_held_cookies_total{direction="request",reason="media"} 5.0' in exported


WORKERS = """
import os

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route


def write(request):
    for number in range(10):
        access_log.write(b'{}\\n')
    return PlainTextResponse(str(os.getpid()))


app = Starlette(routes=[Route("/write", write), Route("/metrics", metrics)])
"""


def check_workers_are_added_up(folder: Path, code: str) -> None:
    """Start two workers, let both write, and check what each of them shows.

    Args:
        folder: an empty folder.
        code: defines the sink `access_log` and the endpoint `metrics`.
    """
    (folder / "workers.py").write_text(code + WORKERS, "utf-8")
    (folder / "metrics").mkdir()
    port = free_port()
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]),
        "PROMETHEUS_MULTIPROC_DIR": str(folder / "metrics"),
    }
    command = [sys.executable, "-m", "uvicorn", "workers:app", "--workers", "2", "--port", str(port)]
    with running_program(command, env=env):

        def get(path: str) -> str:
            with suppress(httpx.HTTPError):
                # A connection of its own, so of either worker. A request that times out would still have written.
                return httpx.get(f"http://127.0.0.1:{port}{path}", timeout=60).text
            return ""

        written = Counter[str]()

        def both_wrote() -> bool:
            if pid := get("/write"):
                written[pid] += 10
            return len(written) == 2

        wait_until(both_wrote)
        total = f"cookie_consent_access_records_written_total {written.total()}.0\n"
        wait_until(lambda: total in get("/metrics"))
        assert all(total in get("/metrics") for _ in range(10)), "of either worker"
        assert "cookie_consent_access_records_waiting 0.0\n" in get("/metrics")


def test_metrics_are_shared_only_where_there_is_a_place_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PROMETHEUS_MULTIPROC_DIR", raising=False)
    with pytest.raises(ValueError, match="start the server with PROMETHEUS_MULTIPROC_DIR"):
        share_between_workers(SinkCollector(MemorySink()))


def test_sharing_publishes_counters_and_what_waits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    shared = share_between_workers(SinkCollector(MemorySink()))
    shared.publish()
    atexit.unregister(shared.publish)


def test_error_of_a_collector_is_logged_once_and_does_not_end_sharing(caplog: pytest.LogCaptureFixture) -> None:
    tries: list[int] = []

    class Failing(HeldCookieCollector):
        def collect(self) -> Iterable[Metric]:
            tries.append(1)
            raise OSError("no space left")

    shared = SharedMetrics([Failing()], sleep=lambda _: threading.Event().wait(3600 if len(tries) > 2 else 0))
    assert eventually(lambda: len(tries) > 2)
    assert caplog.text.count("could not be shared; it is tried every second") == 1
    atexit.unregister(shared.publish)


def test_shared_counters_grow_by_what_was_added() -> None:
    held = Counter({("response", "media"): 2})
    registry = CollectorRegistry()
    shared = SharedMetrics([HeldCookieCollector(held)], sleep=lambda _: threading.Event().wait(), registry=registry)
    shared.publish()
    held["response", "media"] += 3
    held["request", "ads"] += 1
    shared.publish()
    shared.publish()
    exported = generate_latest(registry).decode()
    assert 'cookie_consent_held_cookies_total{direction="response",reason="media"} 5.0' in exported
    assert 'cookie_consent_held_cookies_total{direction="request",reason="ads"} 1.0' in exported
