"""The NATS JetStream sink."""

from cookie_consent.sinks.nats.sink import NatsSink

__all__ = ["NatsSink"]
