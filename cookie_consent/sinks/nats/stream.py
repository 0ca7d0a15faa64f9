"""A stream of NATS JetStream, and the messages in it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import suppress
from datetime import timedelta

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.api import AckPolicy, ConsumerConfig, RawStreamMsg, StorageType, StreamConfig
from nats.js.errors import APIError, BadRequestError, NoStreamResponseError, NotFoundError

from cookie_consent.sinks.nats.address import Place
from cookie_consent.sinks.nats.messages import LINES, Message, packed, time_of

KEEP = timedelta(days=395)
"""How long a stream that is made here keeps messages, until a purge says less: as long as a visitor's id may live."""
_KNOWN_AGAIN = 120.0
"""How long the servers know a message that comes again (seconds; JetStream's own default)."""
_REPLICAS = 3
_HEADERS = 1024
"""What of a message's size is kept free for its headers (bytes)."""
_IN_USE = 10058
"""JetStream's error code for a stream that is there, with other settings."""
_AT_ONCE = 64
_FORGOTTEN = 60.0


class Stream:
    """What can be done with a stream while a client is connected.

    Args:
        client: is connected.
        place: says which stream.
    """

    def __init__(self, client: Client, place: Place) -> None:
        self.place, self.jetstream = place, client.jetstream()
        self.most_bytes = client.max_payload - _HEADERS
        self._replicas = place.replicas or min(_REPLICAS, len(client.servers))

    async def make(self) -> None:
        """Make the stream unless it is there; one that is there stays as it is."""
        config = StreamConfig(
            name=self.place.stream,
            subjects=[self.place.records, self.place.counts, self.place.erasures],
            storage=StorageType.FILE,
            num_replicas=self._replicas,
            max_age=KEEP.total_seconds(),
            duplicate_window=_KNOWN_AGAIN,
        )
        try:
            await self.jetstream.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _IN_USE:
                raise

    async def exists(self) -> bool:
        """Return whether the stream is there."""
        try:
            await self.jetstream.stream_info(self.place.stream)
        except NotFoundError:
            return False
        return True

    async def publish(self, messages: Iterable[tuple[str, Message]]) -> list[int]:
        """Publish messages to their subjects, all under way at once; return their numbers once the servers have all.

        Makes the stream where there is none.
        """
        publishing = list(messages)
        try:
            return await self._publish(publishing)
        except NoStreamResponseError:
            await self.make()
            return await self._publish(publishing)

    async def _publish(self, messages: Iterable[tuple[str, Message]]) -> list[int]:
        publishing = (
            self.jetstream.publish(subject, message.data, stream=self.place.stream, headers=dict(message.headers))
            for subject, message in messages
        )
        numbers = []
        for answer in await asyncio.gather(*publishing, return_exceptions=True):
            if isinstance(answer, BaseException):
                raise answer
            numbers.append(answer.seq)
        return numbers

    async def messages(self, subject: str, *, headers_only: bool = False) -> AsyncGenerator[Msg, None]:
        """Yield what is in the stream, oldest first; nothing where there is no stream."""
        if not await self.exists():
            return
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            headers_only=headers_only or None,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=_FORGOTTEN,
        )
        consumer = await self.jetstream.pull_subscribe(subject, stream=self.place.stream, config=config)
        try:
            while there := (await consumer.consumer_info()).num_pending:
                with suppress(nats.errors.TimeoutError):  # what was there was removed meanwhile
                    for message in await consumer.fetch(min(there, _AT_ONCE)):
                        yield message
        finally:
            await consumer.unsubscribe()

    async def keep_only(self, message: Msg, data: bytes, stays: Callable[[bytes], bool], *, dry_run: bool) -> int:
        """Put a message with only the lines that stay in place of one; return how many lines go by that.

        It is published before the other one is removed: a kill between the two leaves some lines twice, under one
        uid, and loses none. Of two processes that do this to one message, the slower takes its own back, since lines
        are in it that the faster one wanted to go; it comes upon the other's later in the stream. Each publishes under
        an id of its own: where both keep the same lines, the slower one's would be taken for the faster one's come
        again, and to take it back would remove that, the only one that is left.

        Args:
            message: the message.
            data: its lines.
            stays: says it of a line.
            dry_run: only look.
        """
        lines, number = data.splitlines(keepends=True), message.metadata.sequence.stream
        left = [line for line in lines if stays(line)]
        if len(left) < len(lines) and not dry_run:
            anew = packed(left, self.most_bytes, f"-{secrets.token_hex(8)}")
            numbers = await self.publish((message.subject, part) for part in anew)
            if not await self.delete(number):
                for own in numbers:
                    await self.delete(own)
                return 0
        return len(lines) - len(left)

    async def remove(self, message: Msg, *, dry_run: bool) -> int:
        """Remove a message, of which only the headers need be known; return how many lines it has."""
        if dry_run or await self.delete(message.metadata.sequence.stream):
            return int((message.headers or {}).get(LINES, 0))
        return 0  # another process was faster

    async def remove_older(self, message: Msg, first: str, *, dry_run: bool) -> int:
        """Remove what is older than a time from a message of which the headers are known; return how many lines go."""
        whole = await self._message(message.metadata.sequence.stream)
        if whole is None or whole.data is None:
            return 0  # another process was faster
        return await self.keep_only(message, whole.data, lambda line: not "" < time_of(line) < first, dry_run=dry_run)

    async def delete(self, number: int) -> bool:
        """Remove a message, overwritten with random bytes; return whether it was there."""
        try:
            return await self.jetstream.delete_msg(self.place.stream, number)
        except APIError:  # versions of the server differ in how they say that it is not there
            if await self._message(number):
                raise
            return False

    async def _message(self, number: int) -> RawStreamMsg | None:
        try:
            return await self.jetstream.get_msg(self.place.stream, number)
        except NotFoundError:
            return None

    async def shorten(self, keep: timedelta) -> None:
        """Let the servers remove messages of that age. What somebody set shorter stays."""
        config = (await self.jetstream.stream_info(self.place.stream)).config
        age = max(keep.total_seconds(), config.duplicate_window)
        if not config.max_age or config.max_age > age:
            await self.jetstream.update_stream(config, max_age=age)
