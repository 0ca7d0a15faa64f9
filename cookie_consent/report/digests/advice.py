"""Says why a report read so many records that digests could have answered for, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path

from cookie_consent.report.digests.about import About, identity, schema
from cookie_consent.report.digests.database import read_about
from cookie_consent.report.digests.facts import FactsReader
from cookie_consent.report.digests.key import read_key
from cookie_consent.report.engines.duckdb_files import DuckDBFiles, first_date, records_in
from cookie_consent.report.engines.engine import Given
from cookie_consent.report.question import Question
from cookie_consent.sinks.files.closed_files import Source, sources
from cookie_consent.sinks.files.digest_files import blocks_of, digest_folder, digest_path, digests_of, name_of

MANY = 1_000_000
"""So many records take some seconds."""
_SHORTER = "A shorter time takes less."

_Reason = tuple[str, str] | tuple[str, str, bool]


@dataclass(frozen=True, slots=True)
class Scanned:
    """Why closed files were scanned for a report.

    Args:
        records: how many records they have, roughly.
        reason: the reason, as the end of a sentence.
        remedy: what to do, as a sentence.
        by_question: whether the question is the reason. Other questions may be answered from digests.
    """

    records: int
    reason: str
    remedy: str
    by_question: bool = False

    def __str__(self) -> str:
        millions = f"{self.records / 1e6:,.0f} million" if self.records >= MANY else f"{self.records:,}"
        return f"About {millions} records were read one by one: {self.reason}. {self.remedy}"


def why_scanned(
    engine: DuckDBFiles, path: Path, question: Question, list_files: Callable[[Path], Sequence[Source]] = sources
) -> Scanned | None:
    """Return why many records of closed files were scanned; None if few were, or if files move now.

    Args:
        engine: has answered the question.
        path: the live file.
        question: the question.
        list_files: returns the files of the log.
    """
    closed = _in_range(list_files(path), question.given)
    try:
        records = _many_without(closed, engine.digested)
        return Scanned(records, *_reason(engine, path, closed, question)) if records else None
    except FileNotFoundError:
        return None


def many_to_read(files: Sequence[Source], digested: Collection[str], given: Given) -> int:
    """Return about how many records of closed files a report has to read; 0 if that is few.

    Args:
        files: the files of the log.
        digested: the names of those whose digests are read in their place.
        given: the parameters of the question.

    Raises:
        FileNotFoundError: a file has moved.
    """
    return _many_without(_in_range(files, given), digested)


def read_digests(reader: FactsReader, path: Path, closed: Sequence[Source]) -> dict[Source, About | None]:
    """Return for each closed file what its digest is made of; None for one that has none."""
    return {source: read_about(reader, digest_path(path, source)) for source in closed}


def without_digest(found: Mapping[Source, About | None], key: str, zone: str) -> list[Source]:
    """Return the closed files that have no valid digest.

    Args:
        found: from `read_digests`.
        key: the key of the log.
        zone: the time zone of the days.

    Raises:
        FileNotFoundError: a file has moved.
    """
    identities = {name_of(source): identity(source) for source in found}
    return [source for source, about in found.items() if not about or not about.is_valid(key, zone, identities)]


def _in_range(files: Sequence[Source], given: Given) -> list[Source]:
    """Return the closed files that a report reads."""
    first = first_date(given)
    return [source for source in files if source.day and source.day >= first]


def _many_without(closed: Sequence[Source], digested: Collection[str]) -> int:
    """Return about how many records the other closed files have; 0 if that is few."""
    records = records_in([source for source in closed if name_of(source) not in digested])
    return records if records >= MANY else 0


def _reason(engine: DuckDBFiles, path: Path, closed: Sequence[Source], question: Question) -> _Reason:
    make = f"cookie-consent digest --access-log {path}"
    again = f"Make them again: {make}"
    if question.where or question.path:
        return "a question with filters or a path is not answered from digests", _SHORTER, True
    if not isinstance(engine, FactsReader) or not digests_of(path):
        return "the log has no digests", f"Make them, and a report takes a second: {make}"
    if engine.damaged_digest:
        remedy = f"Remove {digest_folder(path)}, and make them again: {make}"
        return f"a digest is damaged ({engine.damaged_digest})", remedy
    key = read_key(path)
    if key is None:
        return "the key of the digests is missing, or only another user may read it", again
    found = read_digests(engine, path, closed)
    void = without_digest(found, key, question.time_zone)
    made = [about for about in found.values() if about]
    return _mismatch(made, question, make) or _missing(path, len(void), closed, again)


def _mismatch(made: Sequence[About], question: Question, make: str) -> _Reason | None:
    if made and all(about.schema != schema() for about in made):
        return "the digests are of another version of this package, or of DuckDB", f"Make them again: {make}"
    if made and all(about.zone != question.time_zone for about in made):
        here = f"Ask for days of that zone, or make them again: {make} --time-zone {question.time_zone}"
        return f"the digests have the days of {made[0].zone}, and not of {question.time_zone}", here
    return None


def _missing(path: Path, void: int, closed: Sized, again: str) -> _Reason:
    if void:
        return f"{void} of {len(closed)} closed files have no valid digest: they are new, or records were erased", again
    if not blocks_of(path):
        return "records were erased, and the other digests are not joined since", again
    return "this question is not answered from digests", _SHORTER, True
