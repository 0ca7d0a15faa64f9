"""Messages of many lines each, with headers that summarise them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LINES, OLDEST, NEWEST = "Consent-Lines", "Consent-Oldest", "Consent-Newest"
"""Header fields: the number of lines, and their first and last time."""
_ID = "Nats-Msg-Id"
_MAX_BYTES = 256 * 1024
_TIME = re.compile(rb'"time": ?"([0-9T:.Z+-]{10,40})"')


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish.

    Args:
        data: lines, each ended by a line feed.
        headers: a summary of the lines, and the id by which JetStream recognises duplicates.
    """

    data: bytes
    headers: dict[str, str]


def packed(lines: Iterable[bytes], most_bytes: int, mark: str = "") -> Iterator[Message]:
    """Pack lines into as few messages as possible. The same lines give the same messages.

    Args:
        lines: each shorter than `most_bytes`.
        most_bytes: the servers' limit for a message.
        mark: is appended to the message ids, so that they differ from those of the same lines without it.
    """
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        if waiting and size + len(line) > min(most_bytes, _MAX_BYTES):
            yield _message(waiting, mark)
            waiting, size = [], 0
        waiting.append(line)
        size += len(line)
    if waiting:
        yield _message(waiting, mark)


def time_of(line: bytes) -> str:
    """Return the time on a line as it is written there; "" if there is none."""
    match = _TIME.search(line)
    return match[1].decode() if match else ""


def _message(lines: list[bytes], mark: str) -> Message:
    data = b"".join(lines)
    headers = {_ID: hashlib.blake2b(data, digest_size=16).hexdigest() + mark, LINES: str(len(lines))}
    if times := [time for line in lines if (time := time_of(line))]:
        headers |= {OLDEST: min(times), NEWEST: max(times)}
    return Message(data, headers)
