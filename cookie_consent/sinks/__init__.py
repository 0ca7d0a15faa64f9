"""Where access records flow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

from cookie_consent.sinks.jsonl import JsonLinesSink
from cookie_consent.sinks.memory import MemorySink

__all__ = ["JsonLinesSink", "MemorySink", "Sink", "open_sink"]


@runtime_checkable
class Sink(Protocol):
    """Takes access records. It may lose them, counted; it never raises and never makes a page wait."""

    def write(self, line: bytes) -> None:
        """Take one record: a JSON object in UTF-8 with a line feed after it."""

    def close(self) -> None:
        """Bring what was taken to where it is kept, within a bounded time. It may be written to again."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor. May block: call it in a thread."""

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, also those that other processes still hold; return how many. May block."""

    def stats(self) -> Mapping[str, int]:
        """Return counters: "written", and "dropped_" with each reason."""


def open_sink(target: str) -> Sink:
    """Return the sink for a path or URL.

    Args:
        target: the path of a JSON Lines file, "file:" URL or plain.

    Raises:
        ValueError: there is no sink for such a URL.
    """
    scheme, colon, rest = target.partition("://")
    if colon and scheme != "file":
        raise ValueError(f'access_log: there is no sink for "{scheme}://". Use the path of a JSON Lines file.')
    return JsonLinesSink(rest if colon else target)
