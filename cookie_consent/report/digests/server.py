"""Answers a report of a database from digests of its days, and from the records of the days that have none."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from itertools import pairwise
from typing import Protocol

from cookie_consent.report.digests.about import schema_of
from cookie_consent.report.digests.kinds import MOST_SUMS, NUMBERS, OF_COUNTS, Kind, kinds_in, with_facts
from cookie_consent.report.engines.dialect import Dialect
from cookie_consent.report.engines.engine import EVERYBODY, Engine, Given, Row
from cookie_consent.report.local_time import DAY, begin_of, day_of, local_time
from cookie_consent.report.question import Question, days_asked
from cookie_consent.report.steps import FIGURES
from cookie_consent.report.where import Segment
from cookie_consent.sinks.files.damage import Damaged

Progress = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
"""Takes what is counted, and how many; gives a function that takes the number of those done."""
CLOSED_AFTER = 2 * 3_600_000
"""A day is over so long after the last moment of which its digest reads records: some come late (milliseconds)."""
TABLES = ("records", "sessions", "pairs", "keyed", "of_records", "of_sessions", "of_pairs", "of_told")
"""The temporary tables of a day."""
SCANNED_TABLES = ("scanned_facts", "scanned_visitors")
"""The temporary tables of facts that no digest has."""
_OF_GOALS = ("goal", "funnel")
"""How the names of figures begin that are computed from records, as without digests."""
_SUMS = ", ".join(f"n{number}" for number in range(MOST_SUMS))
_TABLES_OF_FACTS = ("records", "told", "sessions", "pairs")


class ServerEngine(Engine, Protocol):
    """An engine of a database that has digests."""

    dialect: Dialect

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY, **words: object) -> None:
        """Create a temporary table from an SQL file, with more variables of the template."""

    def rows(self, figure: str, given: Given, **words: object) -> list[Row]:
        """Return the rows of a figure from an SQL file, with more variables of the template."""

    def run(self, name: str, given: Given, **words: object) -> None:
        """Run an SQL file."""

    def drop(self, *tables: str) -> None:
        """Drop temporary tables."""

    def make_fact_tables(self) -> None:
        """Create the temporary tables `scanned_facts` and `scanned_visitors`."""

    def next_record(self, since: int, end: int) -> int | None:
        """Return the time of the first record in a span, in milliseconds since 1970; None if there is none."""

    def digested(self, zone: str) -> tuple[str, Mapping[int, int]] | None:
        """Return the key of the digests, and day -> number of its valid digest; None if there are none to read."""


@cache
def schema(dialect: Dialect) -> str:
    """Return what changes when digests are computed in another way."""
    return schema_of(f"{kinds_in(dialect)}")


def add_facts(engine: ServerEngine, day: int, given: Given, key: str, target: str) -> None:
    """Compute the facts of a day, and insert them into a table.

    Args:
        engine: the engine of the records.
        day: the day, as days since 1970.
        given: the parameters of a question about this day.
        key: the key of visitors' numbers.
        target: the table.
    """
    keyed = {**given, "key": key}
    engine.drop(*TABLES)
    for table in ("records", "sessions", "pairs"):
        engine.make(table, given, with_host=True)
    for table in ("keyed", "of_records", "of_sessions", "of_pairs", "of_told"):
        engine.run(f"digests/server/{table}", keyed)
    for kind in with_facts(kinds_in(engine.dialect), *_TABLES_OF_FACTS):
        engine.run("digests/server/facts", given, kind=kind, day=day, target=target)
        if kind.value:
            engine.run("digests/server/measured", given, kind=kind, day=day, target=target)


def closed_days(engine: ServerEngine, zone: str, now: int, known: Collection[int]) -> list[tuple[int, Given]]:
    """Return the days that are over and have records, except some, each with the parameters of a question about it.

    Args:
        engine: the engine of the records.
        zone: the time zone of the days.
        now: milliseconds since 1970.
        known: the days to leave out.
    """
    days = days_with_records(engine, zone, 1, now // DAY, set(known))
    asked = [(day, Question(day_of(day), day_of(day), time_zone=zone).given) for day in days]
    return [(day, given) for day, given in asked if int(given["read_end"]) + CLOSED_AFTER <= now]


@contextmanager
def without_progress(what: str, total: int) -> Iterator[Callable[[int], object]]:
    """Show no progress."""
    yield lambda number: None


def days_with_records(engine: ServerEngine, zone: str, since: int, until: int, known: set[int]) -> Iterator[int]:
    """Yield the days of a span that have records, except some.

    Args:
        engine: the engine of the records.
        zone: the time zone of the days.
        since: the first day, as days since 1970.
        until: the last day.
        known: the days to leave out.
    """
    for first, last in gaps(since, until, known):
        begin, end = begin_of(day_of(first), zone), begin_of(day_of(last + 1), zone)
        while begin < end and (found := engine.next_record(begin, end)) is not None:
            day = local_time(zone, found // DAY - 1, found // DAY + 1).day(found)
            yield day
            begin = begin_of(day_of(day + 1), zone)


def gaps(since: int, until: int, known: set[int]) -> list[tuple[int, int]]:
    """Return the spans of days between some others, each with its first and its last day."""
    ends = [since - 1, *sorted(day for day in known if since <= day <= until), until + 1]
    return [(before + 1, after - 1) for before, after in pairwise(ends) if after - before > 1]


class DigestedServer:
    """An engine for a database that uses digests of days.

    It gives the same figures as the engine without digests, from which it takes all that digests do not have.

    Args:
        engine: the engine without digests.
    """

    damaged: Sequence[Damaged] = ()

    def __init__(self, engine: ServerEngine) -> None:
        self._engine = engine
        self._kinds = {kind.figure: kind for kind in kinds_in(engine.dialect)}
        self._digests: list[int] = []
        """The numbers of the digests of the range; empty if all is scanned."""

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range."""
        self._engine.prepare(given)
        self._engine.drop(*TABLES, *SCANNED_TABLES, "earlier")
        self._digests = []

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a temporary table."""
        if name == "records" and not (segment.filters or given["path"]):
            self._answer(given)
            if self._digests and given.get("marks"):
                self._scan_sessions(given)
        if name == "counts" or not self._digests:
            self._engine.make(name, given, segment)

    def rows(self, figure: str, given: Given) -> list[Row]:
        """Return the rows of a figure."""
        if not self._digests or figure.startswith((*OF_COUNTS, *_OF_GOALS)):
            return self._engine.rows(figure, given)
        if figure == "now":
            return self._now(given)
        if figure in self._kinds:
            return self._list(self._kinds[figure], given)
        if figure in FIGURES.values():
            return self._rows("over_time", given, each_step=figure)
        return self._rows(figure, given, each_step="each_week")

    def _list(self, kind: Kind, given: Given) -> list[Row]:
        return self._rows("list", given, kind=kind, numbers_of_sums=_SUMS)

    def _rows(self, name: str, given: Given, **words: object) -> list[Row]:
        return self._engine.rows(f"digests/server/{name}", given, digests=self._digests, numbers=NUMBERS, **words)

    def _answer(self, given: Given) -> None:
        """Compute what digests lack, if they have most days of the range."""
        zone = str(given["time_zone"])
        found = self._engine.digested(zone)
        if found is None:
            return
        key, digests = found
        since, until = days_asked(given)
        of_range = {day: number for day, number in digests.items() if since <= day <= until}
        rest: list[int] = []
        for day in days_with_records(self._engine, zone, since, until, set(of_range)):
            rest.append(day)
            if len(rest) > len(of_range):
                return
        if not of_range:
            return
        self._engine.make_fact_tables()
        for day in rest:
            add_facts(self._engine, day, _of_day(day, given), key, "scanned_facts")
        self._digests = [*of_range.values()]
        self._find_earlier({day: number for day, number in digests.items() if day < since}, given, key)

    def _scan_sessions(self, given: Given) -> None:
        """Make the tables of a question with goals, which digests do not have, from records."""
        self._engine.drop(*TABLES)
        for table in ("records", "sessions"):
            self._engine.make(table, given)

    def _now(self, given: Given) -> list[Row]:
        """Return the rows of "now", from the records of its day."""
        zone, moment = str(given["time_zone"]), int(given["now"])
        today = local_time(zone, moment // DAY - 1, moment // DAY + 1).day(moment)
        self._engine.drop("records")
        self._engine.make("records", _of_day(today, given))
        return self._engine.rows("now", given)

    def _find_earlier(self, before: Mapping[int, int], given: Given, key: str) -> None:
        """Make the table `earlier`, from the digests of earlier days and the records of those that have none."""
        zone, since = str(given["time_zone"]), days_asked(given)[0]
        for first, last in gaps(0, since - 1, set(before)):
            # All that came before 1970 is of the first span.
            begin = begin_of(day_of(first), zone) if first else -(2**41)
            span = {**given, "key": key, "begin": begin, "end": begin_of(day_of(last + 1), zone)}
            self._engine.run("digests/server/visitors", span)
        numbers = {"before": [*before.values()], "digests": self._digests, "numbers": NUMBERS}
        self._engine.run("digests/server/earlier", given, **numbers)


def _of_day(day: int, given: Given) -> Given:
    """Return the parameters of a question about one day, for the same host and time zone."""
    return Question(day_of(day), day_of(day), host=str(given["host"]) or None, time_zone=str(given["time_zone"])).given
