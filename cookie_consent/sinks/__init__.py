"""Where access records flow."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from cookie_consent.sinks.buffered import BufferedSink
from cookie_consent.sinks.files.sink import JsonLinesSink
from cookie_consent.sinks.memory import MemorySink
from cookie_consent.sinks.store import CannotEraseError, InvalidLinesError, Store

__all__ = [
    "BufferedSink",
    "CannotEraseError",
    "InvalidLinesError",
    "JsonLinesSink",
    "MemorySink",
    "Sink",
    "Store",
    "open_sink",
    "without_spill",
]

_SPILLS = "~/.local/state/cookie-consent/spill"
_WHO_ASKS = ("user", "username", "password")
"""Parameters of URLs."""
_GROUP = "cookie_consent.sinks"
"""The group of entry points: the scheme of a URL -> what makes the sink of it."""
_EXTRAS = {"postgres": "postgresql", "clickhouses": "clickhouse", "tls": "nats"}
"""Scheme of ours -> the extra that is needed, where that has another name."""


@runtime_checkable
class Sink(Protocol):
    """Takes access records, and counts beside them. It may lose some, counted; it never makes a page wait."""

    def write(self, line: bytes) -> None:
        """Take one record: a JSON object in UTF-8 with a line feed after it."""

    def count(self, line: bytes) -> None:
        """Take one count, of nobody in particular: likewise a JSON object, whose number is added to the others."""

    def close(self) -> None:
        """Bring what was taken to where it is kept, within a bounded time. It may be written to again."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor. May block: call it in a thread."""

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, also those that other processes still hold; return how many. May block.

        Raises:
            CannotEraseError: some stay.
        """

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove the records and counts that are older than `keep`; return how many records. May block.

        Several processes and hosts may do it at once. A store that has a time limit of its own is told this one.
        """

    def stats(self) -> Mapping[str, int]:
        """Return counters: "written", "retried", "spilled", "spill_failed", and "dropped_" with each reason."""


def open_sink(target: str) -> Sink:
    """Return the sink for a path or URL.

    Args:
        target: the path of a JSON Lines file, "file:" URL or plain; or a URL like "postgresql://user@host/database",
            "clickhouse://user@host:8123/database", "nats://host:4222/STREAM". With "?spill=FOLDER" lines wait there
            while the server is down, else in the user's state folder.

    Which URLs there are say the entry points "cookie_consent.sinks" of what is installed. The name of one is the scheme
    of its URLs; it is called with the URL without its "spill" parameter, and with the folder as `spill`.

    Raises:
        ValueError: there is no sink for such a URL, or what it needs is not installed.
    """
    scheme, colon, rest = target.partition("://")
    if not colon or scheme == "file":
        return JsonLinesSink(rest if colon else target)
    url, spill = without_spill(target)
    sink: Sink = _made_by(scheme)(url, spill=spill)
    return sink


def _made_by(scheme: str) -> Any:
    """Return what makes the sink of URLs with a scheme."""
    from importlib.metadata import entry_points  # here: it takes longer than all else to import, and files need none

    known = entry_points(group=_GROUP)
    if not known:
        raise ValueError("access_log: URLs need cookie-consent as an installed package. Install it again, by pip.")
    if scheme not in known.names:
        raise ValueError(
            f'access_log: there is no sink for "{scheme}://". Use the path of a JSON Lines file, or a URL that begins '
            f"with one of: {', '.join(f'{name}://' for name in sorted(known.names))}."
        )
    entry = known[scheme]
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        own = entry.module.startswith(f"{_GROUP}.")
        install = f"cookie-consent[{_EXTRAS.get(scheme, scheme)}]" if own else error.name
        raise ValueError(f'access_log: "{scheme}://" needs {error.name}: pip install "{install}"') from None


def local_place(target: str) -> Path:
    """Return where a sink keeps something on this host: its file, or the folder for lines that wait."""
    scheme, colon, rest = target.partition("://")
    return Path(rest if colon else target) if not colon or scheme == "file" else without_spill(target)[1]


def without_spill(url: str) -> tuple[str, Path]:
    """Return the URL of a server without its "spill" parameter, and the folder for lines that wait.

    Without one, that folder goes by the URL, but not by who asks: with a new password, lines that wait are still found.

    Raises:
        ValueError: it would be in a home that cannot be found.
    """
    # As text: urlsplit takes "postgresql:///database" apart and loses slashes; libraries differ in how they escape.
    place, _, query = url.partition("?")
    rest = [part for part in query.split("&") if part and part.partition("=")[0] != "spill"]
    scheme, _, after = place.partition("://")
    hosts, slash, path = after.partition("/")
    same = [part for part in rest if part.partition("=")[0] not in _WHO_ASKS]
    known = _with_query(f"{scheme}://{hosts.rpartition('@')[2]}{slash}{path}", same)
    own = f"{_SPILLS}/{hashlib.sha256(known.encode()).hexdigest()[:16]}"
    folder = Path(dict(parse_qsl(query)).get("spill", own))
    try:
        return _with_query(place, rest), folder.expanduser()
    except RuntimeError:
        raise ValueError(
            f'access_log: lines that wait cannot be kept in "{folder}", since there is no such home. Name a folder in '
            'the URL: "?spill=/var/lib/my-site/spill".'
        ) from None


def _with_query(place: str, parts: Sequence[str]) -> str:
    return f"{place}?{'&'.join(parts)}" if parts else place
