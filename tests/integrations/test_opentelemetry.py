"""Tests of OpenTelemetry: only spans of consenting visitors have personal data. Real servers: test_other_logs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest
from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, Status, StatusCode
from starlette.types import ASGIApp, Receive, Scope, Send

from cookie_consent.integrations.opentelemetry import ConsentSpanProcessor
from tests.support.asgi import PHONE, Visitor, drive, install, reply_app, scope

ADDRESS = "203.0.113.77"
PERSONAL = (ADDRESS, PHONE, "secret", "50123")


class Traced:
    """A tracer provider that keeps its spans in memory."""

    def __init__(self) -> None:
        self.exporter, self.provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
        self.provider.add_span_processor(ConsentSpanProcessor(SimpleSpanProcessor(self.exporter)))

    def instrumented(self, app: ASGIApp) -> ASGIApp:
        return OpenTelemetryMiddleware(
            app,
            tracer_provider=self.provider,
            http_capture_headers_server_request=[".*"],
            http_capture_headers_server_response=[".*"],
        )

    def texts(self) -> list[str]:
        """Return the finished spans as JSON, and forget them."""
        texts = [span.to_json() for span in self.exporter.get_finished_spans()]
        self.exporter.clear()
        return texts


def app_with_span(traced: Traced, *, fails: bool = False) -> ASGIApp:
    """Return an app that makes its own span in each request."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with traced.provider.get_tracer("app").start_as_current_span("work") as span:
            span.set_attribute("url.full", "https://site.example/page?q=secret")
            span.add_event("asked", {"client.address": ADDRESS, "result": "found"})
        if fails:
            raise RuntimeError("broken")
        await reply_app()(scope, receive, send)

    return app


def instrumentation_outside(traced: Traced, app: ASGIApp) -> ASGIApp:
    return traced.instrumented(install(app))


def instrumentation_inside(traced: Traced, app: ASGIApp) -> ASGIApp:
    return install(traced.instrumented(app))


def exported_spans(order: Callable[[Traced, ASGIApp], ASGIApp], *, fails: bool = False) -> dict[str, list[str]]:
    """Let a granting, a refusing and a silent visitor send a request; return the exported spans of each."""
    traced = Traced()
    site = order(traced, app_with_span(traced, fails=fails))
    granting, refusing, silent = (Visitor(site, [("user-agent", PHONE)]) for _ in range(3))
    granting.accept()
    refusing.refuse()
    assert not any(value in text for text in traced.texts() for value in PERSONAL)
    spans_of = {}
    for name, visitor in {"granting": granting, "refusing": refusing, "silent": silent}.items():
        if fails:
            with pytest.raises(RuntimeError, match="broken"):
                visitor.get("/page", query=b"q=secret")
        else:
            visitor.get("/page", query=b"q=secret")
        spans_of[name] = traced.texts()
    return spans_of


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("order", [instrumentation_outside, instrumentation_inside])
def test_only_spans_of_consenting_visitors_have_personal_data(
    order: Callable[[Traced, ASGIApp], ASGIApp], fails: bool
) -> None:
    spans_of = exported_spans(order, fails=fails)
    assert all(any(value in text for text in spans_of["granting"]) for value in PERSONAL)
    for name in ("refusing", "silent"):
        assert not any(value in text for text in spans_of[name] for value in PERSONAL)


def test_spans_of_refusing_visitors_keep_everything_else() -> None:
    spans_of = exported_spans(instrumentation_outside)
    spans = {name: [json.loads(text) for text in texts] for name, texts in spans_of.items()}
    assert [span["name"] for span in spans["refusing"]] == [span["name"] for span in spans["granting"]]
    work, server = (next(s for s in spans["refusing"] if s["name"] == name) for name in ("work", "GET /page"))
    assert server["kind"] == "SpanKind.SERVER"
    assert server["attributes"]["http.status_code"] == 200
    assert server["attributes"]["http.url"].endswith("/page")
    assert work["parent_id"] == server["context"]["span_id"]
    assert work["attributes"] == {"url.full": "https://site.example/page"}
    assert [event["attributes"] for event in work["events"]] == [{"result": "found"}]
    assert work["end_time"] >= work["start_time"]


def test_websocket_span_has_no_personal_data() -> None:
    traced = Traced()
    site = instrumentation_outside(traced, app_with_span(traced))
    request = scope(headers=[("user-agent", PHONE)], kind="websocket", query=b"q=secret")
    asyncio.run(drive(site, request, [{"type": "websocket.connect"}]))
    texts = traced.texts()
    assert texts
    assert not any(value in text for text in texts for value in PERSONAL)


def test_span_outside_request_has_no_personal_data() -> None:
    traced = Traced()
    with traced.provider.get_tracer("app").start_as_current_span("job", kind=SpanKind.CLIENT) as span:
        span.set_attributes({"url.full": "https://other.example/?q=secret", "server.address": "other.example"})
        span.set_status(Status(StatusCode.ERROR, "broken"))
    (done,) = traced.exporter.get_finished_spans()
    assert dict(done.attributes or {}) == {"url.full": "https://other.example/", "server.address": "other.example"}
    assert (done.status.description, done.kind) == ("broken", SpanKind.CLIENT)
    assert done.instrumentation_scope is not None
    assert done.instrumentation_scope.name == "app"
    assert done.events == ()


def test_the_exporter_is_flushed_and_shut_down() -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(ConsentSpanProcessor(BatchSpanProcessor(exporter)))
    provider.get_tracer("app").start_span("one").end()
    assert provider.force_flush(20_000)
    assert [span.name for span in exporter.get_finished_spans()] == ["one"]
    provider.shutdown()
    exporter.clear()
    provider.get_tracer("app").start_span("late").end()
    assert exporter.get_finished_spans() == ()
