"""Answers a report from the digests of closed files, and from the records of those that have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from cookie_consent.report.digests.about import About, Part, identity, overlapping
from cookie_consent.report.digests.advice import many_to_read
from cookie_consent.report.digests.blocks import DAYS, first_day
from cookie_consent.report.digests.database import DamagedDigestError, attach, read_about, reading_digests
from cookie_consent.report.digests.facts import NEAR, FactsReader
from cookie_consent.report.digests.frugal import FrugalConnection
from cookie_consent.report.digests.key import read_key
from cookie_consent.report.digests.kinds import BY_FIGURE, CONSENTED, NUMBERS, OF_COUNTS, VIEWS, Kind
from cookie_consent.report.digests.lists_of_blocks import KINDS_OF_LISTS, NO_CODE, ListsOfBlocks
from cookie_consent.report.engines.dialect import DUCKDB, sql
from cookie_consent.report.engines.duckdb_files import MADE_UP, RECORDS, DuckDBFiles, first_date, make_view
from cookie_consent.report.engines.engine import EVERYBODY, Given, Row
from cookie_consent.report.question import days_asked
from cookie_consent.report.steps import FIGURES, WEEK, step_number
from cookie_consent.report.where import Segment
from cookie_consent.sinks.files.closed_files import Source, retry_if_moved
from cookie_consent.sinks.files.damage import Damaged, read_undamaged
from cookie_consent.sinks.files.digest_files import block_path, blocks_of, firsts_path, name_of

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_OF_TRAILS = ("goal", "funnel")
"""Figures that are computed from `sessions`, as without digests."""
_OF_GOALS = {
    "goal_by_source": ("referrers", "referrer"),
    "goal_by_campaign": ("campaigns", "campaign"),
    "goal_by_entry_page": ("entry_pages", "entry_path"),
}
"""List of a goal -> the list of all such sessions, and the column of sessions that has its names."""
_NOTHING_TOUCHED = (
    "CREATE OR REPLACE TEMPORARY TABLE touched (guest UBIGINT, began DOUBLE, ended DOUBLE, is_open BOOLEAN)"
)
_STEPS = {figure: step for step, figure in FIGURES.items()}
"""Figure -> the step that it counts by."""
_LISTED = {kind.figure: kind for kind in KINDS_OF_LISTS}


@dataclass(frozen=True, slots=True)
class Block:
    """A block of days that is attached, and the part of it that a report asks for.

    Args:
        database: its name in SQL.
        first: its first day, as days since 1970.
        since: the first day asked for.
        until: the last day asked for.
        host: the code of the host asked for; None for all hosts.
    """

    database: str
    first: int
    since: int
    until: int
    host: int | None

    @property
    def days(self) -> list[int]:
        """The days asked for."""
        return list(range(self.since, self.until + 1))

    @property
    def bits(self) -> list[int]:
        """The bit of each of these days."""
        return [1 << day - self.first for day in self.days]

    @property
    def mask(self) -> int:
        """All these bits."""
        return sum(self.bits)

    @property
    def of_host(self) -> str:
        """The condition on facts that they are of the host, as SQL."""
        return "true" if self.host is None else f"host = {self.host}"

    @property
    def people_of_host(self) -> str:
        """The condition on rows of people, as SQL: one row has a person for all hosts together."""
        return "alone" if self.host is None else f"host = {self.host}"


class DigestedFiles(FactsReader):
    """An engine for the files of an access log that uses their digests.

    It gives the same figures as `DuckDBFiles`. What no valid digest has is computed from records: of the live file, and
    of closed files without a digest.

    Args:
        files: the engine without digests, whose connection it uses.
    """

    def __init__(self, files: DuckDBFiles) -> None:
        super().__init__(files._connection, files._path, files._memory)
        self._frugal = FrugalConnection(files._connection, files._memory)
        self._connection = cast("DuckDBPyConnection", self._frugal)
        self._attached: list[str] = []
        self._blocks: list[Block] = []
        self._newest = 0
        self._lists: ListsOfBlocks | None = None
        self._scanned = False
        self._has_tried = False

    def prepare(self, given: Given) -> None:
        """Drop the tables of an earlier range."""
        super().prepare(given)
        self._frugal.be_frugal(frugal=False)
        self._detach()
        self._lists, self._scanned = None, False

    def make(self, name: str, given: Given, segment: Segment = EVERYBODY) -> None:
        """Create a temporary table."""
        if name == "records":
            self._scanned = bool(segment.filters) or not self._is_answered(given)
            if self._scanned:
                self.digested = ()
        if name == "counts" or segment.filters or self._scanned:
            super().make(name, given, segment)

    def rows(self, figure: str, given: Given) -> list[Row]:
        """Return the rows of a figure."""
        if not (self._scanned or figure.startswith(OF_COUNTS) or figure in _OF_TRAILS):
            try:
                with reading_digests():
                    rows = self._of_digests(figure, given)
            except DamagedDigestError as error:
                self.damaged_digest, rows = str(error), None
            if rows is not None:
                return rows
            self._scan(given)
        return super().rows(figure, given)

    def _of_digests(self, figure: str, given: Given) -> list[Row] | None:
        """Return the rows of a figure; None for one that digests cannot answer."""
        if figure in _LISTED:
            return self._list(_LISTED[figure], given)
        if figure in _OF_GOALS:
            return self._of_goal(*_OF_GOALS[figure], given)
        if figure in ("totals", "by_hour"):
            return self._rows(f"digests/{figure}", given, numbers=NUMBERS)
        if figure in _STEPS:
            words = {"figure": figure, "numbers": NUMBERS, "blocks": self._blocks_in_range}
            return self._rows("digests/over_time", given, steps=_steps(_STEPS[figure], given), **words)
        if figure == "retention":
            steps = _steps(WEEK, given)
            return self._rows(
                f"digests/{figure}", given, blocks=self._blocks_in_range, steps=steps, consented=CONSENTED.number
            )
        if figure == "now" and int(given["recent_since"]) > self._newest - NEAR:
            self.script("edges", given, blocks=self._blocks, all_open=True)
            return super().rows(figure, given)
        return None

    def _list(self, kind: Kind, given: Given) -> list[Row]:
        """Return the rows of a list."""
        self._lists = self._lists or ListsOfBlocks(self, given)
        return self._lists.rows(kind, given)

    def _of_goal(self, figure: str, column: str, given: Given) -> list[Row]:
        """Return the rows of a list of a goal. Their names are those of another list."""
        self._list(_LISTED[figure], given)  # fills the tables that this is made from
        (most,) = self.one("SELECT coalesce(max(code), 0) FROM all_visitors")
        return self._rows("digests/goal_by", given, kind=_LISTED[figure], column=column, most=most)

    def _scan(self, given: Given) -> None:
        """Compute the tables without digests, for a figure that they cannot answer."""
        self._scanned, self.digested = True, ()
        self._frugal.be_frugal(frugal=False)
        for table in ("records", "sessions", "earlier", "pairs"):
            self._connection.execute(f"DROP TABLE IF EXISTS {table}")
            super().make(table, given)

    def _is_answered(self, given: Given) -> bool:
        try:
            with reading_digests():
                if self._answer(given):
                    return True
        except DamagedDigestError as error:
            self.damaged_digest = str(error)
        self._frugal.be_frugal(frugal=False)
        super().prepare(given)  # an attempt may have made tables, before it failed or files moved
        return False

    def _answer(self, given: Given) -> bool:
        """Make the tables from digests; return False if there are none, or if they cannot answer."""
        key = read_key(self._path)
        if key is None or given["path"]:
            return False

        def read(found: Sequence[Source]) -> tuple[bool, list[Damaged]]:
            closed = [source for source in found if source.day]
            identities = {name_of(source): identity(source) for source in closed}
            parts = self._choose(key, identities, given)
            many = many_to_read(closed, parts or {}, given)
            if many and self._make_missing(closed, key, str(given["time_zone"]), many):
                parts = self._choose(key, identities, given)
            if parts is None:
                return False, []
            self.digested = parts
            fresh = [source for source in found if source.day is None or name_of(source) not in parts]
            return self._merge(parts, fresh, {name_of(source): source for source in closed}, given, key)

        answered, damaged = retry_if_moved(self._path, read)
        self._add_damaged(damaged)
        return answered

    def _choose(self, key: str, identities: Mapping[str, str], given: Given) -> dict[str, Part] | None:
        """Attach the blocks with the days of a range; return all files in valid blocks.

        Returns:
            None if no blocks have all days of the range.
        """
        self._detach()  # a first try may have attached blocks
        since, until = days_asked(given)

        def valid(file: Path) -> About | None:
            about = read_about(self, file)
            return about if about and about.is_valid(key, str(given["time_zone"]), identities) else None

        found = {number: about for number, file in blocks_of(self._path).items() if (about := valid(file))}
        parts = {name: part for about in found.values() for name, part in about.parts.items()}
        # Sessions may go on from the day before, or to the day after.
        wanted = sorted({day for part in parts.values() for day in part.days if since - 1 <= day <= until + 1})
        chosen = cover(wanted, list(found))
        firsts = valid(firsts_path(self._path))
        if not parts or chosen is None or firsts is None or not parts.keys() <= firsts.parts.keys():
            return None
        self._newest = max(part.newest for part in parts.values())
        self._blocks = [
            self._attach(
                number, found[number], f"block{place}", (max(first, since), min(last, until)), str(given["host"])
            )
            for place, (number, first, last) in enumerate(chosen)
        ]
        attach(self, firsts_path(self._path), "firsts")
        self._attached.append("firsts")
        return parts

    def _make_missing(self, closed: Sequence[Source], key: str, zone: str, wanted: int) -> bool:
        """Make missing digests, as `make_missing` does, unless this report has tried to."""
        from cookie_consent.report.digests.renewal import make_missing  # most reports do without

        has_tried, self._has_tried = self._has_tried, True
        return not has_tried and make_missing(self, closed, key, zone, wanted)

    def _attach(self, number: int, about: About, name: str, days: tuple[int, int], host: str) -> Block:
        file = block_path(self._path, number)
        attach(self, file, name)
        self._attached.append(name)
        if About.of_json(self.one(f"SELECT made_of FROM {name}.about")[0]) != about:  # noqa: S608
            raise DamagedDigestError(f"{file} was replaced meanwhile")
        code = self._code(f"{name}.names", host) if host else None
        return Block(name, first_day(number), *days, code)

    def _code(self, names: str, host: str) -> int:
        found = self.execute(f"SELECT code FROM {names} WHERE text = $host", {"host": host})  # noqa: S608
        return int(found[0][0]) if found else NO_CODE

    @property
    def _blocks_in_range(self) -> list[Block]:
        """The blocks that have days of the range, and not only of the days around it."""
        return [block for block in self._blocks if block.days]

    def _detach(self) -> None:
        while self._attached:
            self.execute(f"DETACH {self._attached.pop()}")

    def _merge(
        self, parts: Mapping[str, Part], fresh: list[Source], closed: Mapping[str, Source], given: Given, key: str
    ) -> tuple[bool, list[Damaged]]:
        """Make the tables from blocks and from files without a digest; return whether that was possible."""
        marked, given = given, _unmarked(given)
        first = first_date(given)
        in_range = [source for source in fresh if source.day is None or source.day >= first]
        damaged = self.load(in_range, given, key)
        times = self.times()
        if times:
            oldest, newest = times
            for name, part in overlapping(Part("", oldest, newest), parts).items():
                self.drop_known(closed[name], max(oldest, part.oldest), min(newest, part.newest))
        self.execute(_NOTHING_TOUCHED)
        touched = self._touched() if times and self._blocks else []
        if not all(recent for _, _, recent, _ in touched):
            return False, []
        self._add_touched([stay for stay in touched if not stay[3]], parts, closed, given, key)
        self.script("edges", given, blocks=self._blocks, all_open=False)
        if len(self._blocks) > 1:  # both have the records at their common edge
            self._connection.execute(sql("once", DUCKDB, table="records"))
        self._frugal.be_frugal(frugal=True)
        self._fill_tables(marked, is_touched=bool(touched), has_records=bool(times))
        return True, [*damaged, *self._find_earlier(fresh, given, key)]

    def _touched(self) -> list[tuple[Any, ...]]:
        """Return the digested stays that go on in a record without a digest: begin, end, and what they are."""
        self.script("touched", blocks=self._blocks)
        return self.execute("SELECT began, ended, recent, is_open FROM touched")

    def _add_touched(
        self,
        touched: list[tuple[Any, ...]],
        parts: Mapping[str, Part],
        closed: Mapping[str, Source],
        given: Given,
        key: str,
    ) -> None:
        """Read the records of touched stays that no block has."""
        if not touched:
            return
        oldest, newest = min(stay[0] for stay in touched), max(stay[1] for stay in touched)
        self.execute("DROP TABLE IF EXISTS fresh")
        self.execute("ALTER TABLE records RENAME TO fresh")
        # No more than a scan reads: a long session is cut off there.
        since, end = max(int(oldest) - 1, int(given["read_since"])), min(int(newest) + 1, int(given["read_end"]))
        window = {"read_since": since, "read_end": end}
        for name, part in overlapping(Part("", oldest, newest), parts).items():
            self.load([closed[name]], {**given, **window}, key)
            self.drop_repeated(part, parts, closed)
            self.script("touched_records")
        self.execute("DROP TABLE records")
        self.execute("ALTER TABLE fresh RENAME TO records")

    def _fill_tables(self, given: Given, *, is_touched: bool, has_records: bool) -> None:
        """Compute what no block has from `records`, and make the views of blocks and of that."""
        blocks = self._blocks_in_range
        words: dict[str, Any] = {"blocks": blocks, "is_touched": is_touched}
        self.script("answers_tables", blocks=blocks)
        has_extra, kinds = has_records or self.times() is not None, list[Kind]()
        has_goals = "marks" in given
        if has_extra:
            self.find_facts(_unmarked(given), with_items=has_goals)
            tables = ("records", "told", "sessions", "pairs") if has_records else ("sessions", "pairs")
            kinds = self.gather("new_names", "all_names", *tables)
            self.script("extra", kinds=kinds)
        self.script("kept", is_one_day=sum(len(block.days) for block in blocks) == 1, **words)
        self.script("answers_views", views=VIEWS.number, kinds=kinds, has_extra=has_extra, **words)
        if has_goals:
            self.script("marked", given, kinds=BY_FIGURE, has_extra=has_extra, **words)

    def _find_earlier(self, fresh: list[Source], given: Given, key: str) -> list[Damaged]:
        """Fill the table `earlier`: visitors of the range with a record before it; return which files are damaged."""

        def fill(files: list[Source]) -> None:
            make_view(self._connection, "other_records", files, RECORDS, MADE_UP)
            self.script("fresh_earlier", {**given, "key": key})

        damaged = read_undamaged(self._connection, fresh, fill)[1]
        host = str(given["host"])
        of_host = f"host = {self._code('firsts.hosts', host)}" if host else "alone"
        self.script("earlier", views=VIEWS.number, since=days_asked(given)[0], of_host=of_host)
        return damaged


def _unmarked(given: Given) -> Given:
    """Return the parameters of a question without goals. The records that digests are merged with have no marks."""
    return {name: value for name, value in given.items() if name != "marks"}


def _steps(step: str, given: Given) -> dict[int, int]:
    """Return for each day of the range the number of its step."""
    since, until = days_asked(given)
    return {day: step_number(step, day) for day in range(since, until + 1)}


def cover(days: Sequence[int], blocks: Sequence[int]) -> list[tuple[int, int, int]] | None:
    """Return disjoint parts of blocks that have all the days; None if some day is in no block.

    Args:
        days: days since 1970, sorted.
        blocks: the numbers of the blocks.

    Returns:
        The number, the first and the last day of each part.
    """
    parts: list[tuple[int, int, int]] = []
    for day in days:
        if parts and day <= first_day(parts[-1][0]) + DAYS - 1:
            number, first, _ = parts[-1]
            parts[-1] = number, first, day
            continue
        fitting = [number for number in blocks if 0 <= day - first_day(number) < DAYS]
        if not fitting:
            return None
        parts.append((max(fitting), day, day))
    return parts
