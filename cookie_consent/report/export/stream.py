"""Read the access records of some days or of a segment, oldest first, without loading them all into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from cookie_consent.base.clock import UTC_NAME
from cookie_consent.report.engines.engine import MARGIN, open_engine, require_files
from cookie_consent.report.local_time import begin_of
from cookie_consent.report.where import Where, segment_of
from cookie_consent.sinks.columns import record_from
from cookie_consent.sinks.store import incomplete

_FIRST, _LAST = date(1970, 1, 1), date(9999, 12, 30)
_MEMORY = 160_000_000
"""The bytes that DuckDB may take. What it needs beyond that goes to temporary files."""


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
    segment = segment_of(span.where)
    with open_engine(access_log, _MEMORY) as engine:
        given: dict[str, int | str] = {
            **span.given,
            "read_since": max(int(span.given["since"]) - MARGIN, 0),
            "read_end": int(span.given["end"]) + MARGIN,
            **segment.given,
        }
        if span.where:
            engine.prepare(given)
            for name in segment.tables_of_records:
                engine.make(name, given, segment)
        last = None
        for row in engine.stream(given, of_segment=bool(span.where)):
            record = record_from(row)
            # Rows are sorted by time and uid, so duplicates are neighbours.
            if (uid := record.get("log.record.uid")) is None or uid != last:
                if isinstance(properties := record.get("event.properties"), str):  # some stores keep them as text
                    record["event.properties"] = json.loads(properties)
                yield record
            last = uid
        if engine.damaged:
            raise incomplete(engine.damaged)
