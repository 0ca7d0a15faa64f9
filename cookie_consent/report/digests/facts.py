"""Computes facts from records: what no digest has, for a report; and sessions over several files, for blocks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any

from cookie_consent.report.digests.about import Part
from cookie_consent.report.digests.kinds import MOST_SUMS, Kind, kinds_of
from cookie_consent.report.engines.dialect import DUCKDB, shape, sql
from cookie_consent.report.engines.duckdb_files import MADE_UP, RECORDS, DuckDBFiles, make_view
from cookie_consent.report.engines.engine import EVERYBODY, Given
from cookie_consent.report.local_time import DAY, day_number, local_time
from cookie_consent.report.question import Question
from cookie_consent.sinks.files.closed_files import Source
from cookie_consent.sinks.files.damage import Damaged, read_undamaged

NEAR = 40 * 60_000
"""Stays this close to the begin or end of a file, or to midnight, may go on elsewhere, so a digest keeps their records.
For others they are read again. 30 minutes is the pause between stays; a few more are for what lasts (milliseconds)."""
_LATE = 40
"""Records are seldom more days older than their file."""
_LATEST = 253_402_214_400_000


class FactsReader(DuckDBFiles):
    """Reads records and computes facts in temporary tables.

    Attributes:
        damaged_digest: what is wrong with a digest that could not be read; "" if nothing is.
    """

    damaged_digest = ""

    def load(self, files: Sequence[Source], given: Given, key: str) -> list[Damaged]:
        """Fill the table `records`. Visitors are numbers that only the key gives.

        Args:
            files: the files to read.
            given: the parameters of the SQL texts.
            key: the key of the log.

        Returns:
            Which files are damaged.
        """
        values = {**given, "key": key}

        def fill(files: Sequence[Source]) -> None:
            make_view(self._connection, "access_records", files, RECORDS, MADE_UP)
            self._connection.execute("DROP TABLE IF EXISTS records")
            self._run("records", values, segment=EVERYBODY, for_digests=True)
            self._connection.execute(sql("once", DUCKDB, table="records"))

        return list(read_undamaged(self._connection, files, fill)[1])

    def load_whole(self, source: Source, zone: str, key: str) -> tuple[Given, list[Damaged]]:
        """Fill the table `records` from a closed file; return as `whole_file`."""
        return whole_file(self, source, zone, lambda given: self.load([source], given, key))

    def times(self) -> tuple[int, int] | None:
        """Return the times of the oldest and the newest of the records; None if there are none."""
        oldest, newest = self.one("SELECT min(came), max(came) FROM records")
        return None if oldest is None else (oldest, newest)

    def days(self, given: Given) -> list[int]:
        """Return the days with activity, as days since 1970."""
        return [day for (day,) in self.read_script("activity_days", given)]

    def drop_known(self, other: Source, oldest: int, newest: int) -> None:
        """Delete the records from a time that another file has, too.

        Args:
            other: the other file.
            oldest: the begin of the time in which both have records, in milliseconds since 1970.
            newest: its end.
        """
        make_view(self._connection, "other_records", [other], RECORDS, MADE_UP)
        self.script("once_among", {"oldest": oldest, "newest": newest})

    def drop_repeated(self, part: Part, parts: Mapping[str, Part], files: Mapping[str, Source]) -> None:
        """Delete the records of a file that its digest does not repeat.

        Args:
            part: the file in its digest.
            parts: all files in digests, by name.
            files: the files themselves, by name.
        """
        for other in part.without:
            self.drop_known(files[other], parts[other].oldest, parts[other].newest)

    def find_facts(self, given: Given, *, with_items: bool) -> None:
        """Fill the other tables of facts from `records`, and `all_sessions` with sessions that have no view, too."""
        self.find_sessions(given, with_items=with_items)
        self.script("told")

    def find_sessions(self, given: Given, *, with_items: bool) -> None:
        """Fill the tables of sessions and of their pairs of pages from `records`.

        Args:
            given: the parameters of the SQL texts.
            with_items: whether goals need what each session saw and sent: the table `items`.
        """
        words = {"with_items": True} if with_items else {}
        if with_items:
            self.script("items")
        for table in ("sessions", "pairs"):
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            self._make_in_parts(table, given, EVERYBODY, with_guests=True, **words)
            if table == "sessions":
                self.script("sessions", given, **words)

    def script(self, name: str, given: Mapping[str, Any] | None = None, **words: object) -> None:
        """Run the statements of a file of `sql/digests`."""
        words = {"most_sums": MOST_SUMS, "near": NEAR, **shape(given or {}), **words}
        for text in sql(f"digests/{name}", DUCKDB, **words).split(";\n"):
            if text.strip(" \n;"):
                values = {key: value for key, value in (given or {}).items() if f"${key}:" in text}
                self._connection.execute(text, values)

    def gather(self, names: str, known: str, *tables: str, **words: object) -> list[Kind]:
        """Fill the table `facts` with the facts of some tables, and give codes to their texts; return their kinds.

        Args:
            names: the table that the codes go into.
            known: the table or view with all codes.
            tables: the tables with the facts.
            words: more variables of the template.
        """
        kinds = kinds_of(*tables)
        self.script("facts", None, kinds=kinds, **words)
        self.script("names", names=names, known=known, kinds=kinds)
        return kinds

    def read_script(self, name: str, given: Given | None = None, **words: object) -> list[tuple[Any, ...]]:
        """Return the rows of a file of `sql/digests`."""
        return self._run(f"digests/{name}", given or {}, **words).fetchall()

    def one(self, text: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        rows: list[tuple[Any, ...]] = self._connection.execute(text).fetchall()
        return rows[0]

    def execute(self, text: str, values: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Run a statement."""
        rows: list[tuple[Any, ...]] = self._connection.execute(text, values).fetchall()
        return rows


def whole_file(
    reader: FactsReader, source: Source, zone: str, load: Callable[[Given], list[Damaged]]
) -> tuple[Given, list[Damaged]]:
    """Fill the table `records` from a closed file.

    Args:
        reader: has the table.
        source: the file.
        zone: the time zone of the days.
        load: fills the table from the file, and returns it if it is damaged.

    Returns:
        The parameters of the SQL texts, with the local time of its records; and the file, if it is damaged.
    """
    day = day_number(source.date())
    span = (day - _LATE, day + 1)
    while True:
        given = all_time(zone, *span)
        damaged = load(given)
        oldest, newest = reader.times() or (span[0] * DAY, span[1] * DAY)
        if span[0] * DAY <= oldest and newest <= (span[1] + 1) * DAY:
            return given, damaged
        span = (oldest // DAY - 1, newest // DAY + 1)  # a clock was wrong


def all_time(zone: str, first: int, last: int) -> Given:
    """Return the parameters of the SQL texts for all records of a file, which are from some days."""
    given = Question(date(2000, 1, 1), date(2000, 1, 1), time_zone=zone).given
    local = local_time(zone, first, last).given
    return {**given, **local, "since": 0, "end": _LATEST, "read_since": 0, "read_end": _LATEST}
