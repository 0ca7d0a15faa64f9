"""Read the access records of some days or of a segment, oldest first, without loading them all into memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from importlib import import_module
from itertools import groupby
from tempfile import TemporaryFile
from typing import Any

from cookie_consent.base.clock import UTC_NAME
from cookie_consent.report.engines.engine import MARGIN, Engine, Given, engine_of, open_engine, require_files
from cookie_consent.report.local_time import begin_of
from cookie_consent.report.where import Segment, Where, segment_of
from cookie_consent.sinks.columns import record_from
from cookie_consent.sinks.files.damage import incomplete

Row = Sequence[Any]
"""The values of a record's columns in the order of `COLUMNS`. The time is written as in records."""

_FIRST, _LAST = date(1970, 1, 1), date(9999, 12, 30)
_AT_ONCE = 50_000
"""The number of keys that are in memory at a time."""
_MEMORY = 128_000_000
"""The bytes that DuckDB may take. What it needs beyond that goes to temporary files."""

Key = tuple[str, str]
"""Time and uid of a record."""


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
    module = import_module(f"cookie_consent.report.engines.{name}")
    opened: Callable[[str, Given], AbstractContextManager[Iterator[Row]]] = module.open_rows
    records = _records(opened(place, span.given))
    return _of_segment(access_log, span, records) if span.where else records


def _records(opened: AbstractContextManager[Iterator[Row]]) -> Generator[dict[str, Any], None, None]:
    last = None
    with opened as rows:
        for row in rows:
            record = record_from(row)
            # Rows are sorted by time and uid, so duplicates are neighbours.
            if (uid := record.get("log.record.uid")) is None or uid != last:
                if isinstance(properties := record.get("event.properties"), str):  # some stores keep them as text
                    record["event.properties"] = json.loads(properties)
                yield record
            last = uid


def _of_segment(
    access_log: str | os.PathLike[str], span: Span, records: Generator[dict[str, Any], None, None]
) -> Generator[dict[str, Any], None, None]:
    """Yield those of a span's records that belong to a session of a segment, or have its properties.

    First the keys of all such records go to an unnamed temporary file. So memory does not limit their number, and the
    database is asked for no longer than that takes.
    """
    with closing(records), TemporaryFile("w+", encoding="utf-8") as file:
        with open_engine(access_log, _MEMORY) as engine:
            file.writelines(json.dumps(key) + "\n" for key in _keys(engine, segment_of(span.where), span.given))
            damaged = engine.damaged
        file.seek(0)
        yield from _matching(records, map(json.loads, file))
    if damaged:
        raise incomplete(damaged)


def _keys(engine: Engine, segment: Segment, span: Given) -> Iterator[Key]:
    """Yield the keys of the segment's records, oldest first."""
    given: dict[str, int | str] = {
        **span,
        "read_since": max(int(span["since"]) - MARGIN, 0),
        "read_end": int(span["end"]) + MARGIN,
        **segment.given,
    }
    engine.prepare(given)
    for name in segment.tables_of_records:
        engine.make(name, given, segment)
    # A question has local times; of keys they are those of UTC.
    given |= {"changes": 0, "most": _AT_ONCE, "after": -1, "after_uid": ""}
    while rows := engine.rows("keys", given):
        for row in rows:
            yield _time(row["came"]), row["uid"]
        given |= {"after": rows[-1]["came"], "after_uid": rows[-1]["uid"]}


def _time(came: int) -> str:
    """Return milliseconds since 1970 as a time of a record."""
    moment = datetime.fromtimestamp(came // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{came % 1000:03}Z"


def _matching(records: Iterable[dict[str, Any]], keys: Iterable[Key]) -> Iterator[dict[str, Any]]:
    """Yield the records with these keys. Both are sorted by time; at one time, databases may sort uids differently."""
    moments = ((time, {uid for _, uid in of_time}) for time, of_time in groupby(keys, lambda key: key[0]))
    time, uids = next(moments, (None, set[str]()))
    for record in records:
        while time is not None and time < record["time"]:
            time, uids = next(moments, (None, set[str]()))
        if time is None:
            return
        if time == record["time"] and record.get("log.record.uid") in uids:
            yield record
