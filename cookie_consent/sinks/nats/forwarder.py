"""Forwards access records from a JetStream stream to the store of another sink."""

from __future__ import annotations

import hashlib
import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig
from nats.js.errors import NotFoundError

from cookie_consent.sinks.nats.store import NatsStore
from cookie_consent.sinks.nats.stream import Stream
from cookie_consent.sinks.store import InvalidLinesError, Store

SETTLED = 20.0
"""How long after an erasure lines may still arrive at the store that were read from the stream before it (seconds)."""
_HELD_ON = 5.0
"""How much longer than that a message stays assigned to a forwarder that does not respond (seconds)."""
_BATCH_SIZE = 16
_WAIT = 1.0


class Forwarder:
    """Takes messages from a stream and acknowledges each once the store has its lines.

    Forwarders with the same name share the work: each message goes to one of them. If that one is killed, another gets
    the message, and some lines are written twice, under one uid.

    Args:
        source: the stream.
        store: where records are forwarded to.
        name: names the store, the same for all forwarders to it.
        settled: how long after an erasure message the visitor is erased again (seconds); longer than a write may take.

    Attributes:
        counts: "records", "counts", "dropped_invalid" (the store can never accept them), "erasures".
        pending_erasures: sequence number of each erasure message that failed and will come again -> reason.
    """

    def __init__(self, source: NatsStore, store: Store, name: str, settled: float = SETTLED) -> None:
        self._source, self._store, self._settled = source, store, settled
        self._durable = f"forward-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"
        self._client: Client | None = None
        self._consumer: JetStreamContext.PullSubscription
        self.counts: Counter[str] = Counter()
        self.pending_erasures: dict[int, str] = {}

    def step(self) -> int:
        """Forward some messages; return how many. Waits up to a second for the first.

        Raises:
            Exception: the stream is unreachable, or the store failed. The messages will come again.
        """
        messages = self._source.connection.run(self._fetch)
        taken, latest = 0, time.monotonic() + self._settled / 2
        try:
            for is_erasure, group in groupby(messages, key=self._is_erasure):
                if taken and time.monotonic() > latest:
                    break  # a later write could arrive after the second erasure
                some = list(group)
                if is_erasure:
                    self._erase(some)
                else:
                    self._write(some)
                taken += len(some)
        finally:
            if taken < len(messages):
                self._redeliver(messages[taken:])
        return taken

    def waiting(self) -> int:
        """Return how many messages are not yet forwarded or not yet acknowledged, by any forwarder."""
        return self._source.connection.run(self._waiting)

    def _is_erasure(self, message: Msg) -> bool:
        return message.subject == self._source.address.erasures

    def _write(self, messages: Sequence[Msg]) -> None:
        lines: dict[str, list[bytes]] = {"records": [], "counts": []}
        for message in messages:
            kind = "counts" if message.subject == self._source.address.counts else "records"
            lines[kind] += message.data.splitlines(keepends=True)
        try:
            self._store.write(lines["records"], lines["counts"])
        except InvalidLinesError as error:
            self.counts["dropped_invalid"] += error.lines
        self._acknowledge(messages)
        self.counts.update({kind: len(some) for kind, some in lines.items()})

    def _erase(self, messages: Sequence[Msg]) -> None:
        """Erase visitors now, and again once earlier writes to the store have settled."""
        for message in messages:
            number = message.metadata.sequence.stream
            try:
                self._store.erase(json.loads(message.data)["visitor.id"])
                self.pending_erasures.pop(number, None)
                done = message.metadata.num_delivered > 1
            except Exception as error:  # noqa: BLE001 (a store may raise anything; the message comes again)
                self.pending_erasures[number] = str(error)
                done = False
            if done:
                self._acknowledge([message])
                self.counts["erasures"] += 1
            else:
                self._redeliver([message])

    def _acknowledge(self, messages: Iterable[Msg]) -> None:
        self._source.connection.run(lambda client: _reply(client, {message.reply: Msg.Ack.Ack for message in messages}))

    def _redeliver(self, messages: Iterable[Msg]) -> None:
        """Have messages delivered again: lines at once, erasures once writes have settled."""
        later = b'-NAK {"delay": %d}' % (self._settled * 1e9)  # nanoseconds
        replies = {message.reply: later if self._is_erasure(message) else Msg.Ack.Nak for message in messages}
        self._source.connection.run(lambda client: _reply(client, replies))

    async def _fetch(self, client: Client) -> list[Msg]:
        await self._subscribe(client)
        try:
            return await self._consumer.fetch(_BATCH_SIZE, _WAIT)
        except nats.errors.TimeoutError:
            return []

    async def _subscribe(self, client: Client) -> None:
        """Join the consumer that all forwarders of this name share; join again after a lost connection."""
        if client is self._client:
            return
        jetstream, address = client.jetstream(), self._source.address
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=self._settled + _HELD_ON)
        try:
            await jetstream.stream_info(address.stream)
        except NotFoundError:
            await Stream(client, address).make()
        self._consumer = await jetstream.pull_subscribe(
            f"{address.stream}.*", durable=self._durable, stream=address.stream, config=config
        )
        self._client = client

    async def _waiting(self, client: Client) -> int:
        await self._subscribe(client)
        info = await self._consumer.consumer_info()
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def _reply(client: Client, replies: Mapping[str, bytes]) -> None:
    """Reply to messages, possibly over another connection than they came by."""
    for subject, payload in replies.items():
        await client.publish(subject, payload)
    await client.flush()
