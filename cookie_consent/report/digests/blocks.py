"""Blocks: 64 days of digests, joined.

Each day is a bit of a 64-bit number, so that a count of people over any range of days in a block is a filter and a
count. Block k has the days 32k to 32k + 63 since 1970. Blocks overlap by half, so that each range of 33 days is in
one block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from cookie_consent.report.digests.about import About, Part, overlapping
from cookie_consent.report.digests.database import attached, write_about
from cookie_consent.report.digests.facts import NEAR, FactsReader, all_time
from cookie_consent.report.digests.kinds import BY_FIGURE, SEEN, Kind, kinds_of
from cookie_consent.report.question import MARGIN

DAYS = 64
_STEP = DAYS // 2
FEW_VALUES = 5_000_000
"""So many values are sorted in memory for quantiles, in about 100 MB."""
_SORTED_EVERY = 16
"""So many days apart, a block is made at once, and not by adding to it."""
_NAMING = ("entry_path", "exit_path", "referrer", "campaign", "hour")
"""Columns of sessions that names are made of."""
_ON_SEVERAL_HOSTS = "SELECT 1 FROM made.people WHERE kind = $kind AND host = 0 LIMIT 1"
RECENT = 26 * 3_600_000
"""Sessions that ended in this time before the log's newest record are kept by themselves: the event of a page that is
left much later goes on with them (milliseconds)."""


def first_day(block: int) -> int:
    """Return the first day of a block, as days since 1970."""
    return block * _STEP


def needed_blocks(parts: Mapping[str, Part]) -> dict[int, list[str]]:
    """Return the blocks that some range of days needs, and the names of their files.

    A block whose days with records are all in the next or the one before is not needed.

    Args:
        parts: the closed files, by name.
    """
    days = {day for part in parts.values() for day in part.days}
    has: dict[int, frozenset[int]] = {}
    for number in sorted({day // _STEP - less for day in days for less in (0, 1)}):
        has[number] = frozenset(day for day in days if 0 <= day - first_day(number) < DAYS)
    return {
        number: _files(number, parts)
        for number, own in has.items()
        if not own < has.get(number + 1, frozenset()) and not own <= has.get(number - 1, frozenset())
    }


def _files(block: int, parts: Mapping[str, Part]) -> list[str]:
    """Return the files with activity on the days of a block, or on the days before and after it."""
    first = first_day(block)
    return [name for name, part in parts.items() if any(first - 1 <= day <= first + DAYS for day in part.days)]


def can_extend(known: About, wanted: About) -> bool:
    """Tell whether a block needs only the facts of later files to become another.

    Now and then it is made anew all the same, because a block that was made at once is sorted.

    Args:
        known: what the block is made of.
        wanted: what the other is made of.
    """
    if (known.schema, known.key, known.zone) != (wanted.schema, wanted.key, wanted.zone):
        return False
    if any(wanted.parts.get(name) != part for name, part in known.parts.items()):
        return False
    end = max((part.newest for part in known.parts.values()), default=0)
    later = [part for name, part in wanted.parts.items() if name not in known.parts]
    return len(later) <= len(known.parts) and all(
        part.oldest > end and not part.without and not any(day % _SORTED_EVERY == 0 for day in part.days)
        for part in later
    )


def goes_on(reader: FactsReader, digests: Sequence[Path]) -> bool:
    """Tell whether a session of the block in the database "known" that is not recent goes on in later files.

    Args:
        reader: has the connection.
        digests: the digests of these files.
    """
    with _all_attached(reader, digests):
        ((found,),) = reader.read_script("goes_on", db="known", files=len(digests))
    return bool(found)


def fill_block(
    reader: FactsReader,
    block: int,
    about: About,
    digests: Mapping[str, Path],
    newest: int,
    add_far_edges: Callable[[], None],
) -> None:
    """Fill the database "made" with a block. If it has the block of earlier files already, add later ones.

    Args:
        reader: computes facts.
        block: the number of the block.
        about: what it is made of.
        digests: the digests of the files to add, by name.
        newest: the time of the log's newest record. Sessions near to it may go on in the live file.
        add_far_edges: adds to the table `edge_records` the records of loose stays that no digest has; see block.sql.
    """
    first = first_day(block)
    words: dict[str, Any] = {"db": "made", "first": first, "last": first + DAYS - 1, "files": len(digests)}
    extends = words["extends"] = len(digests) < len(about.parts)
    given = {**all_time(about.zone, first - 2, first + DAYS + 1), "open": newest - NEAR, "recent": newest - RECENT}
    for table in ("records", "sessions", "pairs", "told", "all_sessions"):
        reader.execute(f"DROP TABLE IF EXISTS {table}")
    if not extends:
        reader.script("tables", db="made", is_block=True)
    with _all_attached(reader, digests.values()):
        (counted,) = reader.one("SELECT count(*) FROM made.measured")
        overlaps = _overlaps(about.parts, list(digests))
        reader.script("block", given, overlaps=overlaps, margin=MARGIN, seen=SEEN.number, **words)
        add_far_edges()
        reader.script("block_edges", **words)
        reader.find_sessions(given, with_items=True)
        reader.script("block_sessions", given, **words)
        _add_values(reader, words)
    _add_sessions(reader)
    reader.script("block_buckets", db="made", counted=counted)
    if extends:
        reader.script("block_more_people", **words)
    else:
        _add_people(reader, words)
    _add_recent(reader, words)
    write_about(reader, "made", about)


def _columns(kind: Kind) -> Sequence[str]:
    """Return the columns of sessions or pairs that the names of a kind are made of."""
    return kind.of or [column for column in _NAMING if re.search(rf"\b{column}\b", kind.name)]


def _add_values(reader: FactsReader, words: Mapping[str, Any]) -> None:
    """Add the values of records to the database "made"."""
    values = dict(reader.read_script("block_values", **words))
    for kind in kinds_of("records", "told"):
        if kind.value:
            are_many = values.get(kind.number, 0) > FEW_VALUES
            reader.script("block_measured", None, kind=kind, are_many=are_many, **words)


@contextmanager
def _all_attached(reader: FactsReader, digests: Iterable[Path]) -> Iterator[None]:
    """Attach digests as f0, f1, … while the block runs."""
    with ExitStack() as stack:
        for number, file in enumerate(digests):
            stack.enter_context(attached(reader, file, f"f{number}"))
        yield


def _add_sessions(reader: FactsReader) -> None:
    """Add the facts of sessions and their trails to the database "made", and their people to `all_people`."""
    kinds = kinds_of("sessions", "pairs")
    reader.script("block_facts", db="made", kinds=kinds, columns=[_columns(kind) for kind in kinds])
    reader.script("trails", db="made", kinds=BY_FIGURE, is_recent=False)


def _add_people(reader: FactsReader, words: Mapping[str, Any]) -> None:
    """Add all people to the database "made", sorted."""
    for kind in kinds_of("records", "told", "sessions", "pairs"):
        if kind.has_people and kind is not SEEN:
            reader.script("block_people", number=kind.number, by_host=False, **words)
            if reader.execute(_ON_SEVERAL_HOSTS, {"kind": kind.number}):
                reader.script("block_people", number=kind.number, by_host=True, **words)


def _add_recent(reader: FactsReader, words: Mapping[str, Any]) -> None:
    """Add the facts of recent sessions to the database "made"."""
    for table in ("sessions", "pairs"):
        reader.execute(f"DROP TABLE {table}")
        reader.execute(f"ALTER TABLE recent_{table} RENAME TO {table}")
    kinds = reader.gather("made.names", "made.names", "sessions", "pairs", by_stay=True)
    reader.script("block_recent", kinds=kinds, **words)
    reader.script("trails", db="made", kinds=BY_FIGURE, is_recent=True)


def _overlaps(parts: Mapping[str, Part], names: Sequence[str]) -> list[tuple[int, int, int]]:
    """Return the spans of time in which other files have records, too: the number of a file, its begin and its end."""
    return [
        (number, max(part.oldest, other.oldest) - NEAR, min(part.newest, other.newest) + NEAR)
        for number, part in enumerate(parts[name] for name in names)
        for other in overlapping(part, parts).values()
    ]


def find_seen(reader: FactsReader, digests: Sequence[Path]) -> None:
    """Fill the table `seen_in_files` with the visitors of each digest, and their first days in it.

    One digest is open at a time, because a process may only have so many files open. DuckDB closes them after a
    transaction, so this may not be in one.

    Args:
        reader: has the connection.
        digests: the digests of all files.
    """
    reader.execute("CREATE OR REPLACE TEMPORARY TABLE seen_in_files (host VARCHAR, visitor UBIGINT, day INTEGER)")
    for file in digests:
        with attached(reader, file, "f0"):
            reader.script("firsts_of_file", seen=SEEN.number)


def fill_firsts(reader: FactsReader, about: About) -> None:
    """Fill the database "made" with the day on which each visitor was first seen.

    Args:
        reader: has the table `seen_in_files`.
        about: what it is made of.
    """
    reader.script("firsts", db="made")
    write_about(reader, "made", about)
