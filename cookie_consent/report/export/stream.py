"""Read all access records of some days, oldest first, without loading them all into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import date, timedelta
from importlib import import_module
from typing import Any

from cookie_consent.base.clock import UTC_NAME
from cookie_consent.report.engines.engine import Given, engine_of, require_files
from cookie_consent.report.export.segments import chosen
from cookie_consent.report.local_time import begin_of
from cookie_consent.report.where import Where, segment_of
from cookie_consent.sinks.columns import record_from

Row = Sequence[Any]
"""The values of a record's columns in the order of `COLUMNS`. The time is written as in records."""

_FIRST, _LAST = date(1970, 1, 1), date(9999, 12, 30)
_READERS = {"duckdb_files": "slices"}
"""Module of an engine -> the module that reads whole records, if that is another one."""


@dataclass(frozen=True, slots=True)
class Span:
    """The records to read.

    Args:
        since: the first day; None for no limit.
        until: the last day, included; None for no limit.
        host: read only requests to this host; None for all hosts.
        time_zone: the time zone of the days, by its IANA name.
        where: the filters of a segment: read only the records of its sessions.

    Raises:
        ValueError: there is no such time zone, or the span has no day, or days that no record can have.
    """

    since: date | None = None
    until: date | None = None
    host: str | None = None
    time_zone: str = UTC_NAME
    where: Where = ()

    def __post_init__(self) -> None:
        if self.first > self.last:
            raise ValueError(f"from: {self.first} is no day before or equal to {self.last}.")
        if self.first < _FIRST or self.last > _LAST:
            raise ValueError(f"from, to: there are records of days from {_FIRST} to {_LAST} alone.")
        _ = self.given, segment_of(self.where)  # refuses an unknown time zone, and a wrong filter

    @property
    def first(self) -> date:
        """The first day."""
        return self.since or _FIRST

    @property
    def last(self) -> date:
        """The last day."""
        return self.until or _LAST

    @property
    def given(self) -> dict[str, int | str]:
        """The parameters of the SQL texts. Times are milliseconds since 1970."""
        return {
            "since": max(begin_of(self.first, self.time_zone), 0),
            "end": begin_of(self.last + timedelta(days=1), self.time_zone),
            "host": (self.host or "").lower(),
        }


def stream(access_log: str | os.PathLike[str], span: Span) -> Generator[dict[str, Any], None, None]:
    """Yield the records of a span, oldest first and without duplicates.

    Close the generator if you do not read it to its end.

    Args:
        access_log: the path of a JSON Lines file, or a URL: "file://…", "postgresql://…", "clickhouse://…".
        span: the records to read.

    Raises:
        ValueError: no reader exists for such a URL.
        UnreadableError: the access log cannot be read, or a package is missing.
        IncompleteError: after all records that can be read: some files are damaged.
    """
    require_files(access_log)
    name, place = engine_of(access_log)
    module = import_module(f"cookie_consent.report.engines.{_READERS.get(name, name)}")
    opened: Callable[[str, Given], AbstractContextManager[Iterator[Row]]] = module.open_rows
    records = _records(opened(place, span.given))
    return _of_segment(access_log, span, records) if span.where else records


def _of_segment(
    access_log: str | os.PathLike[str], span: Span, records: Generator[dict[str, Any], None, None]
) -> Generator[dict[str, Any], None, None]:
    with closing(records):
        yield from chosen(access_log, segment_of(span.where), span.given, records)


def _records(opened: AbstractContextManager[Iterator[Row]]) -> Generator[dict[str, Any], None, None]:
    last = None
    with opened as rows:
        for row in rows:
            record = record_from(row)
            # Rows are sorted by time and uid, so duplicates are neighbours.
            if (uid := record.get("log.record.uid")) is None or uid != last:
                yield whole(record)
            last = uid


def whole(record: dict[str, Any]) -> dict[str, Any]:
    """Return a record with its event properties as an object. Some stores keep them as text."""
    properties = record.get("event.properties")
    return {**record, "event.properties": json.loads(properties)} if isinstance(properties, str) else record
