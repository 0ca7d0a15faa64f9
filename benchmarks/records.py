"""Makes access records like those of a site of some size, the same each time, in the files in which they are kept.

Visitors come again, with some sessions of three pages each on the average; beside each page there are requests for its
parts, as most sites have them; popular pages and rare ones; events, campaigns, referrers, a few records written twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import duckdb

from cookie_consent.sinks.columns import COLUMNS, COUNT_COLUMNS
from cookie_consent.sinks.files.closed_files import FileFormat, counts_path, path_of

_MEMORY = "4GB"
_DAY = 86_400_000
_NEVER = "\x01"
_IN_SESSION = 10
"""Records of a session: three views, five requests, two events."""
_SECONDS_BETWEEN = 23

_ORIGIN = "https://registry.example"
_RECORDS = f"""
WITH written AS (  -- one in 5,000 is written twice, and the next one never
    SELECT CASE WHEN hash(range) % 5000 = 0 THEN greatest(range - 1, 0) ELSE range END AS i FROM range($first, $end)
),
numbers AS (
    SELECT i, i // {_IN_SESSION} AS s, (i % {_IN_SESSION})::INTEGER AS n FROM written
),
drawn AS (
    SELECT i, s, n, hash(s) AS a, hash(s + 1_000_000_007) AS b, hash(i + 2_000_000_011) AS c FROM numbers
),
shaped AS (
    SELECT *,
        $begin + (a % $length)::BIGINT + n * {_SECONDS_BETWEEN * 1000} + (c % 900)::BIGINT AS came,
        CASE WHEN n IN (0, 4, 7) THEN 'view' WHEN n IN (3, 9) THEN 'event' ELSE 'request' END AS kind,
        (pow((c % 100_000) / 100_000.0, 4) * 600)::INTEGER AS page,
        (pow((b % 100_000) / 100_000.0, 2) * $visitors)::BIGINT AS who
    FROM drawn
)
SELECT
    make_timestamp(came * 1000) AS time,
    'Zm9vYmFyYmF6cXV4-' || printf('%x', i) AS uid,
    kind,
    CASE WHEN kind <> 'event' THEN 'GET' END AS method,
    CASE WHEN who % 5 = 0 THEN 'shop.example' ELSE 'registry.example' END AS host,
    CASE WHEN kind = 'request' THEN '/static/part-' || n || '.js' ELSE '/pages/item-' || page END AS path,
    CASE kind WHEN 'view' THEN '/pages/{{item}}' WHEN 'request' THEN '/static/{{file}}' END AS route,
    CASE WHEN n = 0 AND a % 6 = 0 THEN 'utm_source=letter&utm_medium=mail&utm_campaign=month-' || (b % 12) END AS query,
    CASE WHEN n = 0 THEN CASE WHEN b % 3 = 0 THEN 'https://search-' || (a % 40) || '.example' END
        ELSE '{_ORIGIN}/pages/item-' || (a % 600) END AS referrer,
    CASE WHEN kind <> 'event' THEN '2' END AS protocol,
    CASE WHEN kind <> 'event' THEN CASE WHEN c % 50 = 0 THEN 404 WHEN c % 900 = 0 THEN 500 ELSE 200 END END AS status,
    round(CASE WHEN n = 3 THEN 1000 + (c % 300_000) WHEN n <> 9 THEN 1 + (c % 40_000) / 300.0 END, 3) AS duration_ms,
    substr(md5(who::VARCHAR), 1, 22) AS visitor,
    '192.0.' || (who % 256) || '.0' AS address,
    ['Chrome', 'Safari', 'Firefox', 'Edge', 'Samsung Internet'][1 + (who % 5)] AS browser,
    ['Windows', 'iOS', 'Android', 'Mac OS X', 'Linux'][1 + (who // 5 % 5)] AS os,
    ['pc', 'mobile', 'mobile', 'tablet', 'pc'][1 + (who // 5 % 5)] AS device,
    CASE WHEN who % 7 < 5 THEN ['JP', 'DE', 'US', 'FR', 'BR'][1 + (who % 7)] END AS country,
    '1f0c9a7be24d5580' AS policy,
    NULL::VARCHAR AS purpose,
    CASE n WHEN 3 THEN 'page_leave' WHEN 9 THEN 'download' END AS event,
    CASE n WHEN 9 THEN '{{"file":"prices.pdf"}}' END AS properties
FROM shaped
"""  # noqa: S608 (all of it is here)
_COUNTS = """
SELECT
    (DATE '1970-01-01' + day::INTEGER)::TIMESTAMP + INTERVAL 23 HOUR AS time,
    'count-' || day || '-' || language || '-' || name AS uid,
    DATE '1970-01-01' + day::INTEGER AS day,
    'registry.example' AS host, language, name, CASE name WHEN 'degraded' THEN 'map' END AS detail, value
FROM range($first_day, $end_day) days(day), (VALUES ('ja'), ('en')) languages(language), (VALUES ('views', 9000),
    ('views_recorded', 4000), ('asked', 2500), ('granted', 900), ('refused', 500), ('partial', 100), ('withdrawn', 9),
    ('signal', 300), ('degraded', 700)) names(name, value)
"""


def write_records(folder: Path, records: int, days: int, until: date, form: FileFormat) -> Path:
    """Write records and counts as a closed file of each day; return the path of the access log.

    Args:
        folder: where to.
        records: how many.
        days: over how many.
        until: the last of them.
        form: lines, or Parquet as `compact` makes it.
    """
    live, first = folder / "access.jsonl", until - timedelta(days=days - 1)
    folder.mkdir(parents=True, exist_ok=True)
    with duckdb.connect(":memory:", config={"memory_limit": _MEMORY, "temp_directory": str(folder / ".made")}) as made:
        _make(made, records, days, first)
        for number in range(days):
            _write(made, live, first + timedelta(days=number), form)
    return live


def _make(made: duckdb.DuckDBPyConnection, records: int, days: int, first: date) -> None:
    begin = (first - date(1970, 1, 1)).days
    values = {
        "first": 0,
        "end": records,
        "begin": begin * _DAY,
        "length": days * _DAY - _IN_SESSION * _SECONDS_BETWEEN * 1000,
        "visitors": max(records // 40, 1),
    }
    made.execute(f"CREATE TABLE records AS {_RECORDS}", values)
    made.execute(f"CREATE TABLE counts AS {_COUNTS}", {"first_day": begin, "end_day": begin + days})


def _write(made: duckdb.DuckDBPyConnection, live: Path, day: date, form: FileFormat) -> None:
    """Write the records and counts of a day into its files."""
    for table, path, columns in (("records", live, COLUMNS), ("counts", counts_path(live), COUNT_COLUMNS)):
        target = path_of(path, day, 1, form)
        target.parent.mkdir(parents=True, exist_ok=True)
        if form is FileFormat.PARQUET:
            what, how = "*", "FORMAT parquet, COMPRESSION zstd"
        else:  # as CSV of one column, without any signs that CSV adds
            what, how = _line(columns), f"FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIM '{_NEVER}'"
        rows = f"FROM {table} WHERE time::DATE = $day ORDER BY time"
        made.execute(f"COPY (SELECT {what} {rows}) TO '{target}' ({how})", {"day": day})


def _line(columns: Mapping[str, str]) -> str:
    """Return an expression for the JSON of a row, without the keys that have no value."""
    written = {"time": "'\"' || strftime(time, '%Y-%m-%dT%H:%M:%S.%g') || 'Z\"'", "properties": "properties"}
    parts = (f"',\"{key}\":' || {written.get(name, f'to_json({name})::VARCHAR')}" for key, name in columns.items())
    return f"'{{' || substr(concat({', '.join(parts)}), 2) || '}}'"
