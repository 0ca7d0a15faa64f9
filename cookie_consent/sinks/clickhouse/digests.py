"""Tables of digests in ClickHouse, and which digests still count.

ClickHouse has no triggers on deletions, no transactions and no locks. So the digest of a day names the parts of
`access_records` that it was made of, and counts while these are there. Each insert makes a part, each deletion makes
parts anew, and dropping a partition removes them, whoever does it. A merge only joins parts.

A digest is a partition of `access_digest_facts`, under a number of its own. It is inserted first, and then its row in
`access_digest_days`, with the number of facts. Without that row, or with other facts than it says, there is no digest.
So a digest that is half made, or half dropped, is never read.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

MOST_SUMS = 5
"""How many sums a fact may have, as in `report.digests.kinds`."""
_TABLES_EXIST = """
    SELECT count() = 3 FROM system.tables WHERE database = currentDatabase()
    AND name IN ('access_digest_facts', 'access_digest_days', 'access_digest_key')
"""
FACTS = ("day", "kind", "host", "name", "visitors", "measured", *(f"n{number}" for number in range(MOST_SUMS)))
"""The columns of a fact."""
FACT_COLUMNS = "day Int32, kind Int16, host String, name String, visitors Array(Int64), measured Array(Float64), "
FACT_COLUMNS += ", ".join(f"n{number} Int64" for number in range(MOST_SUMS))
# `time` is what the retention counts from. It is that of the day's end.
CREATE_TABLES = (
    f"""
    CREATE TABLE IF NOT EXISTS access_digest_facts (
        made UInt64, {FACT_COLUMNS}, time DateTime('UTC') MATERIALIZED toDateTime((day + 1) * 86400, 'UTC')
    ) ENGINE = MergeTree PARTITION BY made ORDER BY (kind, host, name)
    SETTINGS ttl_only_drop_parts = 1, index_granularity = 512
    """,
    """
    CREATE TABLE IF NOT EXISTS access_digest_days (
        day Int32, made UInt64, zone String, schema String, facts UInt64,
        since String, until String, table UUID, parts Array(String)
    ) ENGINE = MergeTree ORDER BY day
    """,
    "CREATE TABLE IF NOT EXISTS access_digest_key (key String) ENGINE = MergeTree ORDER BY key",
)
ADD_KEY = "INSERT INTO access_digest_key SELECT {key:String}"
KEYS = "SELECT count() FROM access_digest_key"
# Two processes may each have added one.
KEY = "SELECT min(key) FROM access_digest_key"
ADD_FACTS = f"INSERT INTO access_digest_facts (made, {', '.join(FACTS)}) SELECT {{made:UInt64}}, * FROM scanned_facts"  # noqa: S608
ADD_DAY = """
    INSERT INTO access_digest_days
    SELECT {day:Int32}, {made:UInt64}, {zone:String}, {schema:String}, (SELECT count() FROM scanned_facts),
        {since:String}, {until:String}, {table:UUID}, {parts:Array(String)}
"""
PARTITIONS = """
    SELECT DISTINCT partition_id FROM system.parts
    WHERE active AND rows > 0 AND database = currentDatabase() AND table = 'access_records'
        AND partition_id BETWEEN {first:String} AND {last:String}
    ORDER BY partition_id
"""
FIRST_RECORD = """
    SELECT toUnixTimestamp64Milli(minOrNull(time)) FROM access_records
    WHERE _partition_id = {partition:String} AND time >= fromUnixTimestamp64Milli({since:Int64})
        AND time < fromUnixTimestamp64Milli({end:Int64})
"""
_DELETE_DAYS = "DELETE FROM access_digest_days WHERE made IN {made:Array(UInt64)}"
HAS_DELETED = """
    SELECT count() FROM system.parts
    WHERE active AND database = currentDatabase() AND table = 'access_records' AND has_lightweight_delete
"""
MAY_READ = "SELECT name FROM access_digest_facts LIMIT 0"
_ALL_MADE = "SELECT made FROM access_digest_days"
_DAYS = "SELECT day, made, zone, schema, facts, since, until, toString(table), parts FROM access_digest_days"
# An empty part is what a drop or a time limit leaves for a moment.
_PARTS = """
    SELECT partition_id, name, hash_of_all_files FROM system.parts
    WHERE active AND rows > 0 AND database = currentDatabase() AND table = 'access_records'
"""
_TABLE = "SELECT uuid FROM system.tables WHERE database = currentDatabase() AND name = 'access_records'"
_FACTS_MADE = """
    SELECT toUInt64(partition_id), sum(rows) FROM system.parts
    WHERE active AND rows > 0 AND database = currentDatabase() AND table = 'access_digest_facts'
    GROUP BY partition_id
"""


class Part(NamedTuple):
    """A part of a table: the rows of some inserts.

    Args:
        first: the number of the first insert.
        last: the number of the last insert.
        level: how many merges one after the other made it.
        deletion: the number of the last deletion that went over it; 0 for none.
        content: a hash of its files.
    """

    first: int
    last: int
    level: int
    deletion: int
    content: str

    @property
    def rows(self) -> tuple[int, int, str]:
        """What stays the same when a deletion goes over the part and finds nothing."""
        return self.first, self.last, self.content


class Digest(NamedTuple):
    """A row of `access_digest_days`.

    Args:
        day: days since 1970.
        made: the number of the digest.
        zone: the time zone of the day.
        schema: what changes when digests are computed in another way.
        facts: how many facts it has.
        since: the first partition that was read.
        until: the last partition that was read.
        table: the id of the table of records.
        parts: the parts of the records, each a name and a hash of its files.
    """

    day: int
    made: int
    zone: str
    schema: str
    facts: int
    since: str
    until: str
    table: str
    parts: Sequence[str]


class Records:
    """The parts of `access_records` as they are now."""

    def __init__(self, client: Client) -> None:
        self.table = str(client.query(_TABLE).result_rows[0][0])
        self._names: dict[str, list[str]] = {}
        for partition, name, content in client.query(_PARTS).result_rows:
            self._names.setdefault(partition, []).append(f"{name} {content}")
        self._partitions = sorted(self._names)

    def parts(self, since: str, until: str) -> list[str]:
        """Return the parts of a span of partitions, each a name and a hash of its files."""
        first, last = bisect_left(self._partitions, since), bisect_right(self._partitions, until)
        return [name for partition in self._partitions[first:last] for name in self._names[partition]]

    def are_those_of(self, digest: Digest) -> bool:
        """Tell whether a digest was made of the records as they are now."""
        if digest.table != self.table:
            return False
        before, now = _by_partition(digest.parts), _by_partition(self.parts(digest.since, digest.until))
        return before.keys() == now.keys() and all(only_merged(before[name], now[name]) for name in now)


def valid_digests(client: Client) -> list[Digest]:
    """Return the digests that count, by their days."""
    rows = client.query(f"{_DAYS} ORDER BY day, made").result_rows
    digests = [Digest._make(row) for row in rows]
    facts, records = facts_made(client), Records(client)
    return [each for each in digests if facts.get(each.made) == each.facts and records.are_those_of(each)]


def facts_made(client: Client) -> Mapping[int, int]:
    """Return how many facts each digest has, also those that do not count."""
    return dict(map(tuple, client.query(_FACTS_MADE).result_rows))


def _by_partition(parts: Iterable[str]) -> dict[str, set[Part]]:
    """Return the parts of each partition. A name is like 20261101_1_5_2, with _7 behind it after the deletion 7."""
    found: dict[str, set[Part]] = {}
    for part in parts:
        name, _, content = part.partition(" ")
        partition, first, last, level, *deletion = name.split("_")
        found.setdefault(partition, set()).add(Part(int(first), int(last), int(level), int(*deletion), content))
    return found


def only_merged(before: Collection[Part], now: Collection[Part]) -> bool:
    """Tell whether a partition has the same records as before.

    A deletion gives all parts a new number, but leaves the content of most of them. A merge changes the content, so it
    counts as a change if there was a deletion too.
    """
    if {part.rows for part in before} == {part.rows for part in now}:
        return True
    if max(part.deletion for part in before) != max(part.deletion for part in now):
        return False
    joined = [[old for old in before if part.first <= old.first and old.last <= part.last] for part in now]
    return sum(map(len, joined)) == len(before) and all(map(_joins, now, joined))


def _joins(part: Part, old: Sequence[Part]) -> bool:
    """Tell whether a part has what some older parts had, and nothing else."""
    if part.rows in [each.rows for each in old]:
        return True
    ends = part._replace(first=min(each.first for each in old), last=max(each.last for each in old)) if old else None
    return part == ends and part.level > max(each.level for each in old)


def exist(client: Client) -> bool:
    """Tell whether there are tables of digests."""
    return bool(client.query(_TABLES_EXIST).result_rows[0][0])


def drop_void(client: Client) -> None:
    """Drop the facts of all digests that do not count, if there are any."""
    if exist(client):
        _drop_facts(client, lambda: {digest.made for digest in valid_digests(client)})


def keep_only(client: Client, kept: Callable[[], set[int]]) -> None:
    """Drop all digests but some.

    Args:
        client: a client of the database.
        kept: returns the numbers of those.
    """
    numbers = _drop_facts(client, kept)
    others = [number for (number,) in client.query(_ALL_MADE).result_rows if number not in numbers]
    if others:
        client.command(_DELETE_DAYS, parameters={"made": others})


def _drop_facts(client: Client, kept: Callable[[], set[int]]) -> set[int]:
    """Drop the facts of all digests but some; return the numbers of those.

    Facts come before their day, and are listed before the days here. So what another process makes meanwhile stays.
    """
    made = facts_made(client)
    numbers = kept()
    for number in made.keys() - numbers:
        client.command(f"ALTER TABLE access_digest_facts DROP PARTITION ID '{number}'")
    return numbers
