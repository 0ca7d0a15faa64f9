"""Messages of many lines each, which say what is in them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

LINES, OLDEST, NEWEST = "Consent-Lines", "Consent-Oldest", "Consent-Newest"
"""Header fields: how many lines a message has, and their first and last time."""
_ID = "Nats-Msg-Id"
_MOST_BYTES = 256 * 1024
_TIME = re.compile(rb'"time": ?"([0-9T:.Z+-]{10,40})"')


@dataclass(frozen=True, slots=True)
class Message:
    """What is published once.

    Args:
        data: lines, each with its line feed.
        headers: what is in them, and the id under which JetStream knows a message that comes again.
    """

    data: bytes
    headers: dict[str, str]


def packed(lines: Iterable[bytes], most_bytes: int, mark: str = "") -> Iterator[Message]:
    """Put lines into as few messages as they need. The same lines make the same messages.

    Args:
        lines: each is shorter than `most_bytes`.
        most_bytes: what the servers take at once.
        mark: stands in the ids, and makes them others than those of the same lines without it.
    """
    waiting: list[bytes] = []
    size = 0
    for line in lines:
        if waiting and size + len(line) > min(most_bytes, _MOST_BYTES):
            yield _message(waiting, mark)
            waiting, size = [], 0
        waiting.append(line)
        size += len(line)
    if waiting:
        yield _message(waiting, mark)


def time_of(line: bytes) -> str:
    """Return the time of a line, as it stands there; "" where it has none."""
    found = _TIME.search(line)
    return found[1].decode() if found else ""


def _message(lines: list[bytes], mark: str) -> Message:
    data = b"".join(lines)
    headers = {_ID: hashlib.blake2b(data, digest_size=16).hexdigest() + mark, LINES: str(len(lines))}
    if times := [time for line in lines if (time := time_of(line))]:
        headers |= {OLDEST: min(times), NEWEST: max(times)}
    return Message(data, headers)
