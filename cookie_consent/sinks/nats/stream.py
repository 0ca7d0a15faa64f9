"""A JetStream stream and its messages."""

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

from cookie_consent.sinks.nats.address import NatsAddress
from cookie_consent.sinks.nats.messages import LINES, Message, packed, time_of

KEEP = timedelta(days=395)
"""How long a stream keeps messages until a purge sets less: the maximum lifetime of a visitor id."""
_DUPLICATE_WINDOW = 120.0
"""How long the servers recognise duplicates (seconds; JetStream's default)."""
_REPLICAS = 3
_HEADERS = 1024
"""The part of the message limit reserved for headers (bytes)."""
_STREAM_EXISTS = 10058
"""JetStream's error code for a stream that exists with other settings."""
_BATCH_SIZE = 64
_INACTIVE_THRESHOLD = 60.0


class Stream:
    """Operations on a stream with a connected client.

    Args:
        client: a connected client.
        address: names the stream.
    """

    def __init__(self, client: Client, address: NatsAddress) -> None:
        self.address, self.jetstream = address, client.jetstream()
        self.most_bytes = client.max_payload - _HEADERS
        self._replicas = address.replicas or min(_REPLICAS, len(client.servers))

    async def make(self) -> None:
        """Create the stream unless it exists. An existing one is not changed."""
        config = StreamConfig(
            name=self.address.stream,
            subjects=[self.address.records, self.address.counts, self.address.erasures],
            storage=StorageType.FILE,
            num_replicas=self._replicas,
            max_age=KEEP.total_seconds(),
            duplicate_window=_DUPLICATE_WINDOW,
        )
        try:
            await self.jetstream.add_stream(config)
        except BadRequestError as error:
            if error.err_code != _STREAM_EXISTS:
                raise

    async def exists(self) -> bool:
        """Return whether the stream exists."""
        try:
            await self.jetstream.stream_info(self.address.stream)
        except NotFoundError:
            return False
        return True

    async def publish(self, messages: Iterable[tuple[str, Message]]) -> list[int]:
        """Publish messages concurrently; return their sequence numbers once the servers have stored all.

        Creates the stream if it does not exist.

        Args:
            messages: pairs of a subject and a message.
        """
        batch = list(messages)
        try:
            return await self._publish(batch)
        except NoStreamResponseError:
            await self.make()
            return await self._publish(batch)

    async def _publish(self, messages: Iterable[tuple[str, Message]]) -> list[int]:
        publishing = (
            self.jetstream.publish(subject, message.data, stream=self.address.stream, headers=dict(message.headers))
            for subject, message in messages
        )
        numbers = []
        # Waits for all, so that none is still running when an error is raised.
        for result in await asyncio.gather(*publishing, return_exceptions=True):
            if isinstance(result, BaseException):
                raise result
            numbers.append(result.seq)
        return numbers

    async def messages(self, subject: str, *, headers_only: bool = False) -> AsyncGenerator[Msg, None]:
        """Yield the messages of a subject, oldest first; none if the stream does not exist."""
        if not await self.exists():
            return
        config = ConsumerConfig(
            ack_policy=AckPolicy.NONE,
            headers_only=headers_only or None,
            mem_storage=True,
            num_replicas=1,
            inactive_threshold=_INACTIVE_THRESHOLD,
        )
        consumer = await self.jetstream.pull_subscribe(subject, stream=self.address.stream, config=config)
        try:
            while pending := (await consumer.consumer_info()).num_pending:
                with suppress(nats.errors.TimeoutError):  # the messages were removed meanwhile
                    for message in await consumer.fetch(min(pending, _BATCH_SIZE)):
                        yield message
        finally:
            await consumer.unsubscribe()

    async def keep_only(self, message: Msg, data: bytes, stays: Callable[[bytes], bool], *, dry_run: bool) -> int:
        """Replace a message by one without some of its lines; return how many were removed.

        The new message is published before the old one is deleted. A kill in between leaves some lines twice, under one
        uid, and loses none.

        If two processes rewrite one message, only one deletes the original. The slower one withdraws its replacement,
        because it may contain lines that the faster one removed; it will see the other's replacement later in the
        stream. Each publishes under its own message ids. Otherwise JetStream would take the second of two equal
        replacements for a duplicate, and withdrawing it would delete the only one.

        Args:
            message: the message to replace.
            data: its lines.
            stays: whether to keep a line.
            dry_run: whether to only count.
        """
        lines, number = data.splitlines(keepends=True), message.metadata.sequence.stream
        remaining = [line for line in lines if stays(line)]
        if len(remaining) < len(lines) and not dry_run:
            replacements = packed(remaining, self.most_bytes, f"-{secrets.token_hex(8)}")
            numbers = await self.publish((message.subject, part) for part in replacements)
            if not await self.delete(number):
                for added in numbers:
                    await self.delete(added)
                return 0
        return len(lines) - len(remaining)

    async def remove(self, message: Msg, *, dry_run: bool) -> int:
        """Delete a message; return how many lines it had. Only its headers are needed."""
        if dry_run or await self.delete(message.metadata.sequence.stream):
            return int((message.headers or {}).get(LINES, 0))
        return 0  # another process deleted it first

    async def remove_older(self, message: Msg, first: str, *, dry_run: bool) -> int:
        """Remove lines older than a time from a message whose headers are known; return how many."""
        whole = await self._message(message.metadata.sequence.stream)
        if whole is None or whole.data is None:
            return 0  # another process deleted it first
        return await self.keep_only(message, whole.data, lambda line: not "" < time_of(line) < first, dry_run=dry_run)

    async def delete(self, number: int) -> bool:
        """Delete a message and overwrite it with random bytes; return whether it existed."""
        try:
            return await self.jetstream.delete_msg(self.address.stream, number)
        except APIError:  # server versions report a missing message differently
            if await self._message(number):
                raise
            return False

    async def _message(self, number: int) -> RawStreamMsg | None:
        try:
            return await self.jetstream.get_msg(self.address.stream, number)
        except NotFoundError:
            return None

    async def shorten(self, keep: timedelta) -> None:
        """Set the stream's maximum age, unless it is shorter already."""
        config = (await self.jetstream.stream_info(self.address.stream)).config
        age = max(keep.total_seconds(), config.duplicate_window)
        if not config.max_age or config.max_age > age:
            await self.jetstream.update_stream(config, max_age=age)
