"""Digests in ClickHouse: reading them, and making those of all days that are over."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from typing import Any

from clickhouse_connect.driver.exceptions import DatabaseError

from cookie_consent.report.digests.about import key_check
from cookie_consent.report.digests.making import Digested
from cookie_consent.report.digests.server import (
    SCANNED_TABLES,
    TABLES,
    Progress,
    add_facts,
    closed_days,
    schema,
    without_progress,
)
from cookie_consent.report.engines.clickhouse import SETTINGS, ClickHouseServer, connected
from cookie_consent.report.engines.dialect import CLICKHOUSE
from cookie_consent.report.engines.engine import Given, Row, UnreadableError
from cookie_consent.report.local_time import DAY, day_of
from cookie_consent.sinks.clickhouse import digests, tables

_UNKNOWN_TABLE, _ACCESS_DENIED = 60, 497
_KEY_BYTES = 32
_NUMBER_BITS = 48
_CHANGED = (
    "access_log: digests were dropped while this report was computed, because records of their days came or went. "
    "Ask again."
)


class ClickHouseDigests(ClickHouseServer):
    """An engine for access records in ClickHouse that can read digests.

    Args:
        server: the engine without digests.
    """

    dialect = CLICKHOUSE

    def __init__(self, server: ClickHouseServer) -> None:
        super().__init__(server.client)
        self._facts: dict[int, int] = {}
        """Number of a valid digest -> how many facts it has."""
        self._read: set[int] = set()
        """The numbers of the digests that were read."""
        server.checks.append(self._check)

    def rows(self, figure: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of a figure. Lists have an SQL file of their own."""
        self._note(words)
        return super().rows("digests/clickhouse/list" if figure == "digests/server/list" else figure, given, **words)

    def run(self, name: str, given: Given, **words: object) -> None:
        """Run an SQL file, with more variables of the template."""
        self._note(words)
        super().run(name, given, **words)

    def make_fact_tables(self) -> None:
        """Create the temporary tables of facts that no digest has."""
        self.client.command(f"CREATE TEMPORARY TABLE scanned_facts ({digests.FACT_COLUMNS})")
        self.client.command("CREATE TEMPORARY TABLE scanned_visitors (number Int64)")

    def next_record(self, since: int, end: int) -> int | None:
        """Return the time of the first record in a span, in milliseconds since 1970; None if there is none."""
        days = {"first": _partition(since), "last": _partition(end - 1)}
        for (partition,) in self.client.query(digests.PARTITIONS, parameters=days).result_rows:
            found: int | None = self._one(digests.FIRST_RECORD, partition=partition, since=since, end=end)
            if found is not None:
                return found
        return None

    def digested(self, zone: str) -> tuple[str, Mapping[int, int]] | None:
        """Return the key of the digests, and day -> number of its valid digest; None if there are none to read."""
        try:
            self._one(digests.MAY_READ)
            key, found = self._valid(zone)
        except DatabaseError as error:
            if error.code in (_UNKNOWN_TABLE, _ACCESS_DENIED):
                return None
            raise
        self._facts |= {digest.made: digest.facts for digest in found}
        return key, {digest.day: digest.made for digest in found}

    def prepare_digests(self, zone: str) -> None:
        """Create missing tables, and drop digests that no longer count."""
        if not digests.exist(self.client):
            for statement in digests.CREATE_TABLES:
                self.client.command(statement)
        if not self._one(digests.KEYS):
            self.client.command(digests.ADD_KEY, parameters={"key": secrets.token_hex(_KEY_BYTES)})
        if self._one(digests.HAS_DELETED):
            # Deleted rows leave their parts later, which would look like another change.
            self.client.command(tables.apply_deletions("access_records"), settings={"mutations_sync": 2})
        self.drop_others(zone)

    def drop_others(self, zone: str) -> None:
        """Drop all digests but one valid digest for each day."""
        digests.keep_only(self.client, lambda: {digest.made for digest in self._valid(zone)[1]})

    def add(self, day: int, given: Given, zone: str) -> bool:
        """Add the digest of a day, unless another process did; return whether this one did."""
        key, known = self._valid(zone)
        if day in {digest.day for digest in known}:
            return False
        since, until = _partition(int(given["read_since"])), _partition(int(given["read_end"]) - 1)
        # Before reading: what comes meanwhile may be in the digest or not, so the digest does not count.
        records = digests.Records(self.client)
        self.drop(*TABLES, *SCANNED_TABLES)
        self.make_fact_tables()
        add_facts(self, day, given, key, "scanned_facts")
        number = {"made": secrets.randbits(_NUMBER_BITS)}
        self.client.command(digests.ADD_FACTS, parameters=number)
        made_of = {"table": records.table, "parts": records.parts(since, until), "since": since, "until": until}
        about = {"day": day, "zone": zone, "schema": _schema(key)}
        self.client.command(digests.ADD_DAY, parameters={**number, **about, **made_of})
        return True

    def _valid(self, zone: str) -> tuple[str, list[digests.Digest]]:
        """Return the key, and a valid digest for each day that has one."""
        key = str(self._one(digests.KEY))
        wanted = (zone, _schema(key))
        # Two processes may each have made one of the same day. All readers take the same.
        by_day = {
            digest.day: digest
            for digest in reversed(digests.valid_digests(self.client))
            if (digest.zone, digest.schema) == wanted
        }
        return key, [by_day[day] for day in sorted(by_day)]

    def _note(self, words: Mapping[str, Any]) -> None:
        """Note which digests an SQL file reads."""
        self._read.update(words.get("digests", ()), words.get("before", ()))

    def _check(self) -> None:
        """Refuse figures from digests that were dropped meanwhile."""
        wanted = {(number, self._facts[number]) for number in self._read}
        if wanted and not wanted <= digests.facts_made(self.client).items():
            raise UnreadableError(_CHANGED)

    def _one(self, statement: str, **values: object) -> Any:
        rows = self.client.query(statement, parameters=values).result_rows
        return rows[0][0] if rows else None


def digest(
    url: str,
    zone: str = "UTC",
    *,
    progress: Progress = without_progress,
    now: float | None = None,
) -> Digested:
    """Make the digests of all days that are over and have none; remove those that no longer count.

    It is safe to run while other processes write, read, erase or purge, or make digests too. A kill leaves nothing that
    a report would read.

    Args:
        url: the URL of the database.
        zone: the time zone of the days.
        progress: shows how many days are done.
        now: seconds since 1970; None for now.

    Raises:
        UnreadableError: the database cannot be used.
    """
    moment = round((time.time() if now is None else now) * 1000)
    with connected(url, SETTINGS, session=True) as client:
        client.query("SELECT uid FROM access_records LIMIT 0")  # a database without has no digests, either
        engine = ClickHouseDigests(ClickHouseServer(client))
        engine.prepare_digests(zone)
        _, known = engine.digested(zone) or ("", {})
        days = closed_days(engine, zone, moment, known)
        made = 0
        with progress("days", len(days)) as seen:
            for done, (day, given) in enumerate(days, 1):
                made += engine.add(day, given, zone)
                seen(done)
        # Somebody may have erased records while their day was read.
        engine.drop_others(zone)
        engine.drop(*TABLES, *SCANNED_TABLES)
    return Digested(made, None)


def _schema(key: str) -> str:
    """Return what changes when digests are computed in another way, or with another key."""
    return f"{schema(CLICKHOUSE)} {key_check(key)}"


def _partition(time: int) -> str:
    """Return the name of the partition of a time, in milliseconds since 1970."""
    return f"{day_of(time // DAY):%Y%m%d}"
