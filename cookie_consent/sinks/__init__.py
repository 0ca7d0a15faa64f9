"""Sinks: where access records are written.

What `__all__` names here is public; the modules inside are internal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol, runtime_checkable
from urllib.parse import parse_qsl

from cookie_consent import gone
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
"""URL parameters with credentials."""
_GROUP = "cookie_consent.sinks"
"""The entry point group: URL scheme -> callable that creates the sink."""
_EXTRAS = {"postgres": "postgresql", "clickhouses": "clickhouse"}
"""URL scheme of this package -> the extra to install, if that has another name."""


@runtime_checkable
class Sink(Protocol):
    """Takes access records and counts. It may lose some, which it counts, but never delays a page."""

    def write(self, line: bytes) -> None:
        """Take an access record: a JSON object in UTF-8, ended by a line feed."""

    def count(self, line: bytes) -> None:
        """Take an anonymous count: a JSON object in the same form. Its value is added to those of equal counts."""

    def close(self) -> None:
        """Flush within a bounded time and release connections. The sink may be written to again."""

    def read(self, visitor_id: str) -> Iterator[dict[str, Any]]:
        """Yield the records of a visitor. Call it in a thread: it may block."""

    def erase(self, visitor_id: str) -> int:
        """Erase the records of a visitor, also those that other processes buffer; return how many. May block.

        Raises:
            CannotEraseError: some records may remain.
        """

    def purge(self, now: float, keep: timedelta, *, dry_run: bool = False) -> int:
        """Remove the records and counts older than `keep`; return how many records. May block.

        Several processes and hosts may run it at once. A store with its own retention setting gets this one.
        """

    def stats(self) -> Mapping[str, int]:
        """Return counters: "written", "retried", "spilled", "spill_failed", and `dropped_` with each reason."""


def open_sink(target: str) -> Sink:
    """Open the sink at a path or URL.

    Schemes are entry points of the group "cookie_consent.sinks" in installed packages. The entry point is called with
    the URL without its "spill" parameter, and with the spill folder as `spill`.

    Args:
        target: the path of a JSON Lines file, plain or as a "file:" URL; or a URL like
            "postgresql://user@host/database" or "clickhouse://user@host:8123/database". While the server is down, lines
            are spilled to the folder in "?spill=FOLDER", or by default to the user's state folder.

    Raises:
        ValueError: the scheme is unknown, or a required package is missing.
    """
    scheme, colon, rest = target.partition("://")
    if not colon or scheme == "file":
        return JsonLinesSink(rest if colon else target)
    url, spill = without_spill(target)
    sink: Sink = _factory(scheme)(url, spill=spill)
    return sink


def _factory(scheme: str) -> Any:
    """Return the callable that creates sinks for a URL scheme."""
    from importlib.metadata import entry_points  # imported late: it is slow, and file sinks do not need it

    known = entry_points(group=_GROUP)
    if not known:
        raise ValueError("access_log: URLs need cookie-consent as an installed package. Install it again, by pip.")
    if scheme in gone.SCHEMES:
        raise ValueError(f'access_log: "{scheme}://" is gone. {gone.SCHEMES[scheme]}')
    if scheme not in known.names:
        raise ValueError(
            f'access_log: there is no sink for "{scheme}://". Use the path of a JSON Lines file, or a URL that begins '
            f"with one of: {', '.join(f'{name}://' for name in sorted(known.names))}."
        )
    entry = known[scheme]
    try:
        return entry.load()
    except ModuleNotFoundError as error:
        is_ours = entry.module.startswith(f"{_GROUP}.")
        install = f"cookie-consent[{_EXTRAS.get(scheme, scheme)}]" if is_ours else error.name
        raise ValueError(f'access_log: "{scheme}://" needs {error.name}: pip install "{install}"') from None


def without_spill(url: str) -> tuple[str, Path]:
    """Split the "spill" parameter from a server's URL; return the remaining URL and the spill folder.

    The default folder is derived from the URL without credentials, so that spilled lines are found again after the
    password changes.

    Raises:
        ValueError: the folder is in a home directory that cannot be found.
    """
    # Not by urlsplit, which loses slashes of "postgresql:///database"; and libraries differ in how they escape.
    place, _, query = url.partition("?")
    rest = [part for part in query.split("&") if part and part.partition("=")[0] != "spill"]
    scheme, _, location = place.partition("://")
    hosts, slash, path = location.partition("/")
    identifying = [part for part in rest if part.partition("=")[0] not in _WHO_ASKS]
    identity = _with_query(f"{scheme}://{hosts.rpartition('@')[2]}{slash}{path}", identifying)
    default = f"{_SPILLS}/{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
    folder = Path(dict(parse_qsl(query)).get("spill", default))
    try:
        return _with_query(place, rest), folder.expanduser()
    except RuntimeError:
        raise ValueError(
            f'access_log: lines that wait cannot be kept in "{folder}", since there is no such home. Name a folder in '
            'the URL: "?spill=/var/lib/my-site/spill".'
        ) from None


def _with_query(place: str, parts: Sequence[str]) -> str:
    return f"{place}?{'&'.join(parts)}" if parts else place
