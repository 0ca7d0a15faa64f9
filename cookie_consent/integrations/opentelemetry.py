"""OpenTelemetry spans that say who came only where access tracing is allowed."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor

from cookie_consent.current import is_traced
from cookie_consent.integrations.personal_data import without_personal


class ConsentSpanProcessor(SpanProcessor):
    """Takes from spans what says who somebody is, unless they end in the request of a visitor who consented to tracing.

    It stands between the tracer provider and the processor that exports:
    `provider.add_span_processor(ConsentSpanProcessor(BatchSpanProcessor(exporter)))`. A span whose request is not
    known, because it ends in a thread or task of its own say, is treated as if its visitor had refused. What other
    processors of the provider get is not changed.

    Args:
        next_processor: gets the spans.
    """

    def __init__(self, next_processor: SpanProcessor) -> None:
        self._next = next_processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass the beginning on: nothing is exported of it yet."""
        self._next.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass a span on, with or without what says who somebody is. It is called where the span ends."""
        self._next.on_end(span if is_traced() else _without_personal(span))

    def shutdown(self) -> None:
        """Shut the next processor down."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Let the next processor export what it has; return whether it could in time."""
        return self._next.force_flush(timeout_millis)


def _without_personal(span: ReadableSpan) -> ReadableSpan:
    return ReadableSpan(
        name=span.name,
        context=span.get_span_context(),
        parent=span.parent,
        resource=span.resource,
        attributes=without_personal(span.attributes or {}),
        events=[Event(event.name, without_personal(event.attributes or {}), event.timestamp) for event in span.events],
        links=span.links,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )
