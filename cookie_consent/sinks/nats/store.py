"""The store of the NATS sink: a stream, with many lines in each message."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js.errors import NotFoundError

from cookie_consent.sinks import CannotEraseError
from cookie_consent.sinks.lines import record_of
from cookie_consent.sinks.nats.address import NatsAddress
from cookie_consent.sinks.nats.connection import Connection
from cookie_consent.sinks.nats.messages import NEWEST, OLDEST, Message, packed
from cookie_consent.sinks.nats.stream import Stream
from cookie_consent.sinks.store import InvalidLinesError


class NatsStore:
    """Writes lines to a stream.

    Args:
        address: names the servers and the stream.
    """

    def __init__(self, address: NatsAddress) -> None:
        self.address = address
        self.connection = Connection(address)

    def write(self, records: Sequence[bytes], counts: Sequence[bytes]) -> None:
        """Publish lines and wait until the servers have stored them. Creates the stream if it does not exist.

        Raises:
            InvalidLinesError: some lines exceed the servers' limit; all others are stored.
            Exception: some lines may not be stored.
        """
        too_long = self.connection.run(lambda client: self._write(client, records, counts))
        if too_long:
            raise InvalidLinesError(too_long, "they are longer than max_payload of the servers.")

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor that are in the stream, each once."""
        yield from self.connection.run(lambda client: self._read(client, visitor_id), None)

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor from the stream, and publish an erasure message for the forwarders.

        A message that also has lines of others is replaced by one without the visitor's.

        Raises:
            CannotEraseError: the servers are unreachable or refused.
        """
        try:
            return self.connection.run(lambda client: self._erase(client, visitor_id), None)
        except (nats.errors.Error, OSError) as error:
            raise CannotEraseError(
                f"{self.address}: records of this visitor may stay in the stream, and in what it is brought on to "
                f"({error}). Erase them again once the servers allow it."
            ) from error

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove what is older than `keep`, and set it as the stream's maximum age; return how many records."""
        first = _written(datetime.fromtimestamp(now, UTC) - keep)
        return self.connection.run(lambda client: self._purge(client, first, keep, dry_run=dry_run), None)

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()

    # The methods below run on the event loop of the connection.

    async def _write(self, client: Client, records: Sequence[bytes], counts: Sequence[bytes]) -> int:
        stream = Stream(client, self.address)
        too_long = 0
        messages: list[tuple[str, Message]] = []
        for subject, lines in ((self.address.records, records), (self.address.counts, counts)):
            fitting = [line for line in lines if len(line) <= stream.most_bytes]
            too_long += len(lines) - len(fitting)
            messages += [(subject, message) for message in packed(fitting, stream.most_bytes)]
        await stream.publish(messages)
        return too_long

    async def _read(self, client: Client, visitor_id: str) -> list[dict[str, Any]]:
        records: dict[object, dict[str, Any]] = {}
        async with aclosing(Stream(client, self.address).messages(self.address.records)) as messages:
            async for message in messages:
                for line in message.data.splitlines():
                    if record := record_of(visitor_id, line):
                        records.setdefault(record.get("log.record.uid", len(records)), record)
        return list(records.values())

    async def _erase(self, client: Client, visitor_id: str) -> int:
        stream, erased = Stream(client, self.address), 0
        async with aclosing(stream.messages(self.address.records)) as messages:
            async for message in messages:
                erased += await stream.keep_only(
                    message, message.data, lambda line: record_of(visitor_id, line) is None, dry_run=False
                )
        if await stream.exists():  # else there is nothing to forward
            order = json.dumps({"visitor.id": visitor_id}).encode()
            await stream.publish([(self.address.erasures, Message(order, {}))])
        return erased

    async def _purge(self, client: Client, first: str, keep: timedelta, *, dry_run: bool) -> int:
        stream = Stream(client, self.address)
        due: list[tuple[Msg, bool]] = []
        async with aclosing(stream.messages(f"{self.address.stream}.*", headers_only=True)) as messages:
            async for message in messages:
                headers, sent = message.headers or {}, _written(message.metadata.timestamp)
                if headers.get(OLDEST, sent) < first:
                    due.append((message, headers.get(NEWEST, sent) < first))
        removed = 0
        for message, entirely in due:
            if entirely:
                lines = await stream.remove(message, dry_run=dry_run)
            else:
                lines = await stream.remove_older(message, first, dry_run=dry_run)
            removed += lines if message.subject == self.address.records else 0
        if not dry_run:
            with suppress(NotFoundError):  # no stream yet
                await stream.shorten(keep)
        return removed


def _written(time: datetime) -> str:
    """Return a time in the format of access records."""
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")
