"""OpenTelemetry: spans carry personal data only if the visitor allows access tracing."""

from __future__ import annotations

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor

from cookie_consent.current import is_traced
from cookie_consent.integrations.personal_data import without_personal

__all__ = ["ConsentSpanProcessor"]


class ConsentSpanProcessor(SpanProcessor):
    """Removes personal data from spans, unless they end in the request of a visitor who consented to tracing.

    Put it between the tracer provider and the exporting processor:
    `provider.add_span_processor(ConsentSpanProcessor(BatchSpanProcessor(exporter)))`.

    A span whose request is unknown counts as refused, for example one that ends in a thread or task of its own. Other
    processors of the provider get spans unchanged.

    Args:
        next_processor: the processor that gets the spans.
    """

    def __init__(self, next_processor: SpanProcessor) -> None:
        self._next = next_processor

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Pass the span on. Exporters read it only when it ends."""
        self._next.on_start(span, parent_context)

    def on_end(self, span: ReadableSpan) -> None:
        """Pass the span on, without personal data if the running request does not allow tracing."""
        # Data is removed from a copy: other processors of the provider share the span.
        self._next.on_end(span if is_traced() else _without_personal(span))

    def shutdown(self) -> None:
        """Shut down the next processor."""
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30000) -> bool:
        """Flush the next processor.

        Args:
            timeout_millis: how long that may take, in milliseconds.

        Returns:
            Whether it finished in time.
        """
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
