"""Which records of a span belong to the sessions of a segment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from tempfile import TemporaryFile
from typing import Any

from cookie_consent.report.engines.engine import MARGIN, Engine, Given, open_engine
from cookie_consent.report.where import Segment
from cookie_consent.sinks.files.damage import incomplete

_AT_ONCE = 50_000
"""The number of keys that are in memory at a time."""
_MEMORY = 128_000_000
"""The bytes that DuckDB may take. What it needs beyond that goes to temporary files."""

Key = tuple[str, str]
"""Time and uid of a record."""


def chosen(
    access_log: str | os.PathLike[str], segment: Segment, given: Given, records: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """Yield those of a span's records that belong to a session of a segment, or have its properties.

    First the keys of all such records go to an unnamed temporary file. So memory does not limit their number, and the
    database is asked for no longer than that takes.

    Args:
        access_log: as for `stream`.
        segment: the segment.
        given: the span: `since` and `end` in milliseconds since 1970, and `host`.
        records: its records, oldest first.

    Raises:
        UnreadableError: the access log cannot be read.
        IncompleteError: after all records that can be read: some files are damaged.
    """
    with TemporaryFile("w+", encoding="utf-8") as file:
        with open_engine(access_log, _MEMORY) as engine:
            file.writelines(json.dumps(key) + "\n" for key in _keys(engine, segment, given))
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
