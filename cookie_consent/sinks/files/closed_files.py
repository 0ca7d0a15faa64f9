"""Which files hold the records of an access log, each record in exactly one of them; and the right to change one.

An access log is a live file that processes append to, and the files that were closed (see `rotation`):

    logs/access.jsonl                                          the live file
    logs/access-2026-11-25-0001.jsonl                          closed, as it was
    logs/access-2026-11-25-0001.jsonl.gz                        closed and compressed
    logs/access/day=2026-11-25/access-2026-11-25-0001.parquet  closed and compacted

Files that end in .zst are of earlier versions; they are read by DuckDB alone, and become Parquet.

A closed file goes from one form to the next, in this order: the next form is written under another name, synced,
renamed, and only then is the one before removed. While two forms of a file are there, **the one before counts**. So a
reader looks for the forms in this order, and finds each file in one form at least, whatever happens meanwhile.

The day of a file is that of its newest record: none in it is younger than the end of that day (UTC), some may be
older. Files are never changed where they stand, except the live one; who has one open reads it to its end.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import TypeVar

from cookie_consent.base.process.waiting import Backoff

_COUNTS = ".counts"
_TRIES = 20
_FIRST_PAUSE, _LONGEST_PAUSE = 0.02, 2.0

T = TypeVar("T")


class Form(IntEnum):
    """How a file is kept, in the order in which a file goes through them."""

    LIVE = 0
    PLAIN = 1
    GZIP = 2
    ZSTD = 3
    PARQUET = 4


_ENDINGS = {Form.PLAIN: "", Form.GZIP: ".gz", Form.ZSTD: ".zst"}


@dataclass(frozen=True, slots=True)
class Source:
    """A file with records.

    Args:
        path: where it is.
        form: how it is kept.
        day: the UTC day of its newest record; None for the live file.
        number: which one of that day.
    """

    path: Path
    form: Form
    day: date | None = None
    number: int = 0

    def date(self) -> date:
        """Return the day of a closed file."""
        if self.day is None:
            raise ValueError(f"{self.path} is not closed.")
        return self.day


def counts_path(path: Path) -> Path:
    """Return the live file of the counts beside an access log: "logs/access.jsonl" -> "logs/access.counts.jsonl"."""
    return path.with_name(f"{path.stem}{_COUNTS}{path.suffix}")


def is_of_counts(path: Path) -> bool:
    """Return whether a live file is one of counts."""
    return path.stem.endswith(_COUNTS)


def parquet_folder(path: Path) -> Path:
    """Return the folder of the compacted files of a log: "logs/access.jsonl" -> "logs/access"."""
    return path.with_name(path.stem if path.suffix else f"{path.name}.parquet")


def path_of(path: Path, day: date, number: int, form: Form) -> Path:
    """Return where a closed file is.

    Args:
        path: the live file.
        day: the day of the closed one.
        number: which one of that day.
        form: how it is kept.
    """
    name = f"{path.stem}-{day}-{number:04}"
    if form is Form.PARQUET:
        return parquet_folder(path) / f"{_partition(path)}={day}" / f"{name}.parquet"
    return path.with_name(f"{name}{path.suffix}{_ENDINGS[form]}")


def sources(path: str | os.PathLike[str]) -> list[Source]:
    """Return the files that hold the records of an access log, by day and number, the live one last.

    A file may go to its next form before it is opened, and the live one may be closed: see `steadily`.

    Args:
        path: the live file. Its counts are a log of their own, at `counts_path`.
    """
    live = Path(path)
    found = [Source(live, Form.LIVE)] if live.is_file() else []  # first: what is closed after this is listed as closed
    closed: dict[tuple[date, int], Source] = {}
    for form in (Form.PLAIN, Form.GZIP, Form.ZSTD, Form.PARQUET):  # one after the other, see above
        for source in _of_form(live, form):
            closed.setdefault(key_of(source), source)
    return [closed[key] for key in sorted(closed)] + found


def steadily(
    path: str | os.PathLike[str], read: Callable[[list[Source]], T], sleep: Callable[[float], None] = time.sleep
) -> T:
    """Return what a function reads from the files of an access log; it reads again where they moved meanwhile.

    Args:
        path: the live file.
        read: is given the files and reads all of them. What it raises counts only where the files did not move.
        sleep: waits for seconds.
    """
    backoff = Backoff(_FIRST_PAUSE, _LONGEST_PAUSE, chance=lambda: 1)
    for tried in range(_TRIES):
        if tried:
            sleep(backoff.next_pause())  # as long as somebody compacts many files
        found = sources(path)
        try:
            result = read(found)
        except Exception:
            if sources(path) == found:
                raise
            continue
        known = {key_of(source) for source in found if source.day}
        if all(key_of(source) in known for source in sources(path) if source.day):
            return result
    raise OSError(f"The files of {path} move faster than they can be read.")


def key_of(source: Source) -> tuple[date, int]:
    """Return what a closed file keeps in all its forms: its day, and which one of that day it is."""
    return source.date(), source.number


def _partition(path: Path) -> str:
    # Not "day" for counts: their files have a column of that name, and readers would put the folder's in its place.
    return "written" if is_of_counts(path) else "day"


def _of_form(path: Path, form: Form) -> Iterator[Source]:
    if form is Form.PARQUET:
        places, ending = parquet_folder(path).glob(f"{_partition(path)}=*/*.parquet"), ".parquet"
    else:
        places, ending = path.parent.glob("*"), f"{path.suffix}{_ENDINGS[form]}"
    name = re.compile(rf"{re.escape(path.stem)}-(\d{{4}}-\d\d-\d\d)-(\d{{4,}}){re.escape(ending)}", re.ASCII)
    for place in places:
        found = name.fullmatch(place.name)
        if found and (day := _day(found[1])) and place.is_file():
            yield Source(place, form, day, int(found[2]))


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
