"""Makes missing digests for a report that would read many records without them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cookie_consent.report.digests.about import identity
from cookie_consent.report.digests.advice import read_digests, without_digest
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.report.digests.making import digest, zone_of
from cookie_consent.report.engines.duckdb_files import records_in
from cookie_consent.report.engines.engine import UnreadableError
from cookie_consent.sinks.files.closed_files import Source
from cookie_consent.sinks.files.digest_files import blocks_of, firsts_path, name_of

_MOST = 2
"""So many times the records that a report has to read may get digests before it."""

_State = frozenset[str]
_in_vain: dict[Path, _State] = {}
"""Log -> what was missing when this process last tried in vain. A live report asks again and again."""


def make_missing(reader: FactsReader, closed: Sequence[Source], key: str, zone: str, wanted: int) -> bool:
    """Make the digests that are missing, as `compact` does; return whether that was possible.

    Nothing is made if many more records lack a digest than the report has to read, as after a new version of this
    package. Nor is it tried twice in vain, for instance because a file is damaged or the disk is full.

    Args:
        reader: reads the log.
        closed: the closed files of the log.
        key: the key of the log.
        zone: the time zone of the days.
        wanted: about how many records of closed files the report has to read otherwise.

    Raises:
        FileNotFoundError: a file has moved.
    """
    path = reader._path
    lacking = without_digest(read_digests(reader, path, closed), key, zone)
    state = _state(path, lacking)
    if records_in(lacking) > _MOST * wanted or _in_vain.get(path) == state:
        return False
    with suppress(OSError, UnreadableError):  # another user's folder, a full disk
        if zone_of(path) not in (None, zone) or digest(path, zone, reader._memory).busy:
            return False
        if left := without_digest(read_digests(reader, path, closed), key, zone):
            _in_vain[path] = _state(path, left)
        return True
    _in_vain[path] = state
    return False


def _state(path: Path, lacking: Sequence[Source]) -> _State:
    """Return what changes with the files that lack a digest, and with what digests are joined to."""
    joined = [file.name for file in (*blocks_of(path).values(), firsts_path(path)) if file.is_file()]
    return frozenset([*joined, *(f"{name_of(source)} {identity(source)}" for source in lacking)])
