"""The lists of a report, made from blocks of digests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cookie_consent.report.digests.blocks import FEW_VALUES
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.report.digests.kinds import KINDS, MOST_SUMS, Kind
from cookie_consent.report.engines.engine import Given, Row
from cookie_consent.report.lists import LISTS, OTHER

NO_CODE = 2**32 - 1
"""The code of no text."""
_FIGURES = {each.name for each in LISTS}
KINDS_OF_LISTS = [kind for kind in KINDS if kind.figure in _FIGURES]


class ListsOfBlocks:
    """The lists of a range of days. All are made together, because each reads all people of the blocks.

    Args:
        reader: has the views of blocks; see answers_views.sql.
        given: the parameters of the SQL texts.
    """

    def __init__(self, reader: FactsReader, given: Given) -> None:
        self._reader, self._most = reader, int(given["most"])
        self._values: dict[int, int] = {}
        self._sums: dict[int, list[int]] = {}
        self._by_name: dict[str, dict[int, dict[str, float]]] = {}
        self._count(given)
        self._lists = self._made(KINDS_OF_LISTS, given)

    def rows(self, kind: Kind, given: Given) -> list[Row]:
        """Return the rows of a list, which may be asked for with another number of rows."""
        if int(given["most"]) == self._most:
            return self._lists[kind.figure]
        return self._made([kind], given)[kind.figure]

    def _count(self, given: Given) -> None:
        """Fill the tables that all lists are made from."""
        self._reader.execute("CREATE OR REPLACE TEMPORARY TABLE new_codes (old UINTEGER, code UINTEGER)")
        self._reader.script("heads", kinds=KINDS_OF_LISTS)
        for kind in KINDS_OF_LISTS:
            if kind.few_are:
                self._reader.script("merged", given, kind=kind)
        self._values = dict(self._reader.execute("SELECT kind, sum(n)::BIGINT FROM buckets GROUP BY kind"))
        columns = ", ".join(f"sum(n{number})::BIGINT" for number in range(MOST_SUMS))
        sums = self._reader.execute(f"SELECT kind, {columns} FROM sums GROUP BY kind")  # noqa: S608
        self._sums = {kind: list(rest) for kind, *rest in sums}
        self._reader.execute("CREATE OR REPLACE TEMPORARY TABLE sizes (kind UTINYINT, name UINTEGER, size DOUBLE)")
        for kind in KINDS_OF_LISTS:
            if kind.sorted_by in kind.quantiles:
                self._by_name[kind.figure] = self._quantiles(kind)
                self._reader.script("sizes", kind=kind)

    def _made(self, kinds: Sequence[Kind], given: Given) -> dict[str, list[Row]]:
        """Return the rows of some lists, by figure."""
        self._reader.script("shown", given, kinds=kinds)
        lists: list[list[Row]] = [[] for _ in kinds]
        for place, name, label, people, *sums in self._reader.read_script("shown_sums", most_sums=MOST_SUMS):
            row = {"name": name, "label": label, "joined": 0, "visitors": people, "people_joined": None}
            lists[place].append(row | dict(zip(kinds[place].sums, sums, strict=False)))
        groups = "SELECT kind, count(*), count(*) FILTER (people < $threshold) FROM heads GROUP BY kind"
        names = {kind: sizes for kind, *sizes in self._reader.execute(groups, {"threshold": given["threshold"]})}
        all_names, small_groups = zip(*(names.get(kind.number, (0, 0)) for kind in kinds), strict=True)
        more = [(place, kind) for place, kind in enumerate(kinds) if len(lists[place]) < all_names[place]]
        for place, people in self._others(more):
            row = {"name": None, "label": OTHER, "joined": 1, "visitors": people, "people_joined": people}
            lists[place].append(row | self._rest(kinds[place], lists[place]))
        return {
            kind.figure: [{**row, "small_groups": small} for row in self._with_quantiles(kind, rows)]
            for kind, rows, small in zip(kinds, lists, small_groups, strict=True)
        }

    def _rest(self, kind: Kind, rows: list[Row]) -> Row:
        """Return the sums of a list without those of some rows."""
        sums = zip(kind.sums, self._sums[kind.number], strict=False)
        return {column: whole - sum(row[column] for row in rows) for column, whole in sums}

    def _others(self, lists: Sequence[tuple[int, Kind]]) -> list[tuple[int, int]]:
        """Return how many people are in the row "(other)" of some lists, which are given by place and kind."""
        if not lists:
            return []
        (most,) = self._reader.one("SELECT max(code) FROM all_visitors")
        return self._reader.read_script("others", lists=lists, most=most)

    def _with_quantiles(self, kind: Kind, rows: list[Row]) -> list[Row]:
        """Return the rows of a list, with the quantiles and the sums of its values if it has any."""
        if not kind.value:
            return rows
        names = [row["name"] for row in rows if not row["joined"]]
        self._reader.script("labelled", kind=kind, names=[*names, NO_CODE])
        if kind.figure in self._by_name:
            found = {name: self._by_name[kind.figure][name] for name in names}
            if len(names) < len(rows):
                self._reader.script("labelled_others")
                found |= self._quantiles(kind, "labelled_others")
        else:
            found = self._quantiles(kind, "labelled")
        sums = dict(self._reader.read_script("value_sums", kind=kind)) if kind.figure == "properties" else {}
        labels = [row["name"] if not row["joined"] else NO_CODE for row in rows]
        columns = kind.quantiles.items()
        return [
            {**row, "total": sums.get(label)} | {name: found.get(label, {}).get(share) for name, share in columns}
            for row, label in zip(rows, labels, strict=True)
        ]

    def _quantiles(self, kind: Kind, labelled: str = "") -> dict[int, dict[str, float]]:
        """Return the quantiles of a kind for each label, by share, and fill the table `found_quantiles`.

        Args:
            kind: the kind of the values.
            labelled: a table of names and their labels; "" if each name is a label.
        """
        words: dict[str, Any] = {"kind": kind, "labelled": labelled, "shares": list(kind.quantiles.values())}
        if self._values.get(kind.number, 0) <= FEW_VALUES:
            self._reader.script("few_quantiles", **words)
        else:
            if not labelled:
                self._reader.script("each_name", kind=kind)
                words["labelled"] = "each_name"
            self._reader.script("wanted", **words)
            buckets = [bucket for (bucket,) in self._reader.execute("SELECT DISTINCT bucket FROM wanted")]
            self._reader.script("quantiles", buckets=buckets, **words)
        found: dict[int, dict[str, float]] = {}
        for label, share, value in self._reader.execute("SELECT label, share, value FROM found_quantiles"):
            found.setdefault(label, {})[str(share)] = value
        return found
