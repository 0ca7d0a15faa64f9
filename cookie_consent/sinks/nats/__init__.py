"""Access records in a stream of NATS JetStream."""

from cookie_consent.sinks.nats.sink import NatsSink

__all__ = ["NatsSink"]
