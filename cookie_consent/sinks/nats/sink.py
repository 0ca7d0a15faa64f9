"""The NATS JetStream sink. `cookie-consent forward` passes its records on to another sink."""

from __future__ import annotations

from os import PathLike

from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.nats.address import NatsAddress
from cookie_consent.sinks.nats.store import NatsStore


class NatsSink(BufferedSink):
    """Publishes records to a stream, which is created with the first record.

    Args:
        url: like "nats://user:password@host:4222,host2:4222/STREAM", or "tls://…". The default stream is
            ACCESS_RECORDS. It is kept on three servers of a cluster, or on as many as "?replicas=1" says.
        spill: the folder of spill files; None for no spill files.

    Raises:
        ValueError: the URL is invalid.
    """

    store: NatsStore

    def __init__(self, url: str, *, spill: str | PathLike[str] | None = None) -> None:
        address = NatsAddress.of(url)
        super().__init__(NatsStore(address), str(address), spill=spill)
