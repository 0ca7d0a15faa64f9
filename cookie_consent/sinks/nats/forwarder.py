"""Brings access records from a stream of NATS JetStream on to where another sink keeps its own."""

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
"""What was on its way to a store when it was erased from the stream is there by then, or never comes (seconds)."""
_HELD_ON = 5.0
"""How much longer a message is left to a forwarder that does not say what became of it (seconds)."""
_AT_ONCE = 16
_WAIT = 1.0


class Forwarder:
    """Takes messages from a stream and acknowledges each once the store has its lines.

    All forwarders of one name share the work: each message goes to one of them, and to another one if that is killed.
    What it wrote by then is written twice, under one uid.

    Args:
        source: the stream.
        store: where it brings records.
        name: what the store is called, the same wherever a forwarder to it runs.
        settled: how long after an order a visitor is erased once more (seconds); longer than a write may take.

    Attributes:
        counts: "records", "counts", "dropped_invalid" (the store can never keep them), "erasures".
        undone: the numbers of the orders to erase that failed and come again, with the reason.
    """

    def __init__(self, source: NatsStore, store: Store, name: str, settled: float = SETTLED) -> None:
        self._source, self._store, self._settled = source, store, settled
        self._durable = f"forward-{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"
        self._client: Client | None = None
        self._consumer: JetStreamContext.PullSubscription
        self.counts: Counter[str] = Counter()
        self.undone: dict[int, str] = {}

    def step(self) -> int:
        """Bring on some messages and return how many; waits up to a second for the first.

        Raises:
            Exception: the stream cannot be reached, or the store could not keep them; they come again.
        """
        messages = self._source.connection.run(self._fetch)
        taken, latest = 0, time.monotonic() + self._settled / 2
        try:
            for is_order, group in groupby(messages, key=self._is_order):
                if taken and time.monotonic() > latest:
                    break  # what comes to the store later could come after an erasure that has settled
                some = list(group)
                if is_order:
                    self._obey(some)
                else:
                    self._bring(some)
                taken += len(some)
        finally:
            if taken < len(messages):
                self._give_back(messages[taken:])
        return taken

    def waiting(self) -> int:
        """Return how many messages have yet to be brought on, and to be settled, by this or another forwarder."""
        return self._source.connection.run(self._waiting)

    def _is_order(self, message: Msg) -> bool:
        return message.subject == self._source.place.erasures

    def _bring(self, messages: Sequence[Msg]) -> None:
        lines: dict[str, list[bytes]] = {"records": [], "counts": []}
        for message in messages:
            kind = "counts" if message.subject == self._source.place.counts else "records"
            lines[kind] += message.data.splitlines(keepends=True)
        try:
            self._store.write(lines["records"], lines["counts"])
        except InvalidLinesError as error:
            self.counts["dropped_invalid"] += error.lines
        self._acknowledge(messages)
        self.counts.update({kind: len(some) for kind, some in lines.items()})

    def _obey(self, orders: Sequence[Msg]) -> None:
        """Erase visitors at once, and once more when what was on its way to the store has settled."""
        for order in orders:
            number = order.metadata.sequence.stream
            try:
                self._store.erase(json.loads(order.data)["visitor.id"])
                self.undone.pop(number, None)
                done = order.metadata.num_delivered > 1
            except Exception as error:  # noqa: BLE001 (whatever a store raises, the order stays)
                self.undone[number] = str(error)
                done = False
            if done:
                self._acknowledge([order])
                self.counts["erasures"] += 1
            else:
                self._give_back([order])

    def _acknowledge(self, messages: Iterable[Msg]) -> None:
        self._source.connection.run(
            lambda client: _answer(client, {message.reply: Msg.Ack.Ack for message in messages})
        )

    def _give_back(self, messages: Iterable[Msg]) -> None:
        """Let messages come again: at once, orders once all has settled."""
        later = b'-NAK {"delay": %d}' % (self._settled * 1e9)  # nanoseconds
        answers = {message.reply: later if self._is_order(message) else Msg.Ack.Nak for message in messages}
        self._source.connection.run(lambda client: _answer(client, answers))

    async def _fetch(self, client: Client) -> list[Msg]:
        await self._subscribe(client)
        try:
            return await self._consumer.fetch(_AT_ONCE, _WAIT)
        except nats.errors.TimeoutError:
            return []

    async def _subscribe(self, client: Client) -> None:
        """Take part in the work, also anew after a lost connection."""
        if client is self._client:
            return
        jetstream, place = client.jetstream(), self._source.place
        config = ConsumerConfig(ack_policy=AckPolicy.EXPLICIT, ack_wait=self._settled + _HELD_ON)
        try:
            await jetstream.stream_info(place.stream)
        except NotFoundError:
            await Stream(client, place).make()
        self._consumer = await jetstream.pull_subscribe(
            f"{place.stream}.*", durable=self._durable, stream=place.stream, config=config
        )
        self._client = client

    async def _waiting(self, client: Client) -> int:
        await self._subscribe(client)
        info = await self._consumer.consumer_info()
        return (info.num_pending or 0) + (info.num_ack_pending or 0)


async def _answer(client: Client, answers: Mapping[str, bytes]) -> None:
    """Answer to messages, also over another connection than the one that they came by."""
    for reply, answer in answers.items():
        await client.publish(reply, answer)
    await client.flush()
